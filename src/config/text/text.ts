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
import type { Problem } from '../../core/problem.ts';
import { fillVariables } from '../variables.ts';
import { shownPath } from './shown.ts';

export type Path = readonly (string | number)[];

/** Problems of one config text, each with its line. The first error at a place is kept; later ones only follow from it. */
export class Findings {
  readonly problems: Problem[] = [];
  readonly #file: string;
  readonly #lines = new Map<string, number>();
  readonly #faulty = new Set<string>();
  readonly #variables = new Set<string>();

  constructor(file: string) {
    this.#file = file;
  }

  /** `shown`: the place as people may see it. */
  error(path: Path, message: string, shown?: Path): void {
    const pointer = pointerOf(path);
    if (this.#faulty.has(pointer)) return;
    this.#faulty.add(pointer);
    this.#add('error', path, message, undefined, shown);
  }

  /** An error of the text itself; several may stand without a path. */
  syntax(message: string, line: number): void {
    this.#add('error', [], message, line);
  }

  warn(path: Path, message: string, line?: number): void {
    if (!this.#faulty.has(pointerOf(path))) this.#add('warning', path, message, line);
  }

  #add(
    level: Problem['level'],
    path: Path,
    message: string,
    line = this.#lineOf(path),
    shown = shownPath(path),
  ): void {
    const problem: Problem = { level, file: this.#file, pointer: pointerOf(shown), message };
    if (line !== undefined) problem.line = line;
    this.problems.push(problem);
  }

  /** All problems in the order of the text. */
  sorted(): Problem[] {
    return this.problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0));
  }

  /** Notes where something stands in the text, and whether an environment variable is part of it. */
  place(path: Path, line: number): void {
    this.#lines.set(pointerOf(path), line);
  }

  markVariable(path: Path): void {
    this.#variables.add(pointerOf(path));
  }

  /** Whether the text says something here (defaults are not written). */
  written(path: Path): boolean {
    return this.#lines.has(pointerOf(path));
  }

  fromEnvironment(path: Path): boolean {
    return this.#variables.has(pointerOf(path));
  }

  #lineOf(path: Path): number | undefined {
    for (let length = path.length; length >= 0; length--) {
      const line = this.#lines.get(pointerOf(path.slice(0, length)));
      if (line !== undefined) return line;
    }
    return undefined;
  }
}

/** Reads YAML 1.2 into plain values, with variables filled in; undefined when the text is not YAML. Never throws. */
export function readYaml(text: string, env: Record<string, string | undefined>, findings: Findings): unknown {
  try {
    return read(text, env, findings);
  } catch (error) {
    // The parser recurses: brackets nested thousands deep end the stack. What else it says may repeat the text.
    const isOurs = error instanceof TooMuch || error instanceof RangeError;
    findings.error([], `cannot be read${isOurs ? `: ${error.message}` : ''}`);
    return undefined;
  }
}

class TooMuch extends Error {}

/** In the place of the parser's messages that repeat the text, which may be a password. */
const MESSAGES: Partial<Record<ErrorCode, string>> = {
  TAG_RESOLVE_FAILED: 'what begins with ! is a tag, and this one is not known here; text needs quotes',
  BAD_DIRECTIVE: 'what begins with % is a directive, and this one is not known here; text needs quotes',
  BAD_DQ_ESCAPE: 'a \\ in double quotes begins no escape sequence here; write \\\\, or use single quotes',
  UNEXPECTED_TOKEN: 'is not YAML here; text with special characters needs quotes',
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

/** Done after parsing, so that a value cannot change the structure. */
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
          ? 'has a ${ that begins no variable; write ${NAME} or ${NAME:-default}, and $${ for a plain ${'
          : noVariable(name),
      ),
  });
}

/** What has not the look of a variable's name may be a secret that somebody put in the braces. */
function noVariable(name: string): string {
  const isName = /^[A-Z][A-Z0-9]{0,15}(?:_[A-Z0-9]{1,16})*$/.test(name);
  return isName
    ? `the environment has no ${name}, and \${${name}} has no default`
    : 'the environment has no variable of this name, and there is no default';
}

/** JSON Pointer of a path. */
function pointerOf(path: Path): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
