import { setTimeout as sleep } from 'node:timers/promises';
import { makeProject, type Postern, type Project, startPostern } from '../e2e/postern.ts';
import type { Statuses } from './attacker.ts';
import { type Attacker, startAttacker } from './attacker-process.ts';
import type { Attack } from './attacks.ts';
import { type GoodClient, startGoodClient } from './client.ts';
import { type Figures, type Seen, seenIn } from './figures.ts';
import { ownedSockets, peakMemory, resetPeak } from './proc.ts';
import { attackedYaml, SCHEMAS, SECRETS, type Stores } from './project.ts';

/** Node's flags of the image, and the heap that fits 512 MiB. */
const NODE = ['--max-semi-space-size=16', '--no-parallel-scavenge', '--max-old-space-size=384'];
const GOOD = '127.0.0.2';
const WARM_MS = 500;
const QUIET_MS = 1000;
/** In which all must be as before: where times are judged, and where a busy machine is no failure. */
const RECOVERY_MS = { timed: 5000, patient: 60_000 };
const LOOP_LAG = 'nodejs_eventloop_lag_max_seconds';

export interface RunOptions {
  seconds: number;
  /** Names of the routes; default: all of the attack's, at once. */
  routes?: string[];
}

interface StageOptions {
  project: 'full' | 'bare';
  /** Whether times are judged: how they are without an attack is measured too, and each request is tried alone. */
  timed: boolean;
  stores?: Stores;
  /** How many addresses the attacker has; default 1. */
  addresses?: number;
}

/** A gateway that is attacked, a good client of it, and an attacker. */
export class Stage {
  readonly #options: StageOptions;
  readonly #addresses: string[];
  #project!: Project;
  #postern!: Postern;
  #client!: GoodClient;
  #attacker!: Attacker;
  #ended: string | null = null;
  /** Whether an attack has left something behind that the next one must not be blamed for. */
  #isMarked = false;
  /** Seconds, the most of all scrapes. */
  #lag = 0;
  /** How it is without an attack; null where times are not judged. */
  quiet: Seen | null = null;

  private constructor(options: StageOptions) {
    this.#options = options;
    const { addresses = 1 } = options;
    this.#addresses =
      addresses === 1 ? ['127.0.0.1'] : Array.from({ length: addresses }, (_, n) => `127.0.1.${n + 1}`);
  }

  static async start(options: StageOptions): Promise<Stage> {
    const stage = new Stage(options);
    await stage.#start();
    return stage;
  }

  async #start(): Promise<void> {
    const { project, stores = {} } = this.#options;
    this.#project = await makeProject({ yaml: attackedYaml(project, stores), schemas: SCHEMAS });
    this.#postern = await startPostern(this.#project, { node: NODE });
    this.#ended = null;
    this.#isMarked = false;
    const { url, admin, exited, output } = this.#postern;
    void exited.then((code) => {
      const reason = /FATAL ERROR: .*/.exec(output())?.[0].replace('FATAL ERROR: ', '');
      this.#ended = reason ?? String(code);
    });
    this.#client = startGoodClient({ url, admin, from: GOOD, hooks: project === 'full' });
    this.#attacker = startAttacker();
    // The first requests meet code that is not compiled yet.
    await sleep(WARM_MS);
    if (!this.#options.timed) return;
    const rounds = [await this.#quietRound(), await this.#quietRound()];
    const slowest = rounds.reduce((a, b) => (b.p99 > a.p99 ? b : a));
    this.quiet = { ...slowest, loop: Math.max(...rounds.map(({ loop }) => loop ?? 0)) };
  }

  async #quietRound(): Promise<Seen> {
    await this.#loopLag();
    const start = performance.now();
    await sleep(QUIET_MS);
    const { requests, livez } = await this.#client.samples(start, performance.now());
    return seenIn(requests, livez, await this.#loopLag());
  }

  /** Starts the process anew when it did not get over an earlier attack. */
  async run(attack: Attack, { seconds, routes }: RunOptions): Promise<Figures> {
    if (this.#ended !== null || this.#isMarked) {
      await this.stop();
      await this.#start();
    }
    const to = routes ?? attack.routes.map(({ name }) => name);
    await this.#attacker.prepare(attack, to);
    resetPeak(this.#postern.pid);
    let peak = 0;
    // A process that ends tells nothing in the end.
    const watch = setInterval(() => {
      peak = Math.max(peak, peakMemory(this.#postern.pid) ?? 0);
    }, 50);
    await this.#loopLag();
    const order = { seconds, port: this.#project.port, addresses: this.#addresses };
    const start = performance.now();
    const statuses: Statuses[] = [];
    let alone: number | null = null;
    if (attack.alone === true && this.#options.timed) {
      statuses.push(await this.#attacker.attack({ ...order, alone: true }));
      alone = await this.#loopLag();
    }
    statuses.push(await this.#attacker.attack({ ...order, alone: false }));
    const end = performance.now();
    const { left, recovered } = await this.#recovery(end);
    const { requests, livez } = await this.#client.samples(start, end);
    const loop = await this.#loopLag();
    clearInterval(watch);
    this.#isMarked = left.length > 0;
    return {
      ...seenIn(requests, livez, loop),
      attack: routes === undefined ? attack.name : `${attack.name} (${routes.join(', ')})`,
      seconds,
      memory: Math.max(peak, peakMemory(this.#postern.pid) ?? 0),
      alone,
      statuses: statuses.reduce(sumOf),
      died: this.#ended,
      recovered,
      left,
    };
  }

  /** Waits until all is as before, for as long as that may take. */
  async #recovery(end: number): Promise<Pick<Figures, 'left' | 'recovered'>> {
    let left: string[] = [];
    const limit = RECOVERY_MS[this.#options.timed ? 'timed' : 'patient'];
    while (this.#ended === null) {
      left = await this.#leftOver();
      const passed = performance.now() - end;
      if (left.length === 0) return { left, recovered: passed };
      if (passed > limit) break;
      await sleep(50);
    }
    return { left, recovered: null };
  }

  async #leftOver(): Promise<string[]> {
    const { admin, url } = this.#postern;
    const body = JSON.stringify({ id: crypto.randomUUID(), type: 't' });
    const [buffered, ready, served] = await Promise.all([
      this.#metric('postern_buffered_bytes', 3000),
      status(`${admin}/readyz`),
      status(`${url}/events/keyed?key=${SECRETS.right}`, { method: 'POST', body }),
    ]);
    const left: string[] = [];
    const sockets = ownedSockets(this.#project.port, this.#addresses);
    if (sockets > 0) left.push(`${sockets} sockets of the attacker`);
    // The good client has a few bytes in work at any moment.
    if (buffered === null || buffered > 1000) left.push(`${buffered ?? 'unknown'} bytes held`);
    if (ready !== 200) left.push(`/readyz says ${ready}`);
    if (served !== 202) left.push(`the attacker's own address is answered ${served}`);
    return left;
  }

  /** Milliseconds that the event loop stood still at most since it was asked last; null when there is no answer. */
  async #loopLag(): Promise<number | null> {
    const last = await this.#metric(LOOP_LAG, 15_000);
    const most = last === null ? null : this.#lag * 1000;
    this.#lag = 0;
    return most;
  }

  async #metric(name: string, patience: number): Promise<number | null> {
    try {
      const reply = await fetch(`${this.#postern.admin}/metrics`, { signal: AbortSignal.timeout(patience) });
      const text = await reply.text();
      const value = (of: string) => Number(new RegExp(`^${of} (.+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
      // Each scrape begins that one anew.
      this.#lag = Math.max(this.#lag, value(LOOP_LAG));
      const found = value(name);
      return Number.isNaN(found) ? null : found;
    } catch {
      return null;
    }
  }

  async stop(): Promise<void> {
    this.#attacker.stop();
    await this.#client.stop();
    this.#postern.kill('SIGKILL');
    await this.#postern.exited;
    await this.#project.remove();
  }
}

/** 0 when there is no reply. */
async function status(url: string, init: RequestInit = {}): Promise<number> {
  try {
    const reply = await fetch(url, {
      ...init,
      headers: { 'content-type': 'application/json', connection: 'close' },
      signal: AbortSignal.timeout(2000),
    });
    await reply.arrayBuffer();
    return reply.status;
  } catch {
    return 0;
  }
}

function sumOf(a: Statuses, b: Statuses): Statuses {
  const sum = structuredClone(a);
  for (const [route, counts] of Object.entries(b)) {
    sum[route] ??= {};
    const into = sum[route];
    for (const [name, count] of Object.entries(counts)) into[name] = (into[name] ?? 0) + count;
  }
  return sum;
}
