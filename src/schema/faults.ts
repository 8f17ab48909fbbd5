import type { EventError } from '../core/event.ts';

/** One fault as a compiled schema reports it. */
export interface SchemaFault {
  keyword: string;
  /** JSON Pointer into the payload. */
  instancePath: string;
  params: Record<string, unknown>;
  message?: string | undefined;
  /** Set when the fault is in a property's name. */
  propertyName?: string | undefined;
}

const MAX_ERRORS = 20;
// Characters. Both stand in a reply and in a record's header, and clients choose how long property names are.
const MAX_POINTER = 256;
const MAX_DETAIL = 256;

/** At most 20 different errors, in the order found. */
export function toEventErrors(faults: readonly SchemaFault[]): EventError[] {
  const errors: EventError[] = [];
  const seen = new Set<string>();
  for (const fault of faults) {
    const { pointer, detail } = describe(fault);
    if (seen.has(`${pointer} ${detail}`)) continue;
    seen.add(`${pointer} ${detail}`);
    errors.push({ code: 'schema_mismatch', pointer: toFragment(pointer), detail });
    if (errors.length === MAX_ERRORS) break;
  }
  // A validator that reports no fault has still refused the event.
  return errors.length > 0
    ? errors
    : [{ code: 'schema_mismatch', pointer: '#', detail: 'does not match its schema' }];
}

/** Where a fault is (JSON Pointer, RFC 6901), and a description for people. */
export function describe(fault: SchemaFault): { pointer: string; detail: string } {
  const { instancePath, params } = fault;
  const at = (name: unknown) => `${instancePath}/${escapeToken(String(name))}`;
  switch (fault.keyword) {
    case 'required':
      return { pointer: at(params.missingProperty), detail: 'is required' };
    case 'dependentRequired':
      return {
        pointer: at(params.missingProperty),
        detail: cut(`is required beside ${JSON.stringify(params.property)}`),
      };
    case 'additionalProperties':
      return { pointer: at(params.additionalProperty), detail: 'is not allowed' };
    case 'unevaluatedProperties':
      return { pointer: at(params.unevaluatedProperty), detail: 'is not allowed' };
    case 'propertyNames':
      return { pointer: at(params.propertyName), detail: 'has a name that is not allowed' };
    case 'false schema':
      return { pointer: instancePath, detail: 'is not allowed' };
    default: {
      const text = (fault.message ?? 'does not match its schema').replace('must NOT', 'must not');
      return fault.propertyName === undefined
        ? { pointer: instancePath, detail: cut(text) }
        : { pointer: at(fault.propertyName), detail: cut(`name ${text}`) };
    }
  }
}

/** Escapes one member name for a JSON Pointer. */
export function escapeToken(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** JSON Pointer -> URI fragment (RFC 6901 section 6). A pointer that is too long becomes that of an ancestor. */
function toFragment(pointer: string): string {
  let fragment = encode(pointer);
  while (fragment.length > MAX_POINTER) fragment = fragment.slice(0, fragment.lastIndexOf('/'));
  return fragment;
}

function encode(pointer: string): string {
  return `#${encodeURI(pointer.toWellFormed()).replaceAll('#', '%23')}`;
}

function cut(text: string): string {
  return text.length <= MAX_DETAIL ? text : `${text.slice(0, MAX_DETAIL - 1).toWellFormed()}…`;
}
