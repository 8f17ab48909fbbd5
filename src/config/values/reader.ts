import { formatDuration, formatSize, parseDuration, parseSize } from '../../core/units.ts';
import type { Findings } from '../text/findings.ts';
import type { Path } from '../text/path.ts';

/** Reads the text of a file that holds a secret. Throws when it cannot be read. */
export type SecretReader = (path: string) => string;

/** Longest duration of a timer in milliseconds: Node fires longer ones at once. */
const MAX_TIMER = 24 * 86_400_000;

/** Reads single values and reports errors in them. */
export interface Reader {
  findings: Findings;
  /** Follows `file:/path`. */
  secret(path: Path, text: string): string;
  /** Milliseconds; `min` is 1 and `max` 24 days unless given. */
  time(path: Path, text: string, min?: number, max?: number): number;
  /** Bytes, from 1. */
  size(path: Path, text: string, max: number): number;
}

export function makeReader(findings: Findings, readFile: SecretReader): Reader {
  return {
    findings,
    secret: (path, text) => readSecret(findings, path, text, readFile),
    time: (path, text, min = 1, max = MAX_TIMER) =>
      inRange(findings, path, parseDuration(text), min, max, formatDuration),
    size: (path, text, max) => inRange(findings, path, parseSize(text), 1, max, formatSize),
  };
}

function inRange(
  findings: Findings,
  path: Path,
  value: number | null,
  min: number,
  max: number,
  format: (value: number) => string,
): number {
  if (value === null || value < min || value > max) {
    findings.error(path, `must be between ${format(min)} and ${format(max)}`);
  }
  return value ?? min;
}

/** Returns the secret: the text itself, or the content of the file that `file:/path` names. */
function readSecret(findings: Findings, path: Path, text: string, readFile: SecretReader): string {
  let value = text;
  if (text.startsWith('file:')) {
    try {
      // Editors and `echo` end a file with a line break. It is not part of the secret.
      value = readFile(text.slice('file:'.length)).replace(/\r?\n$/, '');
    } catch (error) {
      findings.error(path, `cannot be read from its file: ${error instanceof Error ? error.message : error}`);
    }
  }
  if (value.trim() === '') findings.error(path, 'is empty; an empty secret protects nothing');
  return value;
}
