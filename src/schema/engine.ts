import { _, Ajv2020 } from 'ajv/dist/2020.js';
import standalone from 'ajv/dist/standalone/index.js';
import type { Emitted } from './emit.ts';
import { formatChecks } from './formats.ts';
import { addKeywords } from './keywords.ts';
import type { Patterns } from './pattern/patterns.ts';
import { addReferences } from './references.ts';
import type { CheckFunction, Fuel } from './registry.ts';

export interface EngineOptions {
  allErrors: boolean;
  /** Keeps book of what has been evaluated; only `unevaluated…` keywords need it. */
  tracks: boolean;
  formats: boolean;
  patterns: Patterns;
  fuel: Fuel;
  /** Keeps the code, for `source`. */
  source: boolean;
  /** Spends time on making the functions quicker. */
  optimize: boolean;
}

/** Turns rewritten schemas into functions. Nothing in it changes a payload: no coercion, defaults or removal. */
export class Engine {
  readonly #ajv: Ajv2020;

  constructor(schemas: ReadonlyMap<string, Emitted>, options: EngineOptions) {
    const regExp = (pattern: string) => options.patterns.compile(pattern).matcher ?? never(pattern);
    this.#ajv = new Ajv2020({
      allErrors: options.allErrors,
      strict: false,
      strictNumbers: true,
      ownProperties: true,
      inlineRefs: false,
      meta: false,
      // Schemas were checked against their own draft's meta-schema before they were rewritten.
      validateSchema: false,
      validateFormats: options.formats,
      logger: false,
      code: {
        regExp: Object.assign(regExp, { code: 'regExp' }),
        source: options.source,
        optimize: options.optimize,
        formats: _`formats`,
      },
    });
    this.#ajv.opts.unevaluated = options.tracks;
    addKeywords(this.#ajv);
    addReferences(this.#ajv, options.fuel);
    for (const [name, check] of formatChecks()) this.#ajv.addFormat(name, check);
    for (const { schema } of schemas.values()) this.#ajv.addSchema(schema);
  }

  compile(key: string): CheckFunction {
    const check = this.#ajv.getSchema(key);
    if (check === undefined) throw new Error(`no schema ${key}`);
    return check as CheckFunction;
  }

  /**
   * Code that puts the functions of these schemas into `exports`, by key. Around it there must be `regExp`, `formats`,
   * `burn` and all of keyword-checks.ts.
   */
  source(keys: readonly string[]): string {
    return standalone.default(this.#ajv, Object.fromEntries(keys.map((key) => [key, key])));
  }
}

// Schemas with such patterns have been taken out before.
function never(pattern: string): never {
  throw new Error(`pattern ${pattern} cannot be used`);
}
