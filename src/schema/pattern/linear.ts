import { RE2JS } from 're2js';

export interface Matcher {
  test(text: string): boolean;
  /** Different for different patterns: compiled schemas are keyed by it. */
  toString(): string;
}

/** Matches in time linear to the text; throws when it cannot read the expression. */
export class LinearMatcher implements Matcher {
  readonly expression: string;
  readonly #engine: RE2JS;

  constructor(expression: string) {
    this.expression = expression;
    this.#engine = RE2JS.compile(expression);
  }

  test(text: string): boolean {
    return this.#engine.test(text);
  }

  toString(): string {
    return `re2:${this.expression}`;
  }
}
