import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { LambdaFunction } from '../../src/config/function/types.ts';
import { type Answer, conclude, healthOf, reasonOf } from '../../src/function/answer.ts';
import type { Invocation, Invoker } from '../../src/function/invoker.ts';
import { lambdaInvoker } from '../../src/function/lambda.ts';
import { kafkaEvent } from '../../src/function/lambda-event.ts';
import { bodyOf, httpFunction, rawFunction, type TestServer } from '../dispatcher/functions.ts';
import { foreign, stored } from '../dispatcher/records.ts';
import { freePort } from '../services/free-port.ts';
import { call, open } from './calls.ts';

// What AWS's emulator does not do (throttling, refusals, the error header, queued calls), a server here says in
// the words of AWS's API reference.
beforeEach(() => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'id');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
});
afterEach(() => {
  vi.unstubAllEnvs();
});

type Handle = (request: IncomingMessage, response: ServerResponse, body: Buffer) => unknown;

async function serve(handle: Handle): Promise<TestServer> {
  const server = await httpFunction(async (request, response) => {
    handle(request, response, await bodyOf(request));
  });
  open.push(server);
  return server;
}

interface Settings extends Partial<LambdaFunction> {
  timeout?: number;
  concurrency?: number;
}

async function invokerAt(port: number, settings: Settings = {}): Promise<Invoker> {
  const { timeout = 20_000, concurrency = 4, ...changes } = settings;
  const endpoint = `http://127.0.0.1:${port}`;
  const made = await lambdaInvoker({
    lambda: { name: 'prices:live', region: 'eu-central-1', endpoint, invoke: 'sync', ...changes },
    timeout,
    concurrency,
    bootstrapServers: 'one:9092',
    wantsReply: true,
  });
  open.push(made);
  return made;
}

/** What comes of one answer. */
async function answering(handle: Handle, settings: Settings = {}): Promise<Answer> {
  return call(await invokerAt((await serve(handle)).port, settings));
}

const refusing =
  (status: number, type: string, message: string, headers: Record<string, string> = {}): Handle =>
  (_, response) =>
    response
      .writeHead(status, { 'content-type': 'application/json', 'x-amzn-errortype': type, ...headers })
      .end(JSON.stringify({ Type: 'User', Message: message }));

describe('calls', () => {
  test('a call names the function and is signed', async () => {
    let seen: IncomingMessage | undefined;
    let event: unknown;
    const answer = await answering((request, response, body) => {
      seen = request;
      event = JSON.parse(body.toString());
      response.end('null');
    });
    expect(answer).toMatchObject({ status: 200, fault: null, failed: null, reply: null });
    expect(seen!.url).toBe('/2015-03-31/functions/prices%3Alive/invocations');
    expect(seen!.headers).toMatchObject({ 'x-amz-invocation-type': 'RequestResponse' });
    expect(seen!.headers.authorization).toMatch(
      /^AWS4-HMAC-SHA256 Credential=id\/\d+\/eu-central-1\/lambda\//,
    );
    expect(event).toMatchObject({
      eventSource: 'SelfManagedKafka',
      records: { 'orders-0': [{ offset: 7 }] },
    });
  });

  test('C56 an asynchronous call is done when AWS has queued it', async () => {
    let type: unknown;
    const answer = await answering(
      (request, response) => {
        type = request.headers['x-amz-invocation-type'];
        response.writeHead(202).end();
      },
      { invoke: 'async' },
    );
    expect(type).toBe('Event');
    expect(answer).toMatchObject({ status: 202, fault: null });
    expect(conclude(answer)).toBe('done');
  });

  test.each([
    ['sync', 6 * 1024 * 1024],
    ['async', 1024 * 1024],
  ] as const)('C56 a %s call of %d bytes of JSON is not made', async (invoke, limit) => {
    const lengths: number[] = [];
    const server = await serve((_request, response, body) => {
      lengths.push(body.length);
      response.writeHead(invoke === 'sync' ? 200 : 202).end();
    });
    const invoker = await invokerAt(server.port, { invoke });
    const recordOf = (bytes: number) => foreign(new Uint8Array(bytes));
    const jsonOf = (bytes: number) => kafkaEvent([recordOf(bytes)], 'one:9092').length;
    const most = Math.floor((limit - 1 - jsonOf(0)) / 4) * 3;
    const large = await call(invoker, [recordOf(most)]);
    expect(large).toMatchObject({ status: invoke === 'sync' ? 200 : 202, fault: null });
    const larger = await call(invoker, [recordOf(most + 1)]);
    expect(larger).toMatchObject({ status: null, fault: 'too_large' });
    expect(lengths).toEqual([jsonOf(most)]);
    expect(jsonOf(most + 1)).toBeGreaterThanOrEqual(limit);
  });
});

describe('answers', () => {
  test('C56 only the header tells of a function that failed', async () => {
    const error = { errorMessage: '2026-01-01T00:00:00Z 1 Task timed out after 3.00 seconds' };
    const answer = await answering((_, response) =>
      response.writeHead(200, { 'x-amz-function-error': 'Unhandled' }).end(JSON.stringify(error)),
    );
    expect(answer).toMatchObject({ status: 200, fault: 'function_error', detail: error.errorMessage });
    expect([conclude(answer), healthOf(answer), reasonOf(answer)]).toEqual([
      'retry',
      'failing',
      'function_error',
    ]);
  });

  test('what a function says of its failure is cut', async () => {
    const error = { errorType: 'Error', errorMessage: 'é'.repeat(5000), trace: ['secret'] };
    const answer = await answering((_, response) =>
      response.writeHead(200, { 'x-amz-function-error': 'Unhandled' }).end(JSON.stringify(error)),
    );
    expect(answer.detail).toMatch(/^Error: é+$/);
    expect(Buffer.byteLength(answer.detail)).toBeLessThanOrEqual(1024);
  });

  test.each([
    ['nothing', '', null],
    ['null', 'null', null],
    ['text of a runtime of its own', 'thanks', null],
    ['a list with nothing in it', '{"batchItemFailures":[]}', null],
    ['an error beside a list', '{"errorType":"E","errorMessage":"m","batchItemFailures":[]}', null],
    ['an error document', '{"errorType":"E","errorMessage":"m"}', 'function_error'],
    ['a time-out of the emulator', 'Task timed out after 3.00 seconds', 'function_error'],
    ['JSON without its end', '{"batchItemFailures":[{"item', 'bad_reply'],
    [
      'an unknown event',
      '{"batchItemFailures":[{"itemIdentifier":{"partition":"x-0","offset":1}}]}',
      'bad_reply',
    ],
    ['texts', '{"batchItemFailures":["orders-0-7"]}', 'bad_reply'],
  ])('C57 %s', async (_name, body, fault) => {
    const answer = await answering((_, response) => response.end(body));
    expect(answer).toMatchObject({ status: 200, fault, failed: null, reply: null });
    expect(conclude(answer)).toBe(fault === null ? 'done' : 'retry');
  });

  test('CloudEvents in the answer are replies, when wanted', async () => {
    const event = '{"specversion":"1.0","id":"1","source":"/f","type":"t"}';
    const single = await answering((_, response) => response.end(event));
    expect(single.reply).toMatchObject({ headers: { 'content-type': 'application/cloudevents+json' } });
    const many = await answering((_, response) => response.end(`[${event},${event}]`));
    expect(many.reply).toMatchObject({ headers: { 'content-type': 'application/cloudevents-batch+json' } });
    expect((await answering((_, response) => response.end(`[${event},1]`))).reply).toBeNull();
  });

  test('C53 an answer without an end is cut', async () => {
    const answer = await answering((_, response) => {
      const more = () => {
        while (!response.destroyed && response.write('x'.repeat(65_536)));
      };
      response.on('drain', more);
      more();
    });
    expect(answer).toMatchObject({ status: null, fault: 'bad_reply' });
  });
});

describe('refusals', () => {
  test('C56 throttling is no fault of the event, and its time is passed on', async () => {
    const answer = await answering(
      refusing(429, 'TooManyRequestsException', 'Rate Exceeded.', { 'retry-after': '7' }),
    );
    expect(answer).toMatchObject({ status: 429, fault: null, retryAfter: '7' });
    expect([conclude(answer), reasonOf(answer)]).toEqual(['retry', 'throttled']);
    const other = await answering(refusing(400, 'ThrottlingException', 'Rate exceeded'));
    expect(other).toMatchObject({ status: 429, fault: null, retryAfter: null });
  });

  test.each([
    [404, 'ResourceNotFoundException', 'retry', 'failing', 'not_ready'],
    [409, 'ResourceConflictException', 'retry', 'up', 'not_ready'],
    [413, 'RequestTooLargeException', 'refused', 'unknown', 'too_large'],
    [400, 'InvalidRequestContentException', 'refused', 'up', 'refused'],
    [415, 'UnsupportedMediaTypeException', 'refused', 'up', 'refused'],
    [500, 'ServiceException', 'retry', 'failing', 'server_error'],
    [502, 'EC2ThrottledException', 'retry', 'failing', 'server_error'],
    // Whatever the events are: the backlog must not become dead letters.
    [403, 'AccessDeniedException', 'retry', 'unreachable', 'unreachable'],
    [403, 'ExpiredTokenException', 'retry', 'unreachable', 'unreachable'],
    [400, 'InvalidParameterValueException', 'retry', 'unreachable', 'unreachable'],
    [410, 'EFSIOException', 'retry', 'unreachable', 'unreachable'],
  ])('C56 %d %s', async (status, type, conclusion, health, reason) => {
    const answer = await answering(refusing(status, type, 'No.'));
    expect(answer).toMatchObject({ status, detail: `HTTP ${status}: ${type}: No.` });
    expect([conclude(answer), healthOf(answer), reasonOf(answer)]).toEqual([conclusion, health, reason]);
  });

  test('a page of something between us and AWS is told by its status', async () => {
    const answer = await answering((_, response) => response.writeHead(503).end('<html>busy</html>'));
    expect(answer).toMatchObject({ status: 503, fault: null });
  });

  test('C59 what AWS quotes of a request is not passed on', async () => {
    const message = 'The signature does not match.\n\nThe Canonical String was\nx-amz-security-token:T0KEN';
    const answer = await answering(refusing(403, 'InvalidSignatureException', message));
    expect(answer.detail).toBe('HTTP 403: InvalidSignatureException: The signature does not match.');
  });

  test('without credentials nothing is sent, and it is waited for', async () => {
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE'])
      vi.stubEnv(name, undefined);
    for (const name of ['AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE']) vi.stubEnv(name, '/dev/null');
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    const server = await serve((_, response) => response.end());
    const answer = await call(await invokerAt(server.port));
    expect(answer).toMatchObject({ status: null, fault: 'unreachable' });
    expect(answer.detail).toContain('credentials');
    expect(server.connections()).toBe(0);
  });

  test('credentials that cannot be sent are waited for, and not quoted', async () => {
    vi.stubEnv('AWS_SESSION_TOKEN', 'T0KEN\n');
    const answer = await answering((_, response) => response.end());
    expect(answer).toMatchObject({ status: null, fault: 'unreachable' });
    expect(answer.detail).not.toContain('T0KEN');
  });

  test('without a region there is no invoker', async () => {
    for (const name of ['AWS_REGION', 'AWS_DEFAULT_REGION', 'AWS_PROFILE']) vi.stubEnv(name, undefined);
    for (const name of ['AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE']) vi.stubEnv(name, '/dev/null');
    await expect(invokerAt(1, { region: null })).rejects.toThrow(/^function\.lambda\.region: /);
  });
});

describe('connections', () => {
  test('a function that nobody serves is unreachable', async () => {
    const answer = await call(await invokerAt(await freePort()));
    expect(answer).toMatchObject({ status: null, fault: 'unreachable' });
  });

  test('connections are used again, and never more than calls at once', async () => {
    const server = await serve((_, response) => setImmediate(() => response.end()));
    const invoker = await invokerAt(server.port, { concurrency: 3 });
    for (let i = 0; i < 10; i++) {
      const answers = await Promise.all(Array.from({ length: 3 }, () => call(invoker)));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    }
    expect(server.connections()).toBeLessThanOrEqual(3);
  });

  test('C52 a used connection that the other side closes is stale once, then lost', async () => {
    let calls = 0;
    const server = await rawFunction((socket) => {
      socket.on('data', (bytes) => {
        // A request of the SDK comes in one or two pieces; its JSON ends with these.
        if (!bytes.toString().endsWith(']}}')) return;
        if (++calls % 2 === 1) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
        else socket.destroy();
      });
    });
    open.push(server);
    const invoker = await invokerAt(server.port, { concurrency: 1 });
    expect((await call(invoker)).status).toBe(200);
    expect((await call(invoker)).fault).toBe('stale_connection');
    expect((await call(invoker)).status).toBe(200);
    expect((await call(invoker, undefined, false)).fault).toBe('connection_lost');
  });

  test('C52 a new connection that is closed is no stale one', async () => {
    const server = await rawFunction((socket) => socket.on('data', () => socket.destroy()));
    open.push(server);
    expect((await call(await invokerAt(server.port))).fault).toBe('connection_lost');
  });

  test('C53 a call that is not answered in time ends, and so does its connection', async () => {
    const server = await serve(() => {});
    const answer = await call(await invokerAt(server.port, { timeout: 50 }));
    expect(answer).toMatchObject({ status: null, fault: 'timeout' });
    await expect.poll(() => server.open()).toBe(0);
  });

  test('C53 an answer of which only the beginning comes is a time-out', async () => {
    const server = await serve((_, response) => response.writeHead(200, { 'content-length': 9 }).write('x'));
    const answer = await call(await invokerAt(server.port, { timeout: 50 }));
    expect(answer).toMatchObject({ status: null, fault: 'timeout' });
    await expect.poll(() => server.open()).toBe(0);
  });

  test('abort tells the caller before it returns, and only once', async () => {
    const server = await serve(() => {});
    const invoker = await invokerAt(server.port);
    const answers: Answer[] = [];
    const invocation: Invocation = invoker.invoke(
      [stored('1')],
      { answered: (one) => answers.push(one) },
      true,
    );
    await expect.poll(() => server.open()).toBe(1);
    invocation.abort();
    expect(answers.map(({ fault }) => fault)).toEqual(['aborted']);
    invocation.abort();
    await expect.poll(() => server.open()).toBe(0);
    expect(answers).toHaveLength(1);
  });

  test('close ends what is on its way', async () => {
    const server = await serve(() => {});
    const invoker = await invokerAt(server.port);
    const answer = call(invoker);
    await expect.poll(() => server.open()).toBe(1);
    await invoker.close();
    expect((await answer).fault).toBe('aborted');
  });
});
