import type { Body } from './bodies.ts';
import type { Route } from './routes.ts';

const headOf = (route: Route, headers: Record<string, string | number>, method = 'POST') =>
  [
    `${method} ${route.path} HTTP/1.1`,
    ...Object.entries({ host: 'attacked', ...route.headers, ...headers }).map((pair) => pair.join(': ')),
    '\r\n',
  ].join('\r\n');

/** A whole request, after which the connection ends unless `keep` says that more follows. */
export function post(route: Route, { bytes, type, coding }: Body, keep = false): Buffer {
  const head = headOf(route, {
    'content-type': type ?? 'application/json',
    ...(coding === undefined ? {} : { 'content-encoding': coding }),
    'content-length': bytes.length,
    ...(keep ? {} : { connection: 'close' }),
  });
  return Buffer.concat([Buffer.from(head), bytes]);
}

export function get(route: Route, path: string): Buffer {
  return Buffer.from(headOf({ ...route, path }, { connection: 'close' }, 'GET'));
}

/** A head that announces a megabyte, and the first bytes of it. */
export function announced(route: Route, bytes: Buffer = Buffer.alloc(0)): Buffer {
  const head = headOf(route, { 'content-type': 'application/json', 'content-length': 1024 * 1024 });
  return Buffer.concat([Buffer.from(head), bytes]);
}

/** A head after which chunks follow. */
export function chunkedHead(route: Route): Buffer {
  return Buffer.from(headOf(route, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' }));
}

/** A head of `size` bytes that does not end. */
export function halfHead(route: Route, size: number): Buffer {
  const start = headOf(route, { 'content-type': 'application/json' }).slice(0, -2);
  return Buffer.from(`${start}x-long: ${'a'.repeat(size - start.length - 8)}`);
}

/** A whole request with many header fields. */
export function manyFields(route: Route, count: number): Buffer {
  const fields = Array.from({ length: count }, (_, n) => [`x${n}`, '1'] as const);
  return Buffer.from(
    headOf(route, { ...Object.fromEntries(fields), 'content-length': 0, connection: 'close' }),
  );
}
