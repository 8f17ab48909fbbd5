import type { LogRecord, RecordHeaders } from '../../ports/event-log.ts';

/** A record in the columns of its row. */
export interface Row {
  key: Uint8Array | null;
  headers: string;
  value: Uint8Array | null;
  /** Bytes of key, headers and value. */
  bytes: number;
}

/** The row of a record. */
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

/** JSON, so that other tools can read it. A header that is not text is written as `[base64]`. */
function formatHeaders(headers: RecordHeaders): string {
  const entries = Object.entries(headers).map(([name, value]) => [
    name,
    typeof value === 'string' ? value : [Buffer.from(value).toString('base64')],
  ]);
  return JSON.stringify(entries);
}

/** Reads the headers of a row. */
export function parseHeaders(text: string): Record<string, Uint8Array> {
  const entries: [string, string | [string]][] = JSON.parse(text);
  return Object.fromEntries(
    entries.map(([name, value]) => [
      name,
      typeof value === 'string' ? Buffer.from(value) : Buffer.from(value[0], 'base64'),
    ]),
  );
}
