import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { JwtConfig } from '../../src/config/source/types.ts';
import { RequestError } from '../../src/core/errors.ts';
import { KnownTokens } from '../../src/gateway/admission/known-tokens.ts';
import { makeTokenCheck } from '../../src/gateway/admission/token.ts';
import { freePort } from '../services/free-port.ts';
import { type Harness, startGateway } from './harness.ts';

type Pair = Awaited<ReturnType<typeof generateKeyPair>>;

const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'];
const now = () => Math.floor(Date.now() / 1000);

async function keySet(pairs: Record<string, Pair>) {
  const keys = [];
  for (const [kid, { publicKey }] of Object.entries(pairs))
    keys.push({ ...(await exportJWK(publicKey)), kid });
  return { keys };
}

function sign(
  pair: Pair,
  claims: Record<string, unknown> = {},
  header: { alg?: string; kid?: string } = {},
): Promise<string> {
  return new SignJWT({
    sub: 'device-7',
    iss: 'https://issuer.test',
    aud: 'postern',
    exp: now() + 300,
    ...claims,
  })
    .setProtectedHeader({ alg: 'ES256', kid: 'one', ...header })
    .sign(pair.privateKey);
}

const b64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('tokens with keys of the config', () => {
  let one: Pair;
  let two: Pair;
  let config: JwtConfig;
  beforeAll(async () => {
    [one, two] = await Promise.all([
      generateKeyPair('ES256', { extractable: true }),
      generateKeyPair('ES256', { extractable: true }),
    ]);
    config = {
      jwks: { text: JSON.stringify(await keySet({ one, two })) },
      issuer: 'https://issuer.test',
      audience: 'postern',
      algorithms: ALGORITHMS,
    };
  });

  it('tells the subject of a good token, of every algorithm', async () => {
    for (const alg of ALGORITHMS) {
      const pair = await generateKeyPair(alg, { extractable: true });
      const check = makeTokenCheck({
        ...config,
        jwks: { text: JSON.stringify(await keySet({ one: pair })) },
      });
      const token = await sign(pair, {}, { alg });
      expect([alg, await check(token), await check(token)]).toEqual([alg, 'device-7', 'device-7']);
    }
  });

  it('tries each key when the token names none', async () => {
    const check = makeTokenCheck(config);
    const nameless = (pair: Pair) => sign(pair, {}, { kid: undefined as never });
    expect(await check(await nameless(two))).toBe('device-7');
    expect(await check(await nameless(await generateKeyPair('ES256')))).toBeNull();
  });

  it('refuses what is not for here, not yet, no longer, or for ever', async () => {
    const check = makeTokenCheck(config);
    const cases: [string, Record<string, unknown>, string | null][] = [
      ['another issuer', { iss: 'https://other.test' }, null],
      ['no issuer', { iss: undefined }, null],
      ['another audience', { aud: ['x', 'y'] }, null],
      ['several audiences', { aud: ['x', 'postern'] }, 'device-7'],
      ['no exp', { exp: undefined }, null],
      ['exp as text', { exp: `${now() + 300}` }, null],
      ['expired', { exp: now() - 62 }, null],
      ['expired a moment ago', { exp: now() - 30 }, 'device-7'],
      ['not yet', { nbf: now() + 90 }, null],
      ['nearly', { nbf: now() + 30 }, 'device-7'],
      ['no subject', { sub: undefined }, ''],
      ['a subject that is no text', { sub: { toString: 1 } }, null],
      ['a long subject', { sub: 's'.repeat(257) }, null],
    ];
    for (const [name, claims, subject] of cases) {
      expect([name, await check(await sign(one, claims))]).toEqual([name, subject]);
    }
  });

  it('needs a signature by one of the keys, whatever algorithm a token claims', async () => {
    const rsa = await generateKeyPair('RS256', { extractable: true });
    const set = await keySet({ one: rsa });
    const check = makeTokenCheck({
      ...config,
      jwks: { text: JSON.stringify(set) },
      algorithms: [...ALGORITHMS, 'HS256', 'none'],
    });
    const claims = { sub: 'x', iss: 'https://issuer.test', aud: 'postern', exp: now() + 300 };
    const hmac = (secret: Uint8Array) =>
      new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: 'one' }).sign(secret);
    const good = await sign(rsa, {}, { alg: 'RS256' });
    const [head, , signature] = good.split('.') as [string, string, string];
    const forged = [
      `${b64({ alg: 'none' })}.${b64(claims)}.`,
      `${b64({ alg: 'none', kid: 'one' })}.${b64(claims)}.${signature}`,
      `${b64({ alg: 'NONE' })}.${b64(claims)}.`,
      await hmac(Buffer.from(await exportSPKI(rsa.publicKey))),
      await hmac(Buffer.from(set.keys[0]!.n!, 'base64url')),
      await hmac(new Uint8Array(32)),
      `${head}.${b64(claims)}.${signature}`,
      good.slice(0, -6),
      await sign(await generateKeyPair('RS256'), {}, { alg: 'RS256' }),
    ];
    expect(await check(good)).toBe('device-7');
    for (const token of forged)
      expect([token.slice(0, 30), await check(token)]).toEqual([token.slice(0, 30), null]);
  });

  it('takes no key that a token brings along, and no algorithm that the config does not name', async () => {
    const stranger = await generateKeyPair('ES256', { extractable: true });
    const jwk = await exportJWK(stranger.publicKey);
    const token = await new SignJWT({ exp: now() + 300, iss: 'https://issuer.test', aud: 'postern' })
      .setProtectedHeader({ alg: 'ES256', kid: 'one', jwk, jku: 'https://evil.test/keys' })
      .sign(stranger.privateKey);
    expect(await makeTokenCheck(config)(token)).toBeNull();
    expect(await makeTokenCheck({ ...config, algorithms: ['RS256'] })(await sign(one))).toBeNull();
  });

  it('refuses garbage without an error, and long tokens unread', async () => {
    const check = makeTokenCheck(config);
    const good = await sign(one);
    const parts = good.split('.') as [string, string, string];
    const garbage = [
      '',
      '.',
      '..',
      '...',
      'a.b.c',
      '\u0000.\ud800.\uffff',
      '{}',
      'null',
      `${good}.x`,
      ` ${good}`,
      `${parts[0]}..${parts[2]}`,
      `${b64([])}.${parts[1]}.${parts[2]}`,
      `${b64({ alg: 'ES256', crit: ['b64'], b64: false })}.${parts[1]}.${parts[2]}`,
      `${b64({ alg: 'constructor', kid: '__proto__' })}.${parts[1]}.${parts[2]}`,
      `${b64({ alg: 'ES256', kid: { a: 1 } })}.${parts[1]}.${parts[2]}`,
      'x'.repeat(10_000),
      `${'A'.repeat(4000)}.${'A'.repeat(4000)}.AAAA`,
      await sign(one, { filler: 'x'.repeat(10_000) }),
    ];
    let state = 1;
    const random = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    };
    for (let i = 0; i < 500; i++) {
      const at = Math.floor(random() * good.length);
      const other = String.fromCharCode(32 + Math.floor(random() * 200));
      if (other !== good[at]) garbage.push(good.slice(0, at) + other + good.slice(at + 1));
    }
    for (const token of garbage) {
      // The last character of a signature holds bits that count for nothing.
      const subject = await check(token);
      const same = token.slice(0, -1) === good.slice(0, -1);
      expect([token.slice(0, 60), same ? null : subject]).toEqual([token.slice(0, 60), null]);
    }
  });
});

describe('tokens with keys behind a URL', () => {
  let one: Pair;
  let two: Pair;
  let server: Server;
  let url: string;
  let answer: { status: number; body: unknown } | 'hang' | 'break';
  let fetches = 0;
  beforeAll(async () => {
    [one, two] = await Promise.all([
      generateKeyPair('ES256', { extractable: true }),
      generateKeyPair('ES256', { extractable: true }),
    ]);
    server = createServer((_request, response) => {
      fetches++;
      if (answer === 'hang') return;
      if (answer === 'break') response.destroy();
      else {
        response.statusCode = answer.status;
        response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body));
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  const open = () => {
    fetches = 0;
    return makeTokenCheck({ jwks: { url }, issuer: null, audience: null, algorithms: ALGORITHMS });
  };
  const serve = async (pairs: Record<string, Pair>) => {
    answer = { status: 200, body: await keySet(pairs) };
  };
  /** What a check that cannot judge says. */
  async function fault(check: Promise<unknown>): Promise<RequestError> {
    const error = await check.then(
      (subject) => new Error(`judged: ${subject}`),
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(RequestError);
    return error as RequestError;
  }
  /** Moves the clock of the check, and stops it there: on a slow machine nothing comes due in the middle of `run`. */
  async function later(ms: number, run: () => Promise<void>): Promise<void> {
    const then = performance.now() + ms;
    const spy = vi.spyOn(performance, 'now').mockReturnValue(then);
    try {
      await run();
    } finally {
      spy.mockRestore();
    }
  }

  it('fetches the keys once, also for many tokens at once', async () => {
    await serve({ one });
    const check = open();
    const tokens = await Promise.all(Array.from({ length: 50 }, (_, i) => sign(one, { sub: `d${i}` })));
    expect(await Promise.all(tokens.map(check))).toEqual(tokens.map((_, i) => `d${i}`));
    expect(fetches).toBe(1);
  });

  it('finds a new key, but thousands of unknown ones cause one fetch', async () => {
    await serve({ one });
    const check = open();
    expect(await check(await sign(one))).toBe('device-7');
    await serve({ one, two });
    const rotated = await sign(two, {}, { kid: 'two' });
    expect(await check(rotated)).toBeNull();
    await later(6_000, async () => {
      expect(await check(rotated)).toBe('device-7');
      const body = (await sign(one)).split('.').slice(1).join('.');
      for (let i = 0; i < 3000; i++)
        expect(await check(`${b64({ alg: 'ES256', kid: `k${i}` })}.${body}`)).toBeNull();
    });
    expect(fetches).toBe(2);
  });

  it('cannot judge while no keys were had yet, and can as soon as they are', async () => {
    const token = await sign(one);
    const answers = [
      'break',
      { status: 500, body: '' },
      { status: 302, body: '' },
      { status: 200, body: '<html>' },
      { status: 200, body: { keys: 1 } },
    ] as const;
    for (answer of answers) {
      const error = await fault(open()(token));
      expect([answer, error.code, error.headers]).toEqual([
        answer,
        'keys_unavailable',
        { 'retry-after': '3' },
      ]);
    }
    const check = open();
    await later(0, async () => {
      await Promise.all(Array.from({ length: 100 }, () => fault(check(token))));
      await fault(check(token));
      expect(fetches).toBe(1);
    });
    await serve({ one });
    await later(2_500, async () => expect(await check(token)).toBe('device-7'));
  });

  it('goes on with the keys that it has when the issuer is down, however long', async () => {
    await serve({ one });
    const check = open();
    expect(await check(await sign(one))).toBe('device-7');
    answer = 'break';
    await later(3_600_000, async () => {
      expect(await check(await sign(one, { sub: 'other' }))).toBe('other');
      expect(await check(await sign(one, {}, { kid: 'one', alg: 'ES256' }))).toBe('device-7');
      await expect.poll(() => fetches).toBe(2);
      // A key that is not among them may be a new one.
      expect((await fault(check(await sign(two, {}, { kid: 'two' })))).code).toBe('keys_unavailable');
      expect(await check(await sign(two))).toBeNull();
    });
  });

  it('forgets a key that the issuer withdrew', async () => {
    await serve({ one, two });
    const check = open();
    const withdrawn = await sign(two, {}, { kid: 'two' });
    expect(await check(withdrawn)).toBe('device-7');
    await serve({ one });
    await later(700_000, async () => {
      expect(await check(await sign(one, { sub: 'renews' }))).toBe('renews');
      await expect.poll(() => fetches).toBe(2);
      await expect
        .poll(async () => check(await sign(two, { jti: crypto.randomUUID() }, { kid: 'two' })))
        .toBeNull();
    });
  });

  it('a fetch that hangs ends, and only so many tokens wait for it', { tags: ['slow'] }, async () => {
    answer = 'hang';
    const check = open();
    const token = await sign(one);
    const faults = await Promise.all(Array.from({ length: 1200 }, () => fault(check(token))));
    const codes = faults.map(({ code }) => code);
    expect(codes.filter((code) => code === 'keys_unavailable')).toHaveLength(1000);
    expect(codes.filter((code) => code === 'overloaded')).toHaveLength(200);
    expect(faults.map((error) => String(error.cause ?? '')).join()).not.toContain(url);
  });
});

describe('an issuer, or who answers in its place, that sends too much', () => {
  let pair: Pair;
  let server: Server;
  let sent = 0;
  let open = 0;
  let answer: (response: ServerResponse) => void;
  beforeAll(async () => {
    pair = await generateKeyPair('ES256', { extractable: true });
    server = createServer((_request, response) => answer(response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  const check = () => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    return makeTokenCheck({ jwks: { url }, issuer: null, audience: null, algorithms: ALGORITHMS });
  };
  const causeOf = async () => {
    const error = await check()(await sign(pair)).then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(RequestError);
    return [(error as RequestError).code, (error as RequestError).cause];
  };
  /** Sends pieces for as long as somebody takes them. */
  function endless(piece: Buffer, response: ServerResponse): void {
    open++;
    response.once('close', () => open--);
    const send = () => {
      while (!response.destroyed && response.write(piece)) sent += piece.length;
      response.once('drain', send);
    };
    send();
  }

  it.each([
    ['an endless body', Buffer.alloc(65_536, ' ')],
    ['an endless list of keys', Buffer.from(`{"keys":[${'{"kty":"EC"},'.repeat(5000)}`)],
  ])('%s: the keys cannot be had, and the connection ends', async (_, piece) => {
    sent = 0;
    answer = (response) => {
      response.writeHead(200);
      endless(piece, response);
    };
    expect(await causeOf()).toEqual(['keys_unavailable', 'KEY_SET_TOO_LARGE']);
    await expect.poll(() => open, { timeout: 5_000 }).toBe(0);
    // What the sockets hold on both sides comes on top.
    expect(sent).toBeLessThan(16 * 1024 * 1024);
  });

  it('a small body that inflates to a large one is no larger than the cap', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, ' '));
    answer = (response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' });
      response.end(bomb);
    };
    const before = process.memoryUsage().rss;
    expect(await causeOf()).toEqual(['keys_unavailable', 'KEY_SET_TOO_LARGE']);
    expect(process.memoryUsage().rss - before).toBeLessThan(48 * 1024 * 1024);
  });

  it('a hundred keys are a set, one more is none', async () => {
    const { keys } = await keySet({ one: pair });
    const setOf = (count: number) =>
      JSON.stringify({
        keys: Array.from({ length: count }, (_, i) => ({ ...keys[0], kid: i ? `k${i}` : 'one' })),
      });
    answer = (response) => response.end(setOf(100));
    expect(await check()(await sign(pair))).toBe('device-7');
    answer = (response) => response.end(setOf(101));
    expect(await causeOf()).toEqual(['keys_unavailable', 'KEY_SET_TOO_LARGE']);
  });

  it.each(['{}', 'null', '{"keys":{}}'])('%s is no key set, and the log says so', async (text) => {
    answer = (response) => response.end(text);
    expect(await causeOf()).toEqual(['keys_unavailable', 'JWKSInvalid']);
  });

  it('a body that comes too slowly ends with the time for it', { tags: ['slow'] }, async () => {
    answer = (response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write(' '), 100);
      response.once('close', () => clearInterval(timer));
    };
    const began = performance.now();
    expect((await causeOf())[0]).toBe('keys_unavailable');
    // It would come for ever.
    expect(performance.now() - began).toBeLessThan(30_000);
  });
});

describe('tokens that are remembered', () => {
  it('are the newest that have room, until their time', () => {
    const known = new KnownTokens(1000);
    for (let i = 0; i < 50; i++) known.add(`${i}`.padStart(100, '0'), `s${i}`, Date.now() + 60_000);
    const kept = Array.from({ length: 50 }, (_, i) => known.get(`${i}`.padStart(100, '0')));
    expect(kept).toEqual(kept.map((_, i) => (i < 40 ? undefined : `s${i}`)));
    for (let i = 0; i < 50; i++) known.add('again', 'same', Date.now() + 60_000);
    expect([known.get('again'), known.get('41'.padStart(100, '0'))]).toEqual(['same', 's41']);
    known.add('over', 'past', Date.now() - 1);
    expect(known.get('over')).toBeUndefined();
  });
});

describe('over HTTP', () => {
  let pair: Pair;
  let issuer: Server;
  let gateway: Harness;
  beforeAll(async () => {
    pair = await generateKeyPair('ES256', { extractable: true });
    const body = JSON.stringify(await keySet({ one: pair }));
    issuer = createServer((_request, response) => response.end(body));
    await new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve));
    const { port } = issuer.address() as AddressInfo;
    gateway = await startGateway({
      yaml: `
sources:
  up:
    protocol: events
    topic: up
    id: [/id]
    keys: [{ id: fixed, key: fixed-key }]
    jwt: { jwks: 'http://127.0.0.1:${port}/', issuer: 'https://issuer.test', audience: postern }
  down: { protocol: events, topic: down, id: [/id], jwt: { jwks: 'http://127.0.0.1:${await freePort()}/', audience: postern } }
`,
    });
  });
  afterAll(async () => {
    issuer.close();
    await gateway.close();
  });

  const post = (path: string, headers: Record<string, string> = {}) =>
    fetch(gateway.url + path, {
      method: 'POST',
      body: JSON.stringify({ id: crypto.randomUUID() }),
      headers: { 'content-type': 'application/json', ...headers },
    });
  const whos = () => gateway.requests.splice(0).map(({ status, who }) => [status, who]);

  it('a token opens a source beside its keys, as Bearer or in the query', async () => {
    const token = await sign(pair);
    const bearer = (text: string) => ({ authorization: `Bearer ${text}` });
    await post('/events/up', bearer(token));
    await post(`/events/up?access_token=${token}`);
    await post('/events/up', bearer('fixed-key'));
    await post('/events/up', bearer(`${token}x`));
    await post('/events/up', bearer('x'.repeat(10_000)));
    const refused = await post('/events/up');
    expect(refused.headers.get('www-authenticate')).toContain('Bearer');
    expect(whos()).toEqual([
      [202, 'device-7'],
      [202, 'device-7'],
      [202, 'fixed'],
      [401, null],
      [401, null],
      [401, null],
    ]);
  });

  it('says 503 and when to come back, not 401, while nobody can judge', async () => {
    const reply = await post('/events/down', { authorization: `Bearer ${await sign(pair)}` });
    const { type } = (await reply.json()) as { type: string };
    expect([reply.status, reply.headers.get('retry-after'), type]).toEqual([
      503,
      '3',
      'urn:postern:problem:keys_unavailable',
    ]);
    expect((await post('/events/down', { authorization: 'Bearer garbage' })).status).toBe(401);
    expect(gateway.requests[0]!.cause).toBe('ECONNREFUSED');
  });
});
