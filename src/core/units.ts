/** Durations and sizes as the config writes them: a whole number and its unit. */

const MILLISECONDS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const BYTES = { B: 1, kB: 1e3, KiB: 2 ** 10, MB: 1e6, MiB: 2 ** 20, GB: 1e9, GiB: 2 ** 30 };

export const DURATION_PATTERN = `^\\d{1,15}(${Object.keys(MILLISECONDS).join('|')})$`;
export const SIZE_PATTERN = `^\\d{1,15}(${Object.keys(BYTES).join('|')})$`;

/** The form of a duration, for messages. */
export const DURATION_FORM = 'a duration: a whole number and ms, s, m, h or d, such as 500ms or 24h';
/** The form of a size, for messages. */
export const SIZE_FORM = 'a size: a whole number and B, kB, KiB, MB, MiB, GB or GiB, such as 256KiB';

/** Milliseconds of `200ms`, `10s`, `5m`, `24h`, `7d`; null when it is no duration. */
export function parseDuration(text: string): number | null {
  return parse(text, MILLISECONDS);
}

/** Bytes of `512B`, `1MiB`, `5MB` and so on; null when it is no size. */
export function parseSize(text: string): number | null {
  return parse(text, BYTES);
}

/** The shortest text that parses back to the same duration. */
export function formatDuration(ms: number): string {
  return format(ms, MILLISECONDS);
}

/** The shortest text that parses back to the same size. */
export function formatSize(bytes: number): string {
  return format(bytes, BYTES);
}

function parse(text: string, units: Record<string, number>): number | null {
  const match = /^(\d{1,15})([A-Za-z]+)$/.exec(text);
  const unit = match?.[2] ?? '';
  return match && Object.hasOwn(units, unit) ? Number(match[1]) * units[unit]! : null;
}

function format(value: number, units: Record<string, number>): string {
  let best = '';
  for (const [unit, factor] of Object.entries(units)) {
    const text = `${value / factor}${unit}`;
    if (value % factor === 0 && (best === '' || text.length < best.length)) best = text;
  }
  return best;
}
