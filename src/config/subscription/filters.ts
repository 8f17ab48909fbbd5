import type { Findings } from '../text/findings.ts';
import type { Path } from '../text/path.ts';
import type { AttributeFilter } from './types.ts';

const NAME = /^[a-z0-9]+$/;
/** Names that CloudEvents forbids, or that Postern gives to no attribute. */
const FORBIDDEN = new Set(['data', 'constructor']);
/** Filters inside each other. */
const MAX_DEPTH = 16;

/** Checks filters of the CloudEvents Subscriptions API (section 3.2.4), beyond their shape. */
export function checkFilters(findings: Findings, path: Path, filters: readonly AttributeFilter[]): void {
  for (const [index, filter] of filters.entries()) checkFilter(findings, [...path, index], filter, 1);
}

function checkFilter(findings: Findings, path: Path, filter: AttributeFilter, depth: number): void {
  if (depth > MAX_DEPTH) {
    findings.error(path, `is more than ${MAX_DEPTH} filters deep`);
    return;
  }
  if ('not' in filter) checkFilter(findings, [...path, 'not'], filter.not, depth + 1);
  else if ('all' in filter) checkEach(findings, [...path, 'all'], filter.all, depth);
  else if ('any' in filter) checkEach(findings, [...path, 'any'], filter.any, depth);
  else if ('exact' in filter) checkAttributes(findings, [...path, 'exact'], filter.exact);
  else if ('prefix' in filter) checkAttributes(findings, [...path, 'prefix'], filter.prefix);
  else if ('suffix' in filter) checkAttributes(findings, [...path, 'suffix'], filter.suffix);
}

function checkEach(findings: Findings, path: Path, filters: readonly AttributeFilter[], depth: number): void {
  if (filters.length === 0) findings.error(path, 'names no filter');
  for (const [index, filter] of filters.entries()) checkFilter(findings, [...path, index], filter, depth + 1);
}

function checkAttributes(findings: Findings, path: Path, wanted: Record<string, string>): void {
  const entries = Object.entries(wanted);
  if (entries.length === 0) findings.error(path, 'names no attribute');
  for (const [name, value] of entries) {
    if (!NAME.test(name)) findings.error([...path, name], 'must be lower-case letters and digits');
    else if (FORBIDDEN.has(name))
      findings.error([...path, name], 'is not an attribute; use filter for fields of the data');
    else if (value === '') findings.error([...path, name], 'is empty');
    // Half of a UTF-16 pair is not text, so no header can have it.
    else if (!value.isWellFormed()) findings.error([...path, name], 'is not Unicode text');
  }
}
