import { setTimeout as sleep } from 'node:timers/promises';
import { idOf, textOf } from './events.ts';
import type { Attempt, Heard } from './ledger.ts';
import type { Random } from './random.ts';

export interface ClientsOptions {
  /** Base URLs of the gateways. */
  gateways: readonly string[];
  source: string;
  /** Number of the first event. */
  first: number;
  random: Random;
  /** New events a second, as far as the gateways answer. */
  rate: number;
}

/** Clients that never forget what they were told. */
export interface Clients {
  /** All attempts by event number. */
  readonly attempts: ReadonlyMap<number, Attempt[]>;
  readonly requests: number;
  /** An answer made no sense; `finish` rejects with it. */
  readonly failed: boolean;
  /** Begins no new events; resolves when each is settled or given up, with those that never were within `ms`. */
  finish(ms: number): Promise<number[]>;
}

const WORKERS = 48;
/** Longer than a gateway takes for any answer. */
const ANSWER_MS = 20_000;
/** Of new events: clients that give up after the first try. */
const IMPATIENT = 0.02;
/** Of batches: sent to two gateways in the same moment. */
const TWINS = 0.05;
/** Of events: sent again though they were acknowledged. */
const REPLAYED = 0.08;

interface Listed {
  index: number;
  verdict: Heard;
  errors?: { code: string }[];
}

/**
 * Starts to send. Each client sends a batch to a gateway, and sends the events without an answer, or with the answer
 * `retry`, to any gateway again until all are settled. Some settled events are sent again on purpose.
 */
export function startClients({ gateways, source, first, random, rate }: ClientsOptions): Clients {
  const attempts = new Map<number, Attempt[]>();
  const replays: number[] = [];
  const open = new Set<number>();
  const started = performance.now();
  let next = first;
  let requests = 0;
  let finishing = false;
  let abandoned = false;

  /** One request; returns the numbers that are to be sent again, and when. */
  const post = async (numbers: number[], gateway: number): Promise<{ left: number[]; wait: number }> => {
    const start = Date.now();
    const heard: { heard: Heard; code: string | null }[] = numbers.map(() => ({ heard: 'none', code: null }));
    let wait = random.between(100, 500);
    requests++;
    try {
      const texts = numbers.map(textOf);
      const response = await fetch(`${gateways[gateway]}/events/${source}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: texts.length === 1 ? texts[0]! : `[${texts.join(', ')}]`,
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      read(response.status, JSON.parse(await response.text()), heard);
      wait = Number(response.headers.get('retry-after') ?? 0) * random.between(500, 1_000);
    } catch (error) {
      if (error instanceof UnexpectedAnswer) throw error;
    }
    const end = Date.now();
    numbers.forEach((n, i) => attempts.get(n)!.push({ gateway, start, end, ...heard[i]! }));
    const left = numbers.filter((_, i) => heard[i]!.heard === 'retry' || heard[i]!.heard === 'none');
    return { left, wait };
  };

  const settle = async (numbers: number[], gateway: number, impatient: boolean): Promise<void> => {
    let left = numbers;
    while (left.length > 0 && !abandoned) {
      const reply = await post(left, gateway);
      left = reply.left;
      if (impatient) return;
      if (left.length > 0) await sleep(reply.wait);
      gateway = random.between(0, gateways.length - 1);
    }
  };

  const worker = async (): Promise<void> => {
    while (!finishing) {
      const size = random.chance(0.4) ? 1 : random.between(2, 60);
      if (next - first + size > ((performance.now() - started) / 1000) * rate) {
        await sleep(5);
        continue;
      }
      const fresh = Array.from({ length: size }, () => next++);
      for (const n of fresh) {
        attempts.set(n, []);
        open.add(n);
      }
      const batch = [...fresh, ...replays.splice(0, size)];
      const gateway = random.between(0, gateways.length - 1);
      const impatient = random.chance(IMPATIENT);
      const twin = random.chance(TWINS) ? [(gateway + 1) % gateways.length] : [];
      await Promise.all([gateway, ...twin].map((one) => settle(batch, one, impatient)));
      if (abandoned) return;
      for (const n of fresh) {
        open.delete(n);
        if (random.chance(REPLAYED)) replays.push(n);
      }
    }
  };
  const workers = Promise.all(Array.from({ length: WORKERS }, worker));
  let failed = false;
  workers.catch(() => {
    failed = true;
  });

  return {
    attempts,
    get requests() {
      return requests;
    },
    get failed() {
      return failed;
    },
    finish: async (ms) => {
      finishing = true;
      const timer = setTimeout(() => {
        abandoned = true;
      }, ms);
      await workers;
      clearTimeout(timer);
      return [...open];
    },
  };
}

/** An answer that no client could make sense of: a bug, not a fault. */
class UnexpectedAnswer extends Error {}

/** Fills in what an answer says of each event. */
function read(status: number, body: unknown, heard: { heard: Heard; code: string | null }[]): void {
  const { events, accepted } = body as { events?: Listed[]; accepted?: number };
  if (events === undefined || accepted === undefined) {
    // The request was refused as a whole.
    if (status !== 503) throw new UnexpectedAnswer(`${status}: ${JSON.stringify(body)}`);
    for (const one of heard) one.heard = 'retry';
    return;
  }
  for (const one of heard) one.heard = 'accepted';
  for (const { index, verdict, errors } of events) {
    heard[index] = { heard: verdict, code: errors?.[0]?.code ?? null };
  }
  const listed = heard.filter((one) => one.heard === 'accepted').length;
  const retries = heard.some((one) => one.heard === 'retry');
  if (listed !== accepted || retries !== (status === 503)) {
    throw new UnexpectedAnswer(`${status} does not fit ${JSON.stringify(body)}`);
  }
}

/** For people who look for an event in a log. */
export function describe(n: number, attempts: readonly Attempt[]): string {
  const said = attempts.map(
    ({ gateway, heard, code }) => `${heard}${code === null ? '' : `:${code}`}@${gateway}`,
  );
  return `${idOf(n)} ${said.join(', ')}`;
}
