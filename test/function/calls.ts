import type { RequestListener } from 'node:http';
import { afterEach } from 'vitest';
import type { HttpFunction } from '../../src/config/function/types.ts';
import type { Answer } from '../../src/function/answer.ts';
import { type HttpInvokerOptions, httpInvoker } from '../../src/function/http.ts';
import type { Invoker } from '../../src/function/invoker.ts';
import type { StoredRecord } from '../../src/ports/event-log.ts';
import { httpFunction, type TestServer } from '../dispatcher/functions.ts';
import { stored } from '../dispatcher/records.ts';
import { httpAt } from '../dispatcher/rig.ts';

/** Ends what a test opened. */
export const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

export async function serve(
  handle: RequestListener,
  setUp?: Parameters<typeof httpFunction>[1],
): Promise<TestServer> {
  const server = await httpFunction(handle, setUp);
  open.push(server);
  return server;
}

export function invoker(
  url: string,
  http: Partial<HttpFunction> = {},
  options: Partial<HttpInvokerOptions> = {},
): Invoker {
  const made = httpInvoker({
    subscription: 's',
    http: httpAt(url, http),
    timeout: 5_000,
    concurrency: 4,
    wantsReply: false,
    tokens: null,
    now: Date.now,
    ...options,
  });
  open.push(made);
  return made;
}

/** Calls a function; by default with one event. */
export function call(
  target: Invoker,
  records: StoredRecord[] = [stored('{"a":1}')],
  fresh = true,
): Promise<Answer> {
  return new Promise((answered) => {
    target.invoke(records, { answered }, fresh);
  });
}
