import type { Findings, Path } from '../text/text.ts';
import type { AttributeFilter } from './types.ts';

const NAME = /^[a-z0-9]+$/;
/** Names that CloudEvents forbids, or that no event here can have. */
const NEVER = new Set(['data', 'constructor']);
/** Filters inside each other. */
const DEEPEST = 16;

/** Checks what the config's shape leaves open in filters of the CloudEvents Subscriptions API (section 3.2.4). */
export function checkFilters(findings: Findings, path: Path, filters: readonly AttributeFilter[]): void {
  for (const [index, filter] of filters.entries()) checkFilter(findings, [...path, index], filter, 1);
}

function checkFilter(findings: Findings, path: Path, filter: AttributeFilter, depth: number): void {
  if (depth > DEEPEST) {
    findings.error(path, `is more than ${DEEPEST} filters deep`);
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
    else if (NEVER.has(name))
      findings.error([...path, name], 'is no attribute; what is in the data is for filter');
    else if (value === '') findings.error([...path, name], 'is empty');
    // Half of a pair of UTF-16 is no text, and no header has it.
    else if (!value.isWellFormed()) findings.error([...path, name], 'is not Unicode text');
  }
}
