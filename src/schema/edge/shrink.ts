/** A string in generated code; matched first wherever it is, so that no rule looks into one. */
const STRING = String.raw`"(?:[^"\\]|\\.)*"`;
/** Code without braces, or without commas and braces. */
const PLAIN = `(?:${STRING}|[^{}"])*`;
const ITEM = `(?:${STRING}|[^{},"])*`;
const CALL = String.raw`fault\((?:${STRING}|[^";\]])*\)`;

type Rule = [pattern: string, replace: (...groups: string[]) => string];

/**
 * Code that ajv writes out for each keyword, as calls of short-forms.ts. A rule that no longer finds what it looks
 * for makes the bundle larger, not wrong: it replaces whole, known phrases.
 */
const RULES: Rule[] = [
  // Faults tell where and what; nobody reads where in the schema, nor numbers that are in the message.
  [`schemaPath:${STRING},`, () => ''],
  [
    String.raw`params:\{(?:(?:comparison|limit|type|pattern|format|failingKeyword): ?(?:${STRING}|[\w.+-]+)(?:, ?)?)+\}`,
    () => 'params:{}',
  ],
  [
    String.raw`if\(vErrors === null\)\{vErrors = \[(err\d+)\];\}else \{vErrors\.push\(err\d+\);\}errors\+\+;`,
    (fault) => `vErrors = add(vErrors, ${fault});errors++;`,
  ],
  [
    String.raw`\{(instancePath${ITEM}),keyword:(${STRING}),params:(\{${PLAIN}\}),message:(${ITEM})\}`,
    (path, keyword, params, message) =>
      `fault(${path!.replace(/^instancePath:/, '')},${keyword},${params},${message})`,
  ],
  [
    String.raw`const err\d+ = (${CALL});vErrors = add\(vErrors, err\d+\);errors\+\+;`,
    (call) => `vErrors = add(vErrors, ${call});errors++;`,
  ],
  [
    String.raw`(validate\d+)\.errors = \[(${CALL})\];return false;`,
    (name, call) => `return fail(${name}, ${call});`,
  ],
  [
    String.raw`(data\d*)(?:\.\w+|\[${STRING}\]) !== undefined && func\d+\.call\(data\d*, (${STRING})\)`,
    (data, name) => `has(${data}, ${name})`,
  ],
  [
    String.raw`\((data\d*)(?:\.\w+|\[${STRING}\]) === undefined\) \|\| \(!\(func\d+\.call\(data\d*, (${STRING})\)\)\)`,
    (data, name) => `!has(${data}, ${name})`,
  ],
  [
    String.raw`(data\d*) && typeof data\d* == "object" && !Array\.isArray\(data\d*\)`,
    (data) => `isObject(${data})`,
  ],
];

/** The same code in about half the size. */
export function shrink(code: string): string {
  let text = code;
  for (const [pattern, replace] of RULES) {
    text = text.replace(new RegExp(`${STRING}|${pattern}`, 'g'), (whole, ...groups: string[]) =>
      whole.startsWith('"') ? whole : replace(...groups),
    );
  }
  return text;
}
