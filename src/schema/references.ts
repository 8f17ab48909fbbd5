import { _, type Ajv2020, type Code, type KeywordCxt, Name, nil } from 'ajv/dist/2020.js';
import { resolveRef, SchemaEnv } from 'ajv/dist/compile/index.js';
import { mergeEvaluated } from 'ajv/dist/compile/util.js';
import { callValidateCode } from 'ajv/dist/vocabularies/code.js';
import { getValidate } from 'ajv/dist/vocabularies/core/ref.js';
import { type Fuel, FuelSpent } from './registry.ts';

/** Marks schemas that could come back to themselves: entering one takes fuel. */
export const CYCLE_MARK = 'x-postern-cycle';

// What generated code calls its list of faults, and their number.
const vErrors = new Name('vErrors');
const errors = new Name('errors');
// Faults that are carried out of a schema into the one that refers to it.
const MOST_CARRIED = 20;

/**
 * Replaces ajv's `$ref`, which hands on all faults of what it refers to: in a schema that branches into itself
 * the time to copy them grows with the square of their number.
 */
export function addReferences(ajv: Ajv2020, fuel: Fuel): void {
  const burn = () => {
    if (--fuel.left < 0) throw new FuelSpent();
  };
  ajv.removeKeyword('$ref');
  ajv.addKeyword({ keyword: '$ref', schemaType: 'string', code: (cxt: KeywordCxt) => call(cxt, burn) });
  ajv.addKeyword({ keyword: CYCLE_MARK });
}

function call(cxt: KeywordCxt, burn: () => void): void {
  const { gen, it } = cxt;
  const target = resolveRef.call(it.self, it.schemaEnv.root, it.baseId, cxt.schema as string);
  if (!(target instanceof SchemaEnv)) throw new Error(`no schema ${cxt.schema}`);
  const check = getValidate(cxt, target);
  if ((target.schema as Record<string, unknown>)[CYCLE_MARK] === true) {
    gen.code(_`${gen.scopeValue('keyword', { ref: burn, code: _`burn` })}()`);
  }
  const carry = () => {
    // The summary of a failed `anyOf` comes last: when only one fault is told it must be that.
    const from = it.allErrors ? _`0, ${MOST_CARRIED}` : _`-1`;
    gen.assign(vErrors, _`${vErrors} === null ? [] : ${vErrors}`);
    gen.code(_`${vErrors}.push(...${check}.errors.slice(${from}))`);
    gen.assign(errors, _`${vErrors}.length`);
  };
  cxt.result(callValidateCode(cxt, check, nil), () => takeEvaluated(cxt, check), carry);
}

/** What the other schema evaluated counts here too. */
function takeEvaluated({ gen, it }: KeywordCxt, check: Code): void {
  if (!it.opts.unevaluated) return;
  for (const kind of ['props', 'items'] as const) {
    if (it[kind] === true) continue;
    const evaluated = gen.var(kind, _`${check}.evaluated.${new Name(kind)}`);
    it[kind] = mergeEvaluated[kind](gen, evaluated, it[kind] as never, Name) as never;
  }
}
