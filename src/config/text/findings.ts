import type { Problem } from '../../core/problem.ts';
import { type Path, pointerOf } from './path.ts';
import { type ShapeNode, shownPath } from './shown.ts';

/**
 * Problems of one config text, each with its line. Only the first error at a path is kept: later ones are its
 * consequences.
 */
export class Findings {
  readonly problems: Problem[] = [];
  /** The shape that the config must have. It decides which keys a message may repeat. */
  readonly shape: ShapeNode;
  readonly #file: string;
  readonly #lines = new Map<string, number>();
  readonly #faulty = new Set<string>();
  readonly #variables = new Set<string>();

  constructor(file: string, shape: ShapeNode) {
    this.#file = file;
    this.shape = shape;
  }

  /** `shown`: the path without keys that may be secrets. */
  error(path: Path, message: string, shown?: Path): void {
    const pointer = pointerOf(path);
    if (this.#faulty.has(pointer)) return;
    this.#faulty.add(pointer);
    this.#add('error', path, message, undefined, shown);
  }

  /** An error in the YAML itself. It has no path, so several of them are kept. */
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
    shown = shownPath(this.shape, path),
  ): void {
    const problem: Problem = { level, file: this.#file, pointer: pointerOf(shown), message };
    if (line !== undefined) problem.line = line;
    this.problems.push(problem);
  }

  /** All problems, by line. */
  sorted(): Problem[] {
    return this.problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0));
  }

  /** Notes the line of a value. */
  place(path: Path, line: number): void {
    this.#lines.set(pointerOf(path), line);
  }

  /** Notes that a value comes from an environment variable, at least in part. */
  markVariable(path: Path): void {
    this.#variables.add(pointerOf(path));
  }

  /** Whether the text has a value here. Defaults are not in the text. */
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
