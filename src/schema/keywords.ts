import { _, type Ajv2020, type Code, type KeywordCxt } from 'ajv/dist/2020.js';
import { Type } from 'ajv/dist/compile/util.js';

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
    code: (cxt: KeywordCxt) => pass(cxt, oneOfValues([cxt.schema])),
  });
  ajv.addKeyword({
    keyword: 'enum',
    schemaType: 'array',
    ...message('must be one of the allowed values'),
    code: (cxt: KeywordCxt) => pass(cxt, oneOfValues(cxt.schema as unknown[])),
  });
  ajv.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    ...message('must not have items that are equal'),
    code: (cxt: KeywordCxt) => cxt.schema === true && pass(cxt, areUnique),
  });
  ajv.addKeyword({
    keyword: 'multipleOf',
    type: 'number',
    schemaType: 'number',
    error: { message: (cxt) => `must be a multiple of ${cxt.schema}` },
    code: (cxt: KeywordCxt) => pass(cxt, multipleOf(cxt.schema as number)),
  });
  ajv.addKeyword({
    keyword: 'maxLength',
    type: 'string',
    schemaType: 'number',
    error: { message: (cxt) => `must not have more than ${cxt.schema} characters` },
    // Characters are code points: never more than there are code units, and at least half as many.
    code: (cxt: KeywordCxt) =>
      shortcut(cxt, _`${cxt.data}.length <= ${cxt.schema}`, atMost(cxt.schema as number)),
  });
  ajv.addKeyword({
    keyword: 'minLength',
    type: 'string',
    schemaType: 'number',
    error: { message: (cxt) => `must not have fewer than ${cxt.schema} characters` },
    code: (cxt: KeywordCxt) =>
      shortcut(cxt, _`${cxt.data}.length >= ${2 * (cxt.schema as number)}`, atLeast(cxt.schema as number)),
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
function shortcut(cxt: KeywordCxt, plain: Code, check: (value: string) => boolean): void {
  const name = cxt.gen.scopeValue('keyword', { ref: check });
  cxt.pass(_`${plain} || ${name}(${cxt.data})`);
}

const atMost = (limit: number) => (text: string) => codePoints(text) <= limit;
const atLeast = (limit: number) => (text: string) => codePoints(text) >= limit;

function codePoints(text: string): number {
  return [...text].length;
}

function pass(cxt: KeywordCxt, check: (value: never) => boolean): void {
  const name = cxt.gen.scopeValue('keyword', { ref: check });
  cxt.pass(_`${name}(${cxt.data})`);
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

function oneOfValues(values: unknown[]): (value: unknown) => boolean {
  const plain = new Set(values.filter((value) => !isContainer(value)));
  const containers = new Set(values.filter(isContainer).map(canonical));
  if (containers.size === 0) return (value) => plain.has(value);
  return (value) => plain.has(value) || (isContainer(value) && containers.has(canonical(value)));
}

function areUnique(items: unknown[]): boolean {
  const plain = new Set<unknown>();
  const containers = new Set<string>();
  for (const item of items) {
    const seen: Set<unknown> = isContainer(item) ? containers : plain;
    const form = isContainer(item) ? canonical(item) : item;
    if (seen.has(form)) return false;
    seen.add(form);
  }
  return true;
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** The same text for equal JSON values, whatever the order of their members. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (!isContainer(value)) return typeof value === 'string' ? JSON.stringify(value) : String(value);
  const members = Object.keys(value).sort();
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical((value as Record<string, unknown>)[name])}`).join()}}`;
}

function multipleOf(divisor: number): (value: number) => boolean {
  if (Number.isInteger(divisor)) return (value) => value % divisor === 0;
  const [digits, exponent] = decimal(divisor);
  return (value) => {
    const [valueDigits, valueExponent] = decimal(value);
    const scale = Math.min(exponent, valueExponent);
    const up = (of: bigint, by: number) => of * 10n ** BigInt(by - scale);
    return up(valueDigits, valueExponent) % up(digits, exponent) === 0n;
  };
}

/** The number as it is written: digits times ten to the exponent. Exponents stay within ±325. */
function decimal(value: number): [bigint, number] {
  const [mantissa = '0', exponent = '0'] = String(value).split('e');
  const [whole = '0', fraction = ''] = mantissa.split('.');
  return [BigInt(whole + fraction), Number(exponent) - fraction.length];
}
