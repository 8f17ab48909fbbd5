import { EventEmitter, once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { beforeEach, describe, expect, test } from 'vitest';
import { type Answer, conclude, reasonOf } from '../../src/function/answer.ts';
import { bodyOf, rawFunction, type TestServer } from '../dispatcher/functions.ts';
import { stored } from '../dispatcher/records.ts';
import { call, invoker, open, serve } from './calls.ts';

describe('httpInvoker', () => {
  test('posts the bytes with our headers and the configured ones', async () => {
    let seen: IncomingMessage | undefined;
    let body: Uint8Array | undefined;
    const server = await serve(async (request, response) => {
      seen = request;
      body = await bodyOf(request);
      response.end('thanks');
    });
    const target = invoker(server.url.replace('//', '//me:p%40ss@'), { headers: { 'X-Team': 'blue' } });
    const value = Buffer.from('{ "n": 12345678901234567890 }');
    const answer = await call(target, [stored(value)]);
    expect(answer).toMatchObject({ status: 200, fault: null });
    expect(body).toEqual(value);
    expect(seen).toMatchObject({ method: 'POST', url: '/fn?x=1' });
    expect(seen!.headers).toMatchObject({
      host: `127.0.0.1:${server.port}`,
      'ce-id': 'id-1',
      'content-type': 'application/json',
      'content-length': String(value.length),
      'x-team': 'blue',
      'user-agent': 'postern',
      authorization: `Basic ${Buffer.from('me:p@ss').toString('base64')}`,
    });
  });

  test('posts an event without data', async () => {
    let length: string | undefined;
    const server = await serve((request, response) => {
      length = request.headers['content-length'];
      response.writeHead(204).end();
    });
    expect(await call(invoker(server.url), [stored(null)])).toMatchObject({
      status: 204,
      fault: null,
    });
    expect(length).toBe('0');
  });

  test('refuses headers that are not for the config to set', () => {
    for (const name of ['Content-Type', 'content-length', 'ce-id', 'Connection', 'idempotency-key', 'a b']) {
      expect(() => invoker('http://127.0.0.1:1', { headers: { [name]: 'x' } }), name).toThrow(TypeError);
    }
    expect(() => invoker('http://127.0.0.1:1', { headers: { ok: 'a\nb' } })).toThrow(TypeError);
  });

  test('C59 does not follow redirects', async () => {
    const paths: string[] = [];
    const server = await serve((request, response) => {
      paths.push(request.url!);
      response.writeHead(Number(request.headers['ce-status']), { location: '/elsewhere' }).end();
    });
    for (const status of [301, 302, 303, 307, 308]) {
      const answer = await call(invoker(server.url), [stored('1', { ce_status: String(status) })]);
      expect([conclude(answer), reasonOf(answer)]).toEqual(['refused', 'redirect']);
    }
    expect(new Set(paths)).toEqual(new Set(['/fn?x=1']));
  });

  test('C59 a name that is not known, and a port where nobody listens, are tried again', async () => {
    const server = await serve(() => {});
    await server.close();
    open.pop();
    for (const url of [server.url, 'http://no-such-host.invalid/']) {
      const answer = await call(invoker(url));
      expect([conclude(answer), answer.fault]).toEqual(['retry', 'unreachable']);
    }
  });

  test('tells Retry-After, also a doubled one', async () => {
    const server = await serve((_, response) => {
      response.writeHead(429, [
        ['Retry-After', '1'],
        ['Retry-After', '3'],
      ]);
      response.end('slow down');
    });
    const answer = await call(invoker(server.url));
    expect(answer).toMatchObject({ status: 429, retryAfter: ['1', '3'], detail: 'HTTP 429: slow down' });
    expect([conclude(answer), reasonOf(answer)]).toEqual(['retry', 'throttled']);
  });
});

describe('C53 answers nobody reads', () => {
  test('C53 a long error is cut, its status counts, and no connection stays behind', async () => {
    const bodies = { length: 'x'.repeat(1_000_000) };
    const server = await serve((request, response) => {
      response.statusCode = 503;
      if (request.headers['ce-kind'] === 'length') response.setHeader('content-length', bodies.length.length);
      response.end(bodies.length);
    });
    const target = invoker(server.url, {}, { concurrency: 2 });
    for (const kind of ['length', 'chunked']) {
      for (let i = 0; i < 50; i++) {
        const answers = await Promise.all([1, 2].map(() => call(target, [stored('1', { ce_kind: kind })])));
        for (const answer of answers) expect(answer).toMatchObject({ status: 503, fault: null });
      }
    }
    expect(server.open()).toBeLessThanOrEqual(4);
  });

  test('C53 a long answer to a delivered event is read to its end', async () => {
    const server = await serve((_, response) => {
      for (let i = 0; i < 20; i++) response.write('x'.repeat(20_000));
      response.end();
    });
    const target = invoker(server.url, {}, { concurrency: 1 });
    for (let i = 0; i < 5; i++) expect(await call(target)).toMatchObject({ status: 200, fault: null });
    expect(server.connections()).toBe(1);
  });

  test('C53 an endless stream is a timeout', async () => {
    const server = await serve((_, response) => {
      response.writeHead(200);
      const more = () => {
        while (!response.destroyed && response.write('x'.repeat(1000)));
      };
      response.on('drain', () => setImmediate(more));
      more();
    });
    const answer = await call(invoker(server.url, {}, { timeout: 200 }));
    expect(answer).toMatchObject({ status: null, fault: 'timeout' });
    expect(conclude(answer)).toBe('retry');
  });

  test('C53 headers and then silence, and silence at once, are timeouts that free the connection', async () => {
    const server = await serve((request, response) => {
      if (request.headers['ce-kind'] === 'headers') response.writeHead(200).flushHeaders();
      else if (request.headers['ce-kind'] === 'fine') response.end();
    });
    const target = invoker(server.url, {}, { timeout: 200, concurrency: 1 });
    for (const kind of ['headers', 'nothing', 'headers', 'nothing']) {
      expect(await call(target, [stored('1', { ce_kind: kind })])).toMatchObject({
        fault: 'timeout',
      });
    }
    expect(await call(target, [stored('1', { ce_kind: 'fine' })])).toMatchObject({ status: 200 });
  });

  test('C53 a 204 with a body, all at once, does no harm', async () => {
    const server = await rawFunction((socket) => {
      socket.on('data', () => socket.write('HTTP/1.1 204 No Content\r\n\r\nsurprise'));
    });
    open.push(server);
    const target = invoker(server.url, {}, { concurrency: 1 });
    for (let i = 0; i < 5; i++) {
      const answer = await call(target);
      expect(['done', 'again', 'retry']).toContain(conclude(answer));
      if (i === 0) expect(answer.status).toBe(204);
    }
  });

  test('C53 headers of 100 kB are a bad reply', async () => {
    const server = await serve((_, response) => {
      response.writeHead(200, { 'x-long': 'x'.repeat(100_000) }).end();
    });
    const answer = await call(invoker(server.url));
    expect(answer).toMatchObject({ status: null, fault: 'bad_reply' });
    expect(conclude(answer)).toBe('retry');
  });

  test('C53 what is no HTTP is a bad reply', async () => {
    const server = await rawFunction((socket) => socket.on('data', () => socket.end('220 mail ready\r\n')));
    open.push(server);
    expect(await call(invoker(server.url))).toMatchObject({ status: null, fault: 'bad_reply' });
  });

  test('C53 an answer that ends too early is a lost connection, not a success', async () => {
    const server = await rawFunction((socket) => {
      socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort'));
    });
    open.push(server);
    const answer = await call(invoker(server.url));
    expect(answer).toMatchObject({ status: null, fault: 'connection_lost' });
    expect(conclude(answer)).toBe('retry');
  });

  test('C53 a compressed bomb is not unpacked', async () => {
    const server = await serve((_, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(Buffer.alloc(30_000));
    });
    expect(await call(invoker(server.url))).toMatchObject({ status: 200, fault: null });
  });
});

describe('C52 reused connections', () => {
  let server: TestServer;
  let answers: number;
  beforeEach(async () => {
    answers = 1;
    // Answers once, then closes on the next request without a word, as a server does whose idle time was over.
    server = await rawFunction((socket) => {
      let seen = 0;
      socket.on('data', () => {
        if (++seen > answers) socket.destroy();
        else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      });
    });
    open.push(server);
  });

  test('C52 one that was closed meanwhile costs no attempt, once', async () => {
    const target = invoker(server.url, {}, { concurrency: 1 });
    expect(await call(target)).toMatchObject({ status: 200 });
    const stale = await call(target);
    expect([stale.fault, conclude(stale)]).toEqual(['stale_connection', 'again']);
    expect(await call(target, undefined, false)).toMatchObject({ status: 200 });
    expect(await call(target, undefined, false)).toMatchObject({ fault: 'connection_lost' });
  });

  test('C52 a new connection that is closed is a failure of the function', async () => {
    answers = 0;
    const answer = await call(invoker(server.url));
    expect([answer.fault, conclude(answer)]).toEqual(['connection_lost', 'retry']);
  });

  test('C52 a server that says how long it keeps a connection is not raced', async () => {
    const short = await serve(
      (_, response) => response.end(),
      (one) => {
        one.keepAliveTimeout = 1_000;
      },
    );
    const target = invoker(short.url, {}, { concurrency: 1 });
    for (let i = 0; i < 3; i++) expect(await call(target)).toMatchObject({ status: 200 });
    // The hint is a second, which is our margin: no connection is used twice.
    expect(short.connections()).toBe(3);
  });

  test('C52 a last answer with Connection: close is followed by a new connection', async () => {
    const closing = await serve((_, response) => response.setHeader('connection', 'close').end());
    const target = invoker(closing.url, {}, { concurrency: 1 });
    for (let i = 0; i < 5; i++) expect(await call(target)).toMatchObject({ status: 200, fault: null });
  });
});

describe('calls in work', () => {
  test('ends at once when aborted, and only once', async () => {
    const requests = new EventEmitter();
    const server = await serve((_, response) => {
      response.writeHead(200).flushHeaders();
      requests.emit('one');
    });
    const target = invoker(server.url, {}, { timeout: 60_000, concurrency: 1 });
    const told: Answer[] = [];
    const came = once(requests, 'one');
    const invocation = target.invoke([stored('1')], { answered: (answer) => told.push(answer) }, true);
    await came;
    invocation.abort();
    invocation.abort();
    expect(told).toMatchObject([{ fault: 'aborted', status: null }]);
    expect(conclude(told[0]!)).toBe('retry');
  });

  test('never has more connections than places', async () => {
    let now = 0;
    let most = 0;
    const server = await serve((_, response) => {
      most = Math.max(most, ++now);
      setImmediate(() => {
        now--;
        response.end();
      });
    });
    const target = invoker(server.url, {}, { concurrency: 3 });
    const answers = await Promise.all(Array.from({ length: 300 }, () => call(target)));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    expect(most).toBeLessThanOrEqual(3);
    expect(server.connections()).toBeLessThanOrEqual(3);
  });

  test('a target that takes no connection is a timeout or unreachable, and leaves nothing behind', async () => {
    const server = await rawFunction(() => {});
    open.push(server);
    // Speaks no TLS: the handshake never ends.
    const target = invoker(server.url.replace('http:', 'https:'), {}, { timeout: 300, concurrency: 1 });
    const answer = await call(target);
    expect(['timeout', 'unreachable']).toContain(answer.fault);
    expect(conclude(answer)).toBe('retry');
  });
});
