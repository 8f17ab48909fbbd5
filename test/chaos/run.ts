import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Clients, describe, startClients } from './clients.ts';
import { idOf, isValid, numberOf } from './events.ts';
import { drain, type Evidence, readEvidence } from './evidence.ts';
import {
  type Attempt,
  BROKEN_PROMISES,
  type Cause,
  type DeliveryCount,
  judge,
  judgeDeliveries,
  type Outcome,
  wasDeleted,
} from './ledger.ts';
import type { Platform } from './platform.ts';
import { randomOf } from './random.ts';
import type { Scenario } from './scenario.ts';
import { ready, type Stage, startStage } from './stage.ts';

export interface RunOptions {
  platform: Platform;
  scenario: Scenario<Platform>;
  seed: number;
  /** The run ends when this number of events was sent, `lasting` has passed, and all rounds of faults are done. */
  events: number;
  /** Milliseconds. */
  lasting: number;
  /** New events a second. */
  rate: number;
  /** `log.kafka.client` */
  client?: string;
  /** Another `main.ts` than ours. */
  main?: string;
}

/** The result of a run. */
export interface Result {
  scenario: string;
  seed: number;
  seconds: number;
  events: number;
  requests: number;
  records: number;
  faults: Map<string, number>;
  outcomes: Map<Outcome, number>;
  causes: Map<Cause, number>;
  deliveries: Map<string, DeliveryCount>;
  /** Each broken promise, in words; empty is what we want. */
  broken: string[];
  /** Where the output of the processes is, when something is broken. */
  folder: string | null;
}

const SETTLE_MS = 90_000;
const DRAIN_MS = 150_000;
/** Of the second source, as a share of the first one's. */
const SIDE_RATE = 0.3;
/** Broken promises of one kind that are told in words. */
const EXAMPLES = 5;

/** Runs a scenario: load, faults, quiet, and then the books. */
export async function runScenario(options: RunOptions): Promise<Result> {
  const { platform, scenario, seed, rate } = options;
  const started = Date.now();
  const random = randomOf(seed);
  const stage = await startStage({
    platform,
    random,
    spool: scenario.spool ?? false,
    outage: scenario.outage ?? 'accept',
    side: scenario.side ?? false,
    create: scenario.create ?? true,
    client: options.client ?? 'kafkajs',
    ...(options.main === undefined ? {} : { main: options.main }),
  });
  try {
    const urls = stage.gateways.map(({ url }) => url);
    const clients = stage.sources.map(({ name, first }, i) =>
      startClients({
        ...{ gateways: urls, source: name, first },
        random: randomOf(seed + 1 + i),
        rate: i === 0 ? rate : rate * SIDE_RATE,
      }),
    );
    const sum = (pick: (one: Clients) => number) => clients.reduce((total, one) => total + pick(one), 0);
    const until = Date.now() + options.lasting;
    const broken: string[] = [];
    const isOver = (round: number) =>
      round >= scenario.rounds &&
      Date.now() >= until &&
      sum(({ attempts }) => attempts.size) >= options.events;
    for (let round = 0; !isOver(round) && !clients.some(({ failed }) => failed); round++) {
      await sleep(random.between(300, 1_200));
      await scenario.round(stage, random);
    }
    const unsettled = (await Promise.all(clients.map((one) => one.finish(SETTLE_MS)))).flat();
    const attempts = new Map(clients.flatMap((one) => [...one.attempts]));
    for (const n of unsettled.slice(0, EXAMPLES))
      broken.push(`never settled: ${describe(n, attempts.get(n)!)}`);
    if (unsettled.length > EXAMPLES) broken.push(`never settled: ${unsettled.length} in all`);
    await Promise.all([...stage.gateways, stage.dispatchers[0]!].map(ready)).catch((error: Error) => {
      broken.push(error.message);
    });
    for (const left of await drain(stage, DRAIN_MS)) broken.push(`not drained: ${left}`);
    await stage.stop();
    for (const end of stage.badEnds) broken.push(end);
    const evidence = await readEvidence(stage);
    const books = balance(stage, attempts, evidence);
    broken.push(...books.broken);
    return {
      scenario: scenario.name,
      seed,
      seconds: (Date.now() - started) / 1000,
      events: attempts.size,
      requests: sum(({ requests }) => requests),
      faults: stage.faults,
      ...books,
      broken,
      folder: broken.length > 0 ? await keepOutput(stage) : null,
    };
  } finally {
    await stage.remove();
  }
}

/** Sorts every id, and every delivery. */
function balance(stage: Stage<Platform>, attempts: ReadonlyMap<number, Attempt[]>, evidence: Evidence) {
  const outcomes = new Map<Outcome, number>();
  const causes = new Map<Cause, number>();
  const broken: string[] = [];
  const bad = new Set<Outcome>(BROKEN_PROMISES);
  const topicOf = (n: number) => stage.sources.findLast(({ first }) => n >= first)?.topic ?? '';
  const numbers = new Set([
    ...attempts.keys(),
    ...[...evidence.copies.keys(), ...evidence.kept.keys()].map(numberOf),
  ]);
  let records = 0;
  for (const n of numbers) {
    const id = idOf(n);
    const copies = evidence.copies.get(id) ?? [];
    records += copies.length;
    const mine = attempts.get(n) ?? [];
    const story = {
      ...{ id, valid: isValid(n), attempts: mine, copies, kept: evidence.kept.get(id) ?? 0 },
      topic: topicOf(n),
    };
    const { outcome, causes: why } = judge(story, stage.troubles);
    const count = (outcomes.get(outcome) ?? 0) + 1;
    outcomes.set(outcome, count);
    for (const cause of why) causes.set(cause, (causes.get(cause) ?? 0) + 1);
    if (bad.has(outcome) && count <= EXAMPLES) {
      broken.push(
        `${outcome}: ${describe(n, mine)} ${JSON.stringify({ ...story, troubles: near(stage, mine) })}`,
      );
    }
  }
  for (const outcome of BROKEN_PROMISES) {
    const count = outcomes.get(outcome) ?? 0;
    if (count > EXAMPLES) broken.push(`${outcome}: ${count} in all`);
  }
  const deliveries = new Map<string, DeliveryCount>();
  for (const { name, topic, wants } of stage.subscriptions) {
    const own = stage.troubles.filter((trouble) => trouble.topic === topic);
    const sent = [...attempts].filter(([n]) => wants(n));
    const count = judgeDeliveries({
      wanted: new Set([...evidence.copies.keys()].filter((id) => wants(numberOf(id)))),
      deleted: new Set(
        sent.filter(([, mine]) => mine.some((one) => wasDeleted(one, own))).map(([n]) => idOf(n)),
      ),
      delivered: stage.fn.taken.get(name) ?? new Map(),
      dead: evidence.dead.get(name)!,
    });
    deliveries.set(name, count);
    for (const kind of ['undelivered', 'uninvited'] as const) {
      const ids = count[kind];
      if (ids.length > 0) broken.push(`${kind} to ${name}: ${ids.length}, such as ${ids.slice(0, EXAMPLES)}`);
    }
  }
  if (stage.fn.altered.size > 0)
    broken.push(`delivered altered: ${[...stage.fn.altered].slice(0, EXAMPLES)}`);
  return { records, outcomes, causes, deliveries, broken };
}

function near({ troubles }: Stage<Platform>, attempts: readonly Attempt[]) {
  const [from, to] = [attempts[0]?.start ?? 0, attempts.at(-1)?.end ?? 0];
  return troubles.filter((trouble) => trouble.to > from - 20_000 && trouble.from < to + 20_000);
}

async function keepOutput(stage: Stage<Platform>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-chaos-'));
  for (const [i, one] of stage.gateways.entries())
    await writeFile(join(folder, `gateway-${i}.log`), one.output());
  for (const [i, one] of stage.dispatchers.entries())
    await writeFile(join(folder, `dispatcher-${i}.log`), one.output());
  return folder;
}
