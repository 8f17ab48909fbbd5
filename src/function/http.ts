import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { Pool } from 'undici';
import type { HttpFunction } from '../config/function/types.ts';
import type { TlsConfig } from '../config/values/tls.ts';
import type { StoredRecord } from '../ports/event-log.ts';
import { recordSize } from '../ports/record-size.ts';
import { fixedHeaders, secretsOf, type TokenSource } from './auth.ts';
import { batchMessage, binaryMessage, type Message, structuredMessage } from './envelope.ts';
import { HttpCall, type HttpCallOptions } from './http-call.ts';
import type { Caller, Invocation, Invoker, WantsReply } from './invoker.ts';
import { signatureHeaders, signingKeys } from './sign.ts';

const CONNECT_MS = 10_000;
const KEEP_ALIVE_MS = 4_000;
/** A server's keep-alive hint is shortened by this: a request takes some time to arrive. */
const KEEP_ALIVE_MARGIN_MS = 1_000;

export interface HttpInvokerOptions {
  subscription: string;
  http: HttpFunction;
  /** Milliseconds for a whole call. */
  timeout: number;
  /** Calls at once. */
  concurrency: number;
  wantsReply: WantsReply;
  /** Bearer tokens for functions that need one that expires; null: none. */
  tokens: TokenSource | null;
  /** Milliseconds since 1970. */
  now: () => number;
}

/** Calls a function over HTTP. Throws TypeError on a URL, header or certificate that cannot be used. */
export function httpInvoker(options: HttpInvokerOptions): Invoker {
  const { subscription, http, timeout, concurrency, wantsReply, tokens, now } = options;
  const url = new URL(http.url);
  const path = url.pathname + url.search;
  const fixed = fixedHeaders(http, url, wantsReply === true);
  const secrets = secretsOf(http, url);
  const keys = signingKeys(http.sign);
  const pool = new Pool(url.origin, {
    connections: concurrency,
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveTimeoutThreshold: KEEP_ALIVE_MARGIN_MS,
    connect: { timeout: Math.min(timeout, CONNECT_MS), ...tlsOptions(http.tls) },
    // One timer per call covers the whole call.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const callOptions: HttpCallOptions = {
    timeout,
    isBatch: http.mode === 'batch',
    wantsReply,
    hide(text) {
      const token = tokens?.current() ?? null;
      const all = token === null ? secrets : [...secrets, token];
      return all.reduce((shown, secret) => shown.replaceAll(secret, '***'), text);
    },
  };

  function message(records: readonly StoredRecord[]): Message {
    if (http.mode === 'batch') return batchMessage(records, subscription);
    if (http.mode === 'structured') return structuredMessage(records[0]!, subscription);
    return binaryMessage(records[0]!, subscription);
  }

  function send(call: HttpCall, records: readonly StoredRecord[], token: string | null): void {
    try {
      const { headers, body, identity } = message(records);
      headers.push(...fixed);
      if (token !== null) headers.push('authorization', `Bearer ${token}`);
      if (keys.length > 0) headers.push(...signatureHeaders(keys, identity, Math.floor(now() / 1000), body));
      pool.dispatch({ method: 'POST', path, headers, body }, call);
    } catch (error) {
      // Not thrown: the call's timer would report a second answer.
      call.fail('invalid_call', (error as Error).message);
    }
  }

  async function sendWithToken(
    call: HttpCall,
    records: readonly StoredRecord[],
    source: TokenSource,
  ): Promise<void> {
    call.waitsFor = 'token';
    try {
      const token = await source.fetch();
      call.waitsFor = null;
      if (!call.isOver) send(call, records, token);
    } catch (error) {
      call.fail('unreachable', (error as Error).message);
    }
  }

  return {
    invoke(records: readonly StoredRecord[], caller: Caller, fresh: boolean): Invocation {
      const call = new HttpCall(caller, records, fresh, callOptions);
      const token = tokens?.current() ?? null;
      if (tokens !== null && token === null) void sendWithToken(call, records, tokens);
      else send(call, records, token);
      return call;
    },
    sizeOf: recordSize,
    async warm() {
      const token = tokens === null ? null : (tokens.current() ?? (await tokens.fetch()));
      const headers = token === null ? fixed : [...fixed, 'authorization', `Bearer ${token}`];
      await new Promise<void>((resolve) => {
        const call = new HttpCall({ answered: () => resolve() }, [], true, callOptions);
        pool.dispatch({ method: 'OPTIONS', path, headers, body: null }, call);
      });
    },
    close: () => pool.destroy(),
  };
}

function tlsOptions(tls: TlsConfig | null): object {
  if (tls === null) return {};
  const { verify, ...pem } = tls;
  if ((pem.cert === undefined) !== (pem.key === undefined))
    throw new TypeError('tls: cert and key go together');
  try {
    // Node ignores a certificate that is no PEM, and then trusts none.
    if (pem.ca !== undefined) new X509Certificate(pem.ca);
    // Read once, at the start.
    return { secureContext: createSecureContext(pem), rejectUnauthorized: verify };
  } catch {
    throw new TypeError('tls: ca, cert and key must be PEM, and the key that of the certificate');
  }
}
