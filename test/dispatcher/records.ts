import type { StoredRecord } from '../../src/ports/event-log.ts';

/** A stored record with text headers; by default a binary-mode CloudEvent with JSON data. */
export function stored(
  value: string | Uint8Array | null,
  headers: Record<string, string> = {},
  place: Partial<Pick<StoredRecord, 'topic' | 'partition' | 'offset' | 'key' | 'timestamp'>> = {},
): StoredRecord {
  const all = {
    ce_specversion: '1.0',
    ce_id: 'id-1',
    ce_source: '/shop',
    ce_type: 'shop.order',
    'content-type': 'application/json',
    ...headers,
  };
  return { ...foreign(value, all), ...place };
}

/** A stored record with these headers only. */
export function foreign(
  value: string | Uint8Array | null,
  headers: Record<string, string> = {},
): StoredRecord {
  return {
    topic: 'orders',
    partition: 0,
    offset: 7,
    timestamp: Date.UTC(2024, 0, 2),
    key: null,
    value: typeof value === 'string' ? Buffer.from(value) : value,
    headers: Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)])),
  };
}

/** A record's headers as text. */
export const headersOf = ({ headers }: StoredRecord): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, bytes]) => [name, Buffer.from(bytes).toString()]));

/** The ids of the events in a batch. */
export const idsOf = (body: string) => (JSON.parse(body) as { id: string }[]).map(({ id }) => id);
