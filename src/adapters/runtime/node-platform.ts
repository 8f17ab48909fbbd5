import { hash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { crc32 } from 'node:zlib';
import type { Platform } from '../../ports/platform.ts';
import { Deadlines } from './deadlines.ts';
import { readNodeBody } from './node-body.ts';
import { makeInflate } from './node-inflate.ts';
import { Turns } from './turns.ts';

/** What @hono/node-server hands to the app as `env`. */
export interface NodeEnv {
  incoming: IncomingMessage;
  outgoing: ServerResponse;
}

/** The platform on Node. `stop` ends its timer. */
export function nodePlatform(): Platform & { stop(): void } {
  const readings = new Deadlines();
  // One timer for all bodies: a timer for each would cost more than most bodies take to come.
  const sweep = setInterval(() => readings.sweep(performance.now()), 250);
  sweep.unref();
  const turns = new Turns();
  return {
    digest: (text) => hash('sha256', text, 'base64').slice(0, 22),
    sha256: (bytes) => hash('sha256', bytes, 'hex'),
    checksum: (bytes) => crc32(bytes),
    codings: ['gzip', 'deflate', 'br', 'zstd'],
    inflate: makeInflate(),
    readBody(_request, env, limits, memory) {
      const { incoming, outgoing } = env as NodeEnv;
      if (incoming.headers.expect !== undefined) outgoing.writeContinue();
      return readNodeBody(incoming, limits, memory, readings);
    },
    header: (_request, env, name) => (env as NodeEnv).incoming.headers[name] as string | undefined,
    peer: (_request, env) => (env as NodeEnv).incoming.socket.remoteAddress,
    headers: (_request, env) => fieldsOf((env as NodeEnv).incoming.rawHeaders),
    headerCount: (_request, env) => (env as NodeEnv).incoming.rawHeaders.length / 2,
    isGone: (_request, env) => (env as NodeEnv).incoming.socket.destroyed,
    enter: (client) => turns.enter(client ?? ''),
    turn: (client) => turns.next(client ?? ''),
    stop: () => clearInterval(sweep),
  };
}

function* fieldsOf(raw: string[]): Iterable<[string, string]> {
  for (let i = 0; i < raw.length; i += 2) yield [raw[i]!.toLowerCase(), raw[i + 1]!];
}
