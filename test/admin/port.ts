import { request } from 'node:http';
import { listen } from '../../src/adapters/runtime/listen.ts';
import { type AdminParts, makeAdmin } from '../../src/admin/app.ts';
import type { AdminAccess } from '../../src/admin/guard.ts';

/** The app of the admin port, where all is well unless `parts` say otherwise. */
export function admin(parts: Partial<AdminParts> = {}) {
  return makeAdmin({
    access: accessOf(),
    stopping: () => false,
    log: () => null,
    spool: () => null,
    dedupe: () => null,
    dispatcher: () => null,
    descriptors: () => null,
    outage: 'accept',
    schemas: () => [],
    metrics: async () => 'up 1\n',
    contentType: 'text/plain; version=0.0.4; charset=utf-8',
    ...parts,
  });
}

/** That of a config without tokens whose listener is on loopback, unless `given` says otherwise. */
export function accessOf(given: Partial<AdminAccess> = {}): AdminAccess {
  return {
    listen: { host: '127.0.0.1', port: 8081 },
    hosts: [],
    tokens: { read: [], operate: [] },
    hostname: 'this-machine',
    ...given,
  };
}

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

export interface Call {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
}

/** A real listener with this app. `call` sends every header as it is given; those of `fetch` are partly its own. */
export async function openPort(parts: Partial<AdminParts> = {}) {
  const app = admin(parts);
  const listener = await listen({
    address: { host: '127.0.0.1', port: 0 },
    keepAlive: 5000,
    maxHeaders: 100,
    connections: { headTime: 5000, total: 256, perAddress: 128, isExempt: () => false },
    fetch: (incoming) => app.fetch(incoming),
  });
  const { port } = listener;
  return {
    port,
    call: (path: string, { method = 'GET', headers = {}, body }: Call = {}) =>
      new Promise<Answer>((resolve, reject) => {
        const sent = request({ port, host: '127.0.0.1', path, method, headers, agent: false });
        sent.setTimeout(10_000, () => sent.destroy(new Error(`no answer to ${method} ${path} in 10 s`)));
        sent.on('error', reject);
        sent.on('response', async (reply) => {
          let text = '';
          for await (const chunk of reply.setEncoding('utf8')) text += chunk;
          resolve({ status: reply.statusCode!, headers: reply.headers, text });
        });
        sent.end(body);
      }),
    async close() {
      listener.destroy();
      await listener.close();
    },
  };
}
