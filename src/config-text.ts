import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import type { Problem } from './problem.ts';
import { fillVariables } from './variables.ts';

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

  error(path: Path, message: string): void {
    const pointer = pointerOf(path);
    if (this.#faulty.has(pointer)) return;
    this.#faulty.add(pointer);
    this.#add('error', path, message);
  }

  /** An error of the text itself; several may stand without a path. */
  syntax(message: string, line: number): void {
    this.#add('error', [], message, line);
  }

  warn(path: Path, message: string, line?: number): void {
    if (!this.#faulty.has(pointerOf(path))) this.#add('warning', path, message, line);
  }

  #add(level: Problem['level'], path: Path, message: string, line = this.#lineOf(path)): void {
    const problem: Problem = { level, file: this.#file, pointer: pointerOf(path), message };
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
    // The parser recurses: brackets nested thousands deep end the stack.
    findings.error([], `cannot be read: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
}

function read(text: string, env: Record<string, string | undefined>, findings: Findings): unknown {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' });
  const lineAt = (offset = 0) => lines.linePos(offset).line;
  let broken = false;
  for (const error of document.errors) {
    findings.syntax(error.message, lineAt(error.pos[0]));
    broken ||= error.code !== 'DUPLICATE_KEY';
  }
  for (const warning of document.warnings) findings.warn([], warning.message, lineAt(warning.pos[0]));
  if (broken) return undefined;

  let left = 100_000;
  const plain = (node: Node | null | undefined, path: Path): unknown => {
    if (--left < 0 || path.length > 64) throw new Error('too many or too deeply nested values');
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
    fault: ({ whole, name }) =>
      findings.error(
        path,
        name === null
          ? `${whole} is not a variable; write \${NAME} or \${NAME:-default}, and $\${ for a plain \${`
          : `the environment has no ${name}, and \${${name}} has no default`,
      ),
  });
}

/** JSON Pointer of a path. */
function pointerOf(path: Path): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
