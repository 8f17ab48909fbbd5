import {
  type ErrorCode,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type YAMLError,
} from 'yaml';
import type { Findings } from './findings.ts';
import type { Path } from './path.ts';
import { fillVariables } from './variables.ts';

/** Reads YAML 1.2 into plain values and fills in variables. Undefined when the text is not YAML. Never throws. */
export function readYaml(text: string, env: Record<string, string | undefined>, findings: Findings): unknown {
  try {
    return read(text, env, findings);
  } catch (error) {
    // The parser recurses: brackets nested thousands deep overflow the stack. Other messages of it may repeat the text.
    const isOurs = error instanceof TooMuch || error instanceof RangeError;
    findings.error([], `cannot be read${isOurs ? `: ${error.message}` : ''}`);
    return undefined;
  }
}

class TooMuch extends Error {}

/** Replace messages of the parser that repeat the text, because it may be a password. */
const MESSAGES: Partial<Record<ErrorCode, string>> = {
  TAG_RESOLVE_FAILED: 'a text that begins with ! is a tag, and this tag is unknown; put the text in quotes',
  BAD_DIRECTIVE:
    'a line that begins with % is a directive, and this directive is unknown; put the text in quotes',
  BAD_DQ_ESCAPE: 'a \\ in double quotes must begin an escape sequence; write \\\\ or use single quotes',
  UNEXPECTED_TOKEN: 'is not YAML; put text with special characters in quotes',
};

function plainMessage({ code, message }: YAMLError): string {
  return MESSAGES[code] ?? message;
}

function read(text: string, env: Record<string, string | undefined>, findings: Findings): unknown {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' });
  const lineAt = (offset = 0) => lines.linePos(offset).line;
  let broken = false;
  for (const error of document.errors) {
    findings.syntax(plainMessage(error), lineAt(error.pos[0]));
    broken ||= error.code !== 'DUPLICATE_KEY';
  }
  for (const warning of document.warnings) findings.warn([], plainMessage(warning), lineAt(warning.pos[0]));
  if (broken) return undefined;

  let left = 100_000;
  const plain = (node: Node | null | undefined, path: Path): unknown => {
    if (--left < 0 || path.length > 64) throw new TooMuch('too many or too deeply nested values');
    if (isAlias(node)) return plain(node.resolve(document) as Node | undefined, path);
    if (isSeq(node)) {
      return node.items.map((item, index) => {
        const here = [...path, index];
        findings.place(here, lineAt((item as Node | null)?.range?.[0] ?? node.range?.[0]));
        return plain(item as Node, here);
      });
    }
    if (isMap(node)) {
      const entries = node.items.map(({ key, value }): [string, unknown] => {
        const here = [...path, isScalar(key) ? String(key.value) : String(key)];
        findings.place(here, lineAt((key as Node | null)?.range?.[0] ?? node.range?.[0]));
        return [String(here.at(-1)), plain(value as Node, here)];
      });
      return Object.fromEntries(entries);
    }
    const value = isScalar(node) ? node.value : null;
    return typeof value === 'string' ? interpolate(value, path, env, findings) : value;
  };
  findings.place([], 1);
  return plain(document.contents, []);
}

/** Fills in variables. This happens after parsing, so that a value cannot change the structure. */
function interpolate(
  text: string,
  path: Path,
  env: Record<string, string | undefined>,
  findings: Findings,
): string {
  return fillVariables(text, env, {
    variable: () => findings.markVariable(path),
    fault: ({ name }) =>
      findings.error(
        path,
        name === null
          ? 'has ${ without a variable name; write ${NAME} or ${NAME:-default}, or $${ for a literal ${'
          : noVariable(name),
      ),
  });
}

/** A name that does not look like a variable may be a secret that somebody put in the braces, so it is not repeated. */
function noVariable(name: string): string {
  const isName = /^[A-Z][A-Z0-9]{0,15}(?:_[A-Z0-9]{1,16})*$/.test(name);
  return isName
    ? `the environment variable ${name} is not set, and \${${name}} has no default`
    : 'the environment variable is not set, and there is no default';
}
