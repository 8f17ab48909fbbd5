import type { LogRecord, RecordHeaders } from '../../ports/event-log.ts';

/** One record as it goes into its row. */
export interface Row {
  key: Uint8Array | null;
  headers: string;
  value: Uint8Array | null;
  /** Of key, headers and value. */
  bytes: number;
}

/** A record in the form of its row. */
export function toRow({ key, value, headers }: LogRecord): Row {
  const bytes = typeof key === 'string' ? Buffer.from(key) : key;
  const text = formatHeaders(headers);
  return {
    key: bytes,
    value,
    headers: text,
    bytes: (bytes?.length ?? 0) + (value?.length ?? 0) + text.length,
  };
}

/** As JSON, so that the file can be read with other tools; what is not text is `[base64]`. */
function formatHeaders(headers: RecordHeaders): string {
  const entries = Object.entries(headers).map(([name, value]) => [
    name,
    typeof value === 'string' ? value : [Buffer.from(value).toString('base64')],
  ]);
  return JSON.stringify(entries);
}

/** The headers of a row's text. */
export function parseHeaders(text: string): Record<string, Uint8Array> {
  const entries: [string, string | [string]][] = JSON.parse(text);
  return Object.fromEntries(
    entries.map(([name, value]) => [
      name,
      typeof value === 'string' ? Buffer.from(value) : Buffer.from(value[0], 'base64'),
    ]),
  );
}
