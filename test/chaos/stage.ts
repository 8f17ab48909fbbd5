import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeProject, type Postern, type Project, startPostern } from '../e2e/postern.ts';
import { schema } from './events.ts';
import { startFunction, type TestFunction } from './function.ts';
import type { Trouble } from './ledger.ts';
import type { Platform } from './platform.ts';
import type { Random } from './random.ts';

export interface StageOptions {
  platform: Platform;
  random: Random;
  /** Keep events on disk while Kafka is away. */
  spool?: boolean;
  outage?: 'accept' | 'refuse';
  /** Another `main.ts` than ours. */
  main?: string;
}

/** One `postern serve`, which comes and goes on the same addresses and data. */
export interface Member {
  readonly url: string;
  readonly admin: string;
  running: Postern | null;
  /** Resolves when it listens; it need not be ready. */
  start(): Promise<void>;
  /** Resolves when it has ended. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** Output of all its processes. */
  output(): string;
}

/** Two gateways, a dispatcher and a function on a platform, with topics of their own. */
export interface Stage {
  readonly platform: Platform;
  readonly topic: string;
  /** By subscription: its consumer group and its dead-letter topic. */
  readonly subscriptions: readonly { name: string; group: string; dead: string; lane: 'all' | 'b' }[];
  readonly gateways: readonly Member[];
  readonly dispatchers: readonly Member[];
  readonly fn: TestFunction;
  readonly troubles: Trouble[];
  /** What was done, for people. */
  readonly faults: Map<string, number>;
  /** Processes that did not end as they should. */
  readonly badEnds: string[];
  /** Puts in a fault for `ms` milliseconds and notes it; `what` is null when it excuses nothing. */
  fault(
    name: string,
    what: Trouble['what'] | null,
    ms: number,
    begin: () => Promise<void> | void,
    end: () => Promise<void> | void,
  ): Promise<void>;
  /** Kills a gateway, and starts it again after `ms` milliseconds. */
  killGateway(index: number, ms: number): Promise<void>;
  /** Ends whatever still runs; processes that do not end in order are in `badEnds`. */
  stop(): Promise<void>;
  remove(): Promise<void>;
}

/** Starts two gateways and a dispatcher; a second dispatcher is there, but not started. */
export async function startStage(options: StageOptions): Promise<Stage> {
  const { platform, random, spool = false, outage = 'accept' } = options;
  const prefix = `chaos-${randomUUID().slice(0, 8)}`;
  const topic = `${prefix}.s`;
  const fn = await startFunction(random.next);
  const subscriptions = (['all', 'b'] as const).map((lane) => ({
    name: lane,
    lane,
    group: `${prefix}.${lane}`,
    dead: `${prefix}.${lane}.dead`,
  }));
  const yaml = `
log:
  kafka: { brokers: ['127.0.0.1:${platform.kafkaProxy.port}'], create: { partitions: 4 } }
  timeout: 4s
${spool ? "  spool: { path: '{folder}/spool', after: 1s }" : ''}
dedupe:
  redis: { url: 'redis://127.0.0.1:${platform.redisProxy.port}', prefix: '${prefix}:' }
  lease: 8s
  outage: ${outage}
grace: 15s
sources:
  s: { topic: ${topic}, id: [/id], key: /device, schema: chaos }
subscriptions:
  all:
    group: ${prefix}.all
    topics: [${topic}]
    function: { http: { url: '${fn.url}/all', mode: batch } }
    batch: { events: 50, wait: 100ms }
    ${RETRIES}
    deadLetter: ${prefix}.all.dead
  b:
    group: ${prefix}.b
    topics: [${topic}]
    filter: event.data.lane == "b"
    function: { http: { url: '${fn.url}/b' } }
    ${RETRIES}
    deadLetter: ${prefix}.b.dead
`;
  const projects: Project[] = [];
  const badEnds: string[] = [];
  const member = async (role: string): Promise<Member> => {
    const project = await makeProject({ yaml, schemas: { chaos: schema } });
    projects.push(project);
    return memberOf(project, role, options.main, badEnds);
  };
  const gateways = [await member('gateway'), await member('gateway')];
  const dispatchers = [await member('dispatcher'), await member('dispatcher')];
  const troubles: Trouble[] = [];
  const faults = new Map<string, number>();
  const note = (name: string) => faults.set(name, (faults.get(name) ?? 0) + 1);
  await Promise.all([...gateways, dispatchers[0]!].map((one) => one.start()));
  await Promise.all([...gateways, dispatchers[0]!].map(ready));
  return {
    platform,
    topic,
    subscriptions,
    gateways,
    dispatchers,
    fn,
    troubles,
    faults,
    badEnds,
    fault: async (name, what, ms, begin, end) => {
      note(name);
      const from = Date.now();
      await begin();
      await sleep(ms);
      await end();
      if (what !== null) troubles.push({ what, from, to: Date.now() });
    },
    killGateway: async (index, ms) => {
      note('gateway SIGKILL');
      const from = Date.now();
      await gateways[index]!.end('SIGKILL');
      troubles.push({ what: 'gateway killed', gateway: index, from, to: Date.now() });
      await sleep(ms);
      await gateways[index]!.start();
    },
    stop: async () => {
      await Promise.all([...gateways, ...dispatchers].map((one) => one.end('SIGTERM')));
      await fn.down();
    },
    remove: async () => {
      await Promise.all([...gateways, ...dispatchers].map((one) => one.end('SIGKILL')));
      await fn.down();
      for (const project of projects) await project.remove();
    },
  };
}

const RETRIES = 'timeout: 1s\n    concurrency: 24\n    retry: { attempts: 12, min: 50ms, max: 2s }';

function memberOf(project: Project, role: string, main: string | undefined, badEnds: string[]): Member {
  const ended: string[] = [];
  const command = ['serve', '--role', role];
  const member: Member = {
    url: `http://127.0.0.1:${project.port}`,
    admin: `http://127.0.0.1:${project.adminPort}`,
    running: null,
    start: async () => {
      member.running = await startPostern(project, {
        command,
        early: true,
        ...(main === undefined ? {} : { main }),
      });
    },
    end: async (signal) => {
      const { running } = member;
      if (running === null) return;
      member.running = null;
      running.kill(signal);
      const code = await running.exited;
      ended.push(running.output());
      if (code !== (signal === 'SIGTERM' ? 0 : 'SIGKILL'))
        badEnds.push(`${role} ended with ${code} on ${signal}`);
    },
    output: () => [...ended, member.running?.output() ?? ''].join('\n'),
  };
  return member;
}

/** Resolves when it says that it is ready. */
export async function ready(member: Member): Promise<void> {
  const until = Date.now() + 60_000;
  while ((await fetch(`${member.admin}/readyz`)).status !== 200) {
    if (Date.now() > until) throw new Error(`not ready:\n${member.output().slice(-4000)}`);
    await sleep(50);
  }
}
