import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { locate } from '../../src/json/pointer.ts';
import { eachElement, ScanError, type Span, skipSpace, textOf, valueSpan } from '../../src/json/scan.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);

function elements(text: string): string[] {
  const bytes = bytesOf(text);
  const found: string[] = [];
  eachElement(bytes, skipSpace(bytes, 0, bytes.length), bytes.length, (span) =>
    found.push(textOf(bytes, span.start, span.end)),
  );
  return found;
}

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

function valuesIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1;
  return Object.values(value).reduce((sum: number, inner) => sum + valuesIn(inner), 1);
}

describe('eachElement', () => {
  it('cuts any array into texts that parse to its elements', () => {
    fc.assert(
      fc.property(
        fc.array(fc.jsonValue()),
        fc.constantFrom(undefined, 1, '\t', '\r\n  '),
        (values, indent) => {
          const cut = elements(` ${JSON.stringify(values, null, indent)}\n`);
          expect(cut.map((text) => JSON.parse(text))).toEqual(JSON.parse(JSON.stringify(values)));
        },
      ),
    );
  });

  it('keeps the text of each element as it was sent', () => {
    const kept = [
      '9007199254740993',
      '{"a" : 1.0,"a":1e400}',
      '"\\ud83d]"',
      '[ ]',
      '{"__proto__":{"]":"}"}}',
      '-0',
    ];
    expect(elements(`[ ${kept.join(' ,\n')} ]`)).toEqual(kept);
  });

  it.each([
    '[',
    '[1',
    '[1,',
    '[1,]',
    '[,1]',
    '[1 2]',
    '[{]',
    '["a]',
    '[1]]',
    '[1] x',
    '[{"a":1}{"b":2}]',
    '[}',
  ])('refuses %s', (text) => {
    expect(() => elements(text)).toThrow(ScanError);
  });
});

describe('valueSpan', () => {
  it('tells the depth of any value, and about how many it holds', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        const bytes = bytesOf(JSON.stringify(value));
        const { values, ...span }: Span = valueSpan(bytes, 0, bytes.length);
        const parsed = JSON.parse(JSON.stringify(value));
        expect(span).toEqual({ start: 0, end: bytes.length, depth: depthOf(parsed) });
        // An empty object or list counts one more than it has.
        expect(values).toBeGreaterThanOrEqual(valuesIn(parsed));
        expect(values).toBeLessThanOrEqual(2 * valuesIn(parsed));
      }),
    );
  });
});

describe('locate', () => {
  const at = (text: string, ...tokens: string[]) => {
    const bytes = bytesOf(text);
    const span = locate(bytes, tokens);
    return span === null ? null : textOf(bytes, span.start, span.end);
  };

  it('finds members and elements by their raw text', () => {
    expect(at('{"a":{"b":[1, 9007199254740993 ]}}', 'a', 'b', '1')).toBe('9007199254740993');
    expect(at(' {"x": "é" , "y" : 1.0}', 'y')).toBe('1.0');
    expect(at('{"a":1}', 'b')).toBeNull();
    expect(at('{"a":1}', 'a', 'b')).toBeNull();
    expect(at('[1,2]', '2')).toBeNull();
    expect(at('[1,2]', '01')).toBeNull();
  });

  it('takes the last of members with one name, however it is written', () => {
    expect(at('{"id":1,"\\u0069d":2}', 'id')).toBe('2');
  });

  it('agrees with JSON.parse on every path', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (object) => {
        for (const [name, value] of Object.entries(JSON.parse(JSON.stringify(object)) as object)) {
          expect(JSON.parse(at(JSON.stringify(object), name)!)).toEqual(value);
        }
      }),
    );
  });
});
