import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeProject, type Postern, type Project, startPostern } from '../e2e/postern.ts';
import { until } from '../services/until.ts';
import { makeTopics } from './admin.ts';
import { configOf } from './config.ts';
import { FIRST_OF_SIDE, isLaneB, isSide, schema } from './events.ts';
import { startFunction, type TestFunction } from './function.ts';
import type { Trouble } from './ledger.ts';
import type { Platform, SinglePlatform } from './platform.ts';
import type { Random } from './random.ts';

export interface StageOptions<P extends Platform> {
  platform: P;
  random: Random;
  /** Keep events on disk while Kafka is away. */
  spool?: boolean;
  outage?: 'accept' | 'refuse';
  /** A second source with a topic and a subscription of its own. */
  side?: boolean;
  /** False: Postern makes no topics. */
  create?: boolean;
  /** `log.kafka.client` */
  client: string;
  /** Another `main.ts` than ours. */
  main?: string;
}

interface Subscription {
  name: string;
  topic: string;
  /** Its consumer group. */
  group: string;
  /** Its dead-letter topic. */
  dead: string;
  /** Whether it is to get an event that is stored. */
  wants(n: number): boolean;
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
export interface Stage<P extends Platform = SinglePlatform> {
  readonly platform: P;
  /** Of the first source. */
  readonly topic: string;
  /** `first`: number of the first event. */
  readonly sources: readonly { name: string; topic: string; first: number }[];
  readonly subscriptions: readonly Subscription[];
  /** All of them. */
  readonly topics: readonly string[];
  readonly gateways: readonly Member[];
  readonly dispatchers: readonly Member[];
  readonly fn: TestFunction;
  readonly troubles: Trouble[];
  /** The faults that were put in, by name, with their number. */
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
export async function startStage<P extends Platform>(options: StageOptions<P>): Promise<Stage<P>> {
  const { platform, random, spool = false, outage = 'accept', side = false, create = true } = options;
  const prefix = `chaos-${randomUUID().slice(0, 8)}`;
  const topic = `${prefix}.s`;
  const fn = await startFunction(random.next);
  const sources = [{ name: 's', topic, first: 0 }];
  if (side) sources.push({ name: 'side', topic: `${prefix}.side`, first: FIRST_OF_SIDE });
  const subscription = (name: string, read: string, wants: (n: number) => boolean): Subscription => ({
    ...{ name, topic: read, wants },
    group: `${prefix}.${name}`,
    dead: `${prefix}.${name}.dead`,
  });
  const subscriptions = [
    subscription('all', topic, (n) => !isSide(n)),
    subscription('b', topic, (n) => !isSide(n) && isLaneB(n)),
  ];
  if (side) subscriptions.push(subscription('side', `${prefix}.side`, isSide));
  const yaml = configOf({ ...options, prefix, fn, spool, outage, create, sources, subscriptions });
  const topics = [
    ...sources.flatMap((source) => [source.topic, `${source.topic}.rejected`]),
    ...subscriptions.map(({ dead }) => dead),
  ];
  if (!create) await makeTopics(platform.brokers, topics);
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
    sources,
    subscriptions,
    topics,
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
  const isReady = async () => (await fetch(`${member.admin}/readyz`)).status === 200;
  await until('a process is ready', isReady).catch((cause) => {
    throw new Error(`not ready:\n${member.output().slice(-4000)}`, { cause });
  });
}
