import { _, type Ajv2020, type Code, type KeywordCxt } from 'ajv/dist/2020.js';
import { Type } from 'ajv/dist/compile/util.js';
import { areUnique, atLeast, atMost, multipleOf, oneOfValues } from './keyword-checks.ts';

const REPLACED = ['const', 'enum', 'maxLength', 'minLength', 'uniqueItems', 'multipleOf', 'unevaluatedItems'];

/**
 * Replaces ajv's own versions: its equality calls `valueOf` and `toString` members out of the payload, its
 * `uniqueItems` compares all pairs, its lengths count every character, its `multipleOf` finds that 19.99 is no multiple of 0.01, its
 * `unevaluatedItems` goes wrong after a branch that did not hold.
 */
export function addKeywords(ajv: Ajv2020): void {
  for (const keyword of REPLACED) ajv.removeKeyword(keyword);
  const message = (text: string) => ({ error: { message: text } });
  ajv.addKeyword({
    keyword: 'const',
    ...message('must be equal to the constant of the schema'),
    code: (cxt: KeywordCxt) => pass(cxt, oneOfValues([cxt.schema]), _`oneOfValues(${parsed([cxt.schema])})`),
  });
  ajv.addKeyword({
    keyword: 'enum',
    schemaType: 'array',
    ...message('must be one of the allowed values'),
    code: (cxt: KeywordCxt) =>
      pass(cxt, oneOfValues(cxt.schema as unknown[]), _`oneOfValues(${parsed(cxt.schema)})`),
  });
  ajv.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    ...message('must not have items that are equal'),
    code: (cxt: KeywordCxt) => cxt.schema === true && pass(cxt, areUnique, _`areUnique`),
  });
  ajv.addKeyword({
    keyword: 'multipleOf',
    type: 'number',
    schemaType: 'number',
    error: { message: (cxt) => `must be a multiple of ${cxt.schema}` },
    code: (cxt: KeywordCxt) => pass(cxt, multipleOf(cxt.schema as number), _`multipleOf(${cxt.schema})`),
  });
  ajv.addKeyword({
    keyword: 'maxLength',
    type: 'string',
    schemaType: 'number',
    error: { message: (cxt) => `must not have more than ${cxt.schema} characters` },
    // Characters are code points: never more than there are code units, and at least half as many.
    code: (cxt: KeywordCxt) =>
      shortcut(
        cxt,
        _`${cxt.data}.length <= ${cxt.schema}`,
        atMost(cxt.schema as number),
        _`atMost(${cxt.schema})`,
      ),
  });
  ajv.addKeyword({
    keyword: 'minLength',
    type: 'string',
    schemaType: 'number',
    error: { message: (cxt) => `must not have fewer than ${cxt.schema} characters` },
    code: (cxt: KeywordCxt) =>
      shortcut(
        cxt,
        _`${cxt.data}.length >= ${2 * (cxt.schema as number)}`,
        atLeast(cxt.schema as number),
        _`atLeast(${cxt.schema})`,
      ),
  });
  ajv.addKeyword({
    keyword: 'unevaluatedItems',
    type: 'array',
    schemaType: ['boolean', 'object'],
    ...message('has items that are not allowed'),
    code: unevaluatedItems,
  });
}

/** Passes where `plain` holds, and asks the function only where it does not. */
function shortcut(cxt: KeywordCxt, plain: Code, check: (value: string) => boolean, code: Code): void {
  const name = cxt.gen.scopeValue('keyword', { ref: check, code });
  cxt.pass(_`${plain} || ${name}(${cxt.data})`);
}

/** `code` makes the check where schemas are compiled ahead. */
function pass(cxt: KeywordCxt, check: (value: never) => boolean, code: Code): void {
  const name = cxt.gen.scopeValue('keyword', { ref: check, code });
  cxt.pass(_`${name}(${cxt.data})`);
}

/** JSON as code. Not as a literal: there `__proto__` would not be a member. */
function parsed(value: unknown): Code {
  return _`JSON.parse(${JSON.stringify(value)})`;
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
