import { once } from 'node:events';
import { createServer, type Server, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { beforeAll, expect, test } from 'vitest';
import type { TlsConfig } from '../../src/config/values/tls.ts';
import { conclude } from '../../src/function/answer.ts';
import { stored } from '../dispatcher/records.ts';
import { type Authority, type Certificate, makeAuthority } from '../services/certificates.ts';
import { call, invoker, open } from './calls.ts';

let authority: Authority;
let stranger: Authority;
let server: Certificate;
let client: Certificate;
beforeAll(async () => {
  [authority, stranger] = await Promise.all([makeAuthority(), makeAuthority()]);
  server = await authority.issue('function', ['IP:127.0.0.1']);
  client = await authority.issue('postern');
});

interface Function {
  url: string;
  /** Names of the certificates that called. */
  callers: string[];
  connections: number;
}

async function serve(options: ServerOptions = {}, answers = true): Promise<Function> {
  const seen: Function = { url: '', callers: [], connections: 0 };
  const https: Server = createServer({ ...server, ca: authority.ca, ...options }, (request, response) => {
    const socket = request.socket as TLSSocket;
    seen.callers.push(String(socket.getPeerCertificate().subject?.CN));
    request.resume();
    if (answers) response.writeHead(204).end();
    else socket.destroy();
  });
  https.on('secureConnection', () => seen.connections++);
  https.on('tlsClientError', () => {});
  https.listen(0, '127.0.0.1');
  await once(https, 'listening');
  open.push({
    async close() {
      https.closeAllConnections();
      https.close();
    },
  });
  seen.url = `https://127.0.0.1:${(https.address() as AddressInfo).port}/`;
  return seen;
}

const one = [stored('1')];
const target = (url: string, tls: TlsConfig | null) => invoker(url, { tls }, { concurrency: 1 });

test('a function whose certificate our authority signed is called, over one connection', async () => {
  const fn = await serve();
  const invoke = target(fn.url, { ca: authority.ca, verify: true });
  for (let i = 0; i < 3; i++) expect(await call(invoke, one)).toMatchObject({ status: 204, fault: null });
  expect(fn.connections).toBe(1);
});

test('one that nobody known signed, or that is for another name, is not called, and tried again', async () => {
  const fn = await serve();
  const elsewhere = await serve(await authority.issue('elsewhere', ['DNS:elsewhere.example']));
  for (const [url, tls] of [
    [fn.url, null],
    [fn.url, { verify: true }],
    [fn.url, { ca: stranger.ca, verify: true }],
    [elsewhere.url, { ca: authority.ca, verify: true }],
  ] as [string, TlsConfig | null][]) {
    const answer = await call(target(url, tls), one);
    expect([answer.status, answer.fault, conclude(answer)]).toEqual([null, 'unreachable', 'retry']);
  }
  expect([...fn.callers, ...elsewhere.callers]).toEqual([]);
});

test('verify: false takes any certificate', async () => {
  const fn = await serve();
  expect(await call(target(fn.url, { verify: false }), one)).toMatchObject({ status: 204 });
});

test('a function that wants to know who calls gets our certificate', async () => {
  const fn = await serve({ requestCert: true, rejectUnauthorized: true });
  const invoke = target(fn.url, { ca: authority.ca, ...client, verify: true });
  expect(await call(invoke, one)).toMatchObject({ status: 204, fault: null });
  expect(fn.callers).toEqual(['postern']);
});

test('without it, or with one of a stranger, nothing is delivered or given up', async () => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const fn = await serve({ requestCert: true, rejectUnauthorized: true, maxVersion });
    for (const pem of [{}, await stranger.issue('postern')]) {
      const answer = await call(target(fn.url, { ca: authority.ca, ...pem, verify: true }), one);
      // A server may refuse while the connection is made, or close it then.
      expect(['unreachable', 'connection_lost']).toContain(answer.fault);
      expect(answer.status).toBeNull();
      expect(conclude(answer)).toBe('retry');
    }
    expect(fn.callers).toEqual([]);
  }
});

test('C52 a new connection that the function closes is its failure, also over TLS', async () => {
  const fn = await serve({}, false);
  const answer = await call(target(fn.url, { ca: authority.ca, verify: true }), one);
  expect([answer.fault, conclude(answer)]).toEqual(['connection_lost', 'retry']);
});

test('what is no certificate is refused at the start', async () => {
  const other = await authority.issue('other');
  for (const pem of [
    { ca: 'no PEM' },
    { cert: client.cert },
    { key: client.key },
    { cert: client.cert, key: other.key },
    { cert: 'no PEM', key: client.key },
  ])
    expect(() => target('https://127.0.0.1:1', { ...pem, verify: true })).toThrow(TypeError);
});
