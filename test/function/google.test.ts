import { EventEmitter, once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CryptoKey, generateKeyPair, jwtVerify, SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Answer, conclude } from '../../src/function/answer.ts';
import { googleTokens } from '../../src/function/google.ts';
import type { Invoker } from '../../src/function/invoker.ts';
import { makeInvoker } from '../../src/function/make.ts';
import { httpFunction, type TestServer } from '../dispatcher/functions.ts';
import { stored } from '../dispatcher/records.ts';
import { httpAt, subscription, TestFunction } from '../dispatcher/rig.ts';
import { call, invoker, open, serve } from './calls.ts';

const AUDIENCE = 'https://fn.example/run?a=1&b=ü';
const HOUR = 3_600_000;
const one = [stored('1')];
const NAMES = ['GCE_METADATA_HOST', 'METADATA_SERVER_DETECTION', 'GOOGLE_APPLICATION_CREDENTIALS', 'HOME'];
const before = NAMES.map((name) => [name, process.env[name]] as const);

let keys: { privateKey: CryptoKey; publicKey: CryptoKey };
let folder: string;
beforeAll(async () => {
  keys = await generateKeyPair('RS256');
  folder = await mkdtemp(join(tmpdir(), 'postern-google-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
  for (const [name, value] of before) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

/** The server that tells programs on Google's machines who they are. */
class Metadata extends EventEmitter {
  server!: TestServer;
  fetched = 0;
  /** Milliseconds that its tokens last. */
  life = HOUR;
  now = Date.now();
  /** Instead of a token. */
  answer: ((response: ServerResponse) => void) | null = null;

  async start(port = 0): Promise<void> {
    this.server = await httpFunction(
      async (request, response) => {
        const url = new URL(request.url!, 'http://metadata');
        const known = request.headers['metadata-flavor'] === 'Google';
        response.setHeader('metadata-flavor', 'Google');
        if (!known) response.writeHead(403).end();
        else if (url.pathname !== '/computeMetadata/v1/instance/service-accounts/default/identity')
          response.end('{}');
        else {
          this.fetched++;
          this.emit('fetch');
          if (this.answer === null) response.end(await this.token(url.searchParams.get('audience')!));
          else this.answer(response);
        }
      },
      undefined,
      port,
    );
  }

  token(audience: string): Promise<string> {
    return new SignJWT({ n: this.fetched })
      .setProtectedHeader({ alg: 'RS256' })
      .setIssuer('https://accounts.google.com')
      .setAudience(audience)
      .setExpirationTime(Math.floor((this.now + this.life) / 1000))
      .sign(keys.privateKey);
  }
}

/** A function that only lets in who has a token for it, and tells which. */
async function guarded(audience = AUDIENCE): Promise<{ url: string; numbers: unknown[] }> {
  const numbers: unknown[] = [];
  const server = await serve(async (request, response) => {
    const token = String(request.headers.authorization).replace('Bearer ', '');
    try {
      const { payload } = await jwtVerify(token, keys.publicKey, { audience, currentDate: new Date(0) });
      numbers.push(payload.n);
      response.writeHead(204).end();
    } catch {
      response.writeHead(401).end(`not with ${request.headers.authorization}`);
    }
  });
  return { url: server.url, numbers };
}

let metadata: Metadata;
beforeEach(async () => {
  metadata = new Metadata();
  await metadata.start();
  process.env.GCE_METADATA_HOST = `127.0.0.1:${metadata.server.port}`;
  process.env.METADATA_SERVER_DETECTION = 'ping-only';
  // Nothing of whoever runs this.
  process.env.HOME = folder;
  delete process.env.GOOGLE_APPLICATION_CREDENTIALS;
});
afterEach(() => metadata.server.close());

function target(url: string, timeout = 5_000): Invoker {
  const now = () => metadata.now;
  const tokens = googleTokens({ audience: AUDIENCE, now });
  return invoker(url, { auth: { google: { audience: AUDIENCE } } }, { tokens, now, timeout });
}

describe('ID tokens of the metadata server', () => {
  test('are for the audience, and one serves many calls', async () => {
    const fn = await guarded();
    const invoke = target(fn.url);
    const answers = await Promise.all(Array.from({ length: 20 }, () => call(invoke, one)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 204));
    await call(invoke, one);
    expect(metadata.fetched).toBe(1);
  });

  test('are exchanged before they end, while calls go on with the old one', async () => {
    const fn = await guarded();
    const invoke = target(fn.url);
    await call(invoke, one);
    metadata.now += HOUR - 6 * 60_000;
    await call(invoke, one);
    expect(metadata.fetched).toBe(1);
    metadata.now += 2 * 60_000;
    let held: ServerResponse | undefined;
    metadata.answer = (response) => {
      held = response;
    };
    const asked = once(metadata, 'fetch');
    await call(invoke, one);
    await call(invoke, one);
    await asked;
    expect([metadata.fetched, fn.numbers]).toEqual([2, [1, 1, 1, 1]]);
    held!.end(await metadata.token(AUDIENCE));
    await expect
      .poll(async () => {
        await call(invoke, one);
        return fn.numbers.at(-1);
      })
      .toBe(2);
    expect(metadata.fetched).toBe(2);
  });

  test('that have ended are waited for', async () => {
    const fn = await guarded();
    const invoke = target(fn.url);
    await call(invoke, one);
    metadata.now += HOUR;
    await call(invoke, one);
    expect(fn.numbers).toEqual([1, 2]);
  });

  test('that last a short time are not asked for with each call', async () => {
    const fn = await guarded();
    metadata.life = 60_000;
    const invoke = target(fn.url);
    for (let i = 0; i < 5; i++) await call(invoke, one);
    expect(metadata.fetched).toBe(1);
  });

  test('are told of as not to be had when there is no server, and had when it has come', async () => {
    const fn = await guarded();
    const { port } = metadata.server;
    await metadata.server.close();
    const invoke = target(fn.url);
    const answer = await call(invoke, one);
    expect(answer).toMatchObject({ status: null, fault: 'unreachable' });
    // On a machine of Google's the library knows that there should be one.
    expect(answer.detail).toMatch(/^no Google ID token: (?:no credentials were found|ECONNREFUSED)$/);
    expect(conclude(answer)).toBe('retry');
    await metadata.start(port);
    expect(await call(invoke, one)).toMatchObject({ status: 204 });
  });

  test('C59 are not to be had from a server that fails, and what it says is not shown', async () => {
    const fn = await guarded();
    const invoke = target(fn.url);
    for (const [answer, words] of [
      [(response) => response.writeHead(404).end('s3cret'), 'HTTP 404'],
      [(response) => response.end('s3cret'), 'the answer is no token'],
      [(response) => response.end('{"s3cret":1}'), 'the answer is no token'],
      [
        (response) => void metadata.token('x').then((token) => response.end(token)),
        'it has ended already; is the clock right?',
      ],
    ] as [(response: ServerResponse) => void, string][]) {
      metadata.answer = answer;
      metadata.life = -1000;
      const { fault, detail } = await call(invoke, one);
      expect([fault, detail]).toEqual(['unreachable', `no Google ID token: ${words}`]);
    }
    expect(fn.numbers).toEqual([]);
  });

  test('that do not come do not hold a call, and a call that is given up is not made', async () => {
    const fn = await guarded();
    metadata.answer = () => {};
    const invoke = target(fn.url, 200);
    const asked = once(metadata, 'fetch');
    expect(await call(invoke, one)).toMatchObject({ fault: 'unreachable', detail: 'no token in time' });
    await asked;
    const told: Answer[] = [];
    const invocation = invoke.invoke(one, { answered: (answer) => told.push(answer) }, true);
    invocation.abort();
    expect(told).toMatchObject([{ fault: 'aborted' }]);
    expect(fn.numbers).toEqual([]);
  });

  test('C59 that a function repeats are not shown', async () => {
    const fn = await guarded('https://another.example/');
    const answer = await call(target(fn.url), one);
    expect([answer.status, answer.detail]).toEqual([401, 'HTTP 401: not with Bearer ***']);
  });

  test('are asked for by a subscription that is configured so', async () => {
    const fn = await guarded();
    const http = httpAt(fn.url, { auth: { google: { audience: AUDIENCE } } });
    const made = await makeInvoker({ ...subscription(await TestFunction.start()), function: { http } }, '');
    open.push(made);
    expect(await call(made, one)).toMatchObject({ status: 204 });
  });
});

describe('credentials in a file', () => {
  async function detailWith(file: string): Promise<string> {
    const path = join(folder, 'credentials.json');
    await writeFile(path, file);
    process.env.GOOGLE_APPLICATION_CREDENTIALS = path;
    const answer = await call(target('http://127.0.0.1:1/'), one);
    expect(answer.fault).toBe('unreachable');
    return answer.detail;
  }

  test('C59 that cannot be used are not shown', async () => {
    expect(await detailWith('s3cret')).toBe('no Google ID token: the credentials are no JSON');
    expect(await detailWith('{"type":"s3cret"}')).not.toContain('s3cret');
    const account = { type: 'service_account', client_email: 'a@b', private_key: 's3cret' };
    expect(await detailWith(JSON.stringify(account))).toMatch(/^no Google ID token: \w+$/);
  });
});
