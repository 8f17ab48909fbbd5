import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { SECRETS } from './project.ts';

/** One request of the good client. */
export interface Sample {
  path: string;
  /** When it was sent, as of performance.now(). */
  at: number;
  ms: number;
  /** 0: no reply came. */
  status: number;
}

export interface GoodClient {
  /** Requests sent between two times. Resolves when all of them are answered. */
  samples(from: number, to: number): Promise<{ requests: Sample[]; livez: Sample[] }>;
  stop(): Promise<void>;
}

export interface GoodClientOptions {
  url: string;
  admin: string;
  /** Its address: another than the attacker's. */
  from: string;
  /** Whether it sends webhooks too. */
  hooks: boolean;
}

/** Milliseconds between two requests of a kind. */
const EVENT_MS = 25;
const HOOK_MS = 500;
const LIVEZ_MS = 100;
/** A busy machine is no failure; slow answers are judged by their times. */
const PATIENCE_MS = 30_000;

interface Ask {
  path: string;
  method: 'GET' | 'POST';
  headers?: Record<string, string>;
  body?: string;
  /** On a connection of its own. */
  reset?: boolean;
}

/**
 * Sends as a well-behaved client does: events on connections that it keeps, webhooks each on a new one, at fixed
 * times whether or not earlier ones are answered. And asks for /livez as a kubelet does.
 */
export function startGoodClient({ url, admin, from, hooks }: GoodClientOptions): GoodClient {
  const pool = new Pool(url, { connections: 64, localAddress: from });
  const probe = new Pool(admin, { connections: 16 });
  const [requests, livez]: [Sample[], Sample[]] = [[], []];
  const open = new Set<number>();

  async function send(to: Pool, samples: Sample[], ask: Ask): Promise<void> {
    const at = performance.now();
    let status = 0;
    open.add(at);
    try {
      const reply = await to.request({ ...ask, signal: AbortSignal.timeout(PATIENCE_MS) });
      await reply.body.dump();
      status = reply.statusCode;
    } catch {
      // No reply is what the sample then says.
    }
    open.delete(at);
    samples.push({ path: ask.path, at, ms: performance.now() - at, status });
  }

  const timers = [
    setInterval(() => void send(pool, requests, eventRequest()), EVENT_MS),
    setInterval(() => void send(probe, livez, { path: '/livez', method: 'GET' }), LIVEZ_MS),
  ];
  if (hooks) timers.push(setInterval(() => void send(pool, requests, hookRequest()), HOOK_MS));

  return {
    async samples(start, end) {
      const limit = performance.now() + PATIENCE_MS + 1000;
      while ([...open].some((at) => at < end) && performance.now() < limit) await sleep(10);
      const inside = ({ at }: Sample) => at >= start && at < end;
      return { requests: requests.filter(inside), livez: livez.filter(inside) };
    },
    async stop() {
      for (const timer of timers) clearInterval(timer);
      await Promise.all([pool.destroy(), probe.destroy()]);
    },
  };
}

function eventRequest(): Ask {
  return {
    path: '/events/good',
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${SECRETS.good}` },
    body: JSON.stringify({ id: crypto.randomUUID(), page: '/pricing' }),
  };
}

function hookRequest(): Ask {
  const body = JSON.stringify({ action: 'opened', number: 1 });
  const signature = createHmac('sha256', SECRETS.hook).update(body).digest('hex');
  return {
    path: '/webhooks/goodhook',
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-github-event': 'issues',
      'x-github-delivery': crypto.randomUUID(),
      'x-hub-signature-256': `sha256=${signature}`,
    },
    body,
    reset: true,
  };
}
