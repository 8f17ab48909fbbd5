import { _, Ajv2020, type Code, type KeywordCxt, Name, nil } from 'ajv/dist/2020.js';
import { resolveRef, SchemaEnv } from 'ajv/dist/compile/index.js';
import { mergeEvaluated, Type } from 'ajv/dist/compile/util.js';
import standalone from 'ajv/dist/standalone/index.js';
import { callValidateCode } from 'ajv/dist/vocabularies/code.js';
import { getValidate } from 'ajv/dist/vocabularies/core/ref.js';
import type { Emitted } from './emit.ts';
import { formatChecks } from './formats.ts';
import { KEYWORD_CHECKS } from './keyword-checks.ts';
import { OWN_KEYWORDS, type OwnKeyword } from './keywords.ts';
import type { Patterns } from './pattern/patterns.ts';
import { type CheckFunction, type Fuel, FuelSpent } from './registry.ts';

/** Marks schemas that could come back to themselves: entering one takes fuel. */
export const CYCLE_MARK = 'x-postern-cycle';

export interface EngineOptions {
  allErrors: boolean;
  /** Notes which members and items were evaluated; only `unevaluated…` keywords need it. */
  tracks: boolean;
  formats: boolean;
  patterns: Patterns;
  fuel: Fuel;
  /** Keeps the code, for `source`. */
  source: boolean;
  /** Spends time on making the functions quicker. */
  optimize: boolean;
}

/**
 * Turns rewritten schemas into functions. Nothing in it changes a payload: no coercion, defaults or removal.
 *
 * The one file that knows ajv. It uses private parts of it to replace keywords; the official suite
 * (official-suite.test.ts) and check.test.ts fail when these change.
 */
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
    this.#replaceKeywords(options.fuel);
    for (const [name, check] of formatChecks()) this.#ajv.addFormat(name, check);
    for (const { schema } of schemas.values()) this.#ajv.addSchema(schema);
  }

  /** The function of the schema with this key. Throws an Error for a schema that ajv cannot compile. */
  compile(key: string): CheckFunction {
    const check = this.#ajv.getSchema(key);
    if (check === undefined) throw new Error(`no schema ${key}`);
    return check as CheckFunction;
  }

  /**
   * Code that puts the functions of these schemas into `exports`, by key. It refers to `regExp`, `formats`, `burn` and
   * `checks`, which are those of edge/precompiled.ts.
   */
  source(keys: readonly string[]): string {
    return standalone.default(this.#ajv, Object.fromEntries(keys.map((key) => [key, key])));
  }

  #replaceKeywords(fuel: Fuel): void {
    const ajv = this.#ajv;
    for (const own of OWN_KEYWORDS) {
      const { keyword, message, ...types } = own;
      ajv.removeKeyword(keyword);
      ajv.addKeyword({
        keyword,
        ...types,
        error: { message: (cxt) => message(cxt.schema) },
        code: (cxt: KeywordCxt) => callOwn(cxt, own),
      });
    }
    // ajv's goes wrong after a branch that did not hold.
    ajv.removeKeyword('unevaluatedItems');
    ajv.addKeyword({
      keyword: 'unevaluatedItems',
      type: 'array',
      schemaType: ['boolean', 'object'],
      error: { message: 'has items that are not allowed' },
      code: unevaluatedItems,
    });
    // ajv's hands on all faults of the schema that it refers to. In a schema that branches into itself the time to
    // copy them grows with the square of their number.
    const burn = () => {
      if (--fuel.left < 0) throw new FuelSpent();
    };
    ajv.removeKeyword('$ref');
    ajv.addKeyword({ keyword: '$ref', schemaType: 'string', code: (cxt: KeywordCxt) => refer(cxt, burn) });
    ajv.addKeyword({ keyword: CYCLE_MARK });
  }
}

// Schemas with such patterns have been taken out before.
function never(pattern: string): never {
  throw new Error(`pattern ${pattern} cannot be used`);
}

/** Calls a check of ours. */
function callOwn(cxt: KeywordCxt, { keyword }: OwnKeyword): void {
  const { schema, data, gen } = cxt;
  const make: (value: never) => unknown = KEYWORD_CHECKS[keyword];
  // As a literal, a member `__proto__` would be lost.
  const value = typeof schema === 'object' ? _`JSON.parse(${JSON.stringify(schema)})` : _`${schema}`;
  const code = _`checks.${new Name(keyword)}(${value})`;
  const check = gen.scopeValue('keyword', { ref: make(schema as never), code });
  // There are at most as many code points as code units, and at least half as many: most texts need no count.
  if (keyword === 'maxLength') cxt.pass(_`${data}.length <= ${schema} || ${check}(${data})`);
  else if (keyword === 'minLength') cxt.pass(_`${data}.length >= ${2 * schema} || ${check}(${data})`);
  else cxt.pass(_`${check}(${data})`);
}

function unevaluatedItems(cxt: KeywordCxt): void {
  const { gen, data, it } = cxt;
  const evaluated = it.items ?? 0;
  if (evaluated === true) return;
  it.items = true;
  // Not set when the branch that sets it did not hold; true when a branch evaluated all.
  const from = gen.const('from', _`${evaluated} || 0`);
  const valid = gen.let('valid', _`${from} === true || ${data}.length <= ${from}`);
  gen.if(_`!${valid}`, () => {
    gen.assign(valid, true);
    gen.forRange('i', from, _`${data}.length`, (i) => {
      const one = gen.name('one');
      cxt.subschema({ keyword: 'unevaluatedItems', dataProp: i, dataPropType: Type.Num }, one);
      gen.if(_`!${one}`, () => {
        gen.assign(valid, false);
        if (!it.allErrors) gen.break();
      });
    });
  });
  cxt.ok(valid);
}

// Names in generated code: the list of faults, and their number.
const vErrors = new Name('vErrors');
const errors = new Name('errors');
/** Faults that a reference hands on. */
const MAX_CARRIED = 20;

function refer(cxt: KeywordCxt, burn: () => void): void {
  const { gen, it } = cxt;
  const target = resolveRef.call(it.self, it.schemaEnv.root, it.baseId, cxt.schema as string);
  if (!(target instanceof SchemaEnv)) throw new Error(`no schema ${cxt.schema}`);
  const check = getValidate(cxt, target);
  if ((target.schema as Record<string, unknown>)[CYCLE_MARK] === true) {
    gen.code(_`${gen.scopeValue('keyword', { ref: burn, code: _`burn` })}()`);
  }
  const carry = () => {
    // The summary of a failed `anyOf` comes last. When only one fault is reported it must be that.
    const from = it.allErrors ? _`0, ${MAX_CARRIED}` : _`-1`;
    gen.assign(vErrors, _`${vErrors} === null ? [] : ${vErrors}`);
    gen.code(_`${vErrors}.push(...${check}.errors.slice(${from}))`);
    gen.assign(errors, _`${vErrors}.length`);
  };
  cxt.result(callValidateCode(cxt, check, nil), () => takeEvaluated(cxt, check), carry);
}

/** Members and items that the other schema evaluated count here too. */
function takeEvaluated({ gen, it }: KeywordCxt, check: Code): void {
  if (!it.opts.unevaluated) return;
  for (const kind of ['props', 'items'] as const) {
    if (it[kind] === true) continue;
    const evaluated = gen.var(kind, _`${check}.evaluated.${new Name(kind)}`);
    it[kind] = mergeEvaluated[kind](gen, evaluated, it[kind] as never, Name) as never;
  }
}
