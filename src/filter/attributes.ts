import { attributeReader } from '../cloudevents/attribute-reader.ts';
import type { CloudEvent } from '../cloudevents/record.ts';
import type { AttributeFilter } from '../config/subscription/types.ts';
import type { StoredRecord } from '../ports/event-log.ts';

/** `event` is the record's `structuredEvent`. */
export type AttributeTest = (record: StoredRecord, event: CloudEvent | null) => boolean;

/**
 * Compiles filters of the CloudEvents Subscriptions API (section 3.2.4), all of which must hold. An attribute that the
 * event does not have never matches. Case matters.
 */
export function compileAttributeFilters(filters: readonly AttributeFilter[]): AttributeTest {
  return every(filters.map(compile));
}

function compile(filter: AttributeFilter): AttributeTest {
  if ('exact' in filter) return attributes(filter.exact, exact);
  if ('prefix' in filter) return attributes(filter.prefix, prefix);
  if ('suffix' in filter) return attributes(filter.suffix, suffix);
  if ('all' in filter) return every(filter.all.map(compile));
  if ('any' in filter) return some(filter.any.map(compile));
  const test = compile(filter.not);
  return (record, event) => !test(record, event);
}

function every(tests: readonly AttributeTest[]): AttributeTest {
  if (tests.length === 1) return tests[0]!;
  return (record, event) => {
    for (const test of tests) if (!test(record, event)) return false;
    return true;
  };
}

function some(tests: readonly AttributeTest[]): AttributeTest {
  return (record, event) => {
    for (const test of tests) if (test(record, event)) return true;
    return false;
  };
}

/** Compares an attribute with the value that a filter wants: as bytes, which gives the same result for UTF-8, or as text. */
interface Comparison {
  bytes(value: Uint8Array, wanted: Uint8Array): boolean;
  text(value: string, wanted: string): boolean;
}

const exact: Comparison = {
  bytes: (value, wanted) => value.length === wanted.length && hasBytes(value, 0, wanted),
  text: (value, wanted) => value === wanted,
};
const prefix: Comparison = {
  bytes: (value, wanted) => value.length >= wanted.length && hasBytes(value, 0, wanted),
  text: (value, wanted) => value.startsWith(wanted),
};
const suffix: Comparison = {
  bytes: (value, wanted) =>
    value.length >= wanted.length && hasBytes(value, value.length - wanted.length, wanted),
  text: (value, wanted) => value.endsWith(wanted),
};

/** Compares from the end: event types of one application begin alike. */
function hasBytes(value: Uint8Array, at: number, wanted: Uint8Array): boolean {
  for (let i = wanted.length - 1; i >= 0; i--) if (value[at + i] !== wanted[i]) return false;
  return true;
}

function attributes(wanted: Record<string, string>, comparison: Comparison): AttributeTest {
  return every(Object.entries(wanted).map(([name, value]) => attribute(name, value, comparison)));
}

function attribute(name: string, wanted: string, comparison: Comparison): AttributeTest {
  const reader = attributeReader(name);
  const wantedBytes = Buffer.from(wanted);
  return (record, event) => {
    const bytes = reader.bytes(record, event);
    if (bytes !== null) return comparison.bytes(bytes, wantedBytes);
    const text = reader.text(record, event);
    return text !== undefined && comparison.text(text, wanted);
  };
}
