import type { SchemaFault } from '../faults.ts';
import type { CheckFunction } from '../registry.ts';

/* Functions for phrases that the code of compiled schemas repeats hundreds of times: see shrink.ts. */

/** Whether an object has an own member of this name that is not undefined. */
export function has(data: Record<string, unknown>, name: string): boolean {
  return data[name] !== undefined && Object.hasOwn(data, name);
}

export function isObject(data: unknown): boolean {
  return typeof data === 'object' && data !== null && !Array.isArray(data);
}

export function fault(
  instancePath: string,
  keyword: string,
  params: Record<string, unknown>,
  message: string,
): SchemaFault {
  return { instancePath, keyword, params, message };
}

export function add(faults: SchemaFault[] | null, one: SchemaFault): SchemaFault[] {
  if (faults === null) return [one];
  faults.push(one);
  return faults;
}

export function fail(check: CheckFunction, one: SchemaFault): false {
  check.errors = [one];
  return false;
}
