import { Redis } from 'ioredis';
import kafkajs from 'kafkajs';
import { eventText } from '../client/events.ts';
import { type OpenLoopOutcome, openLoop } from '../client/open-loop.ts';
import { median, quantile, type Row, rowOf } from '../report.ts';
import type { Rig } from '../rig/rig.ts';

/** Requests a second. */
const RATE = 1_000;
/** Round trips to Kafka, and to Redis, that are measured alone. */
const ALONE = 1_000;

export const latencyNames = ['latency'];

export interface LatencyOptions {
  rig: Rig;
  rounds: number;
  /** Seconds of each round. */
  seconds: number;
}

/** Single POSTs at a constant rate, beside the two round trips that each must wait for, measured alone. */
export async function latencyRow({ rig, rounds, seconds }: LatencyOptions): Promise<Row> {
  const url = `${rig.url}/events/click`;
  await openLoop(url, { run: 'warm-latency', rate: RATE, seconds: 5 });
  const found: (OpenLoopOutcome & { kafka: number; redis: number })[] = [];
  for (let round = 0; round < rounds; round++) {
    const kafka = quantile(await kafkaTrips(rig.kafka.brokers), 0.99);
    const redis = quantile(await redisTrips(rig.redis.url), 0.99);
    found.push({ ...(await openLoop(url, { run: `latency-${round}`, rate: RATE, seconds })), kafka, redis });
  }
  const mid = (pick: (one: (typeof found)[number]) => number) => median(found.map(pick));
  const pairs = found.map(({ p99, kafka, redis }) => [p99, kafka + redis] as const);
  const failed = found.reduce((sum, one) => sum + one.failed, 0);
  const row = rowOf('latency', 'ms p99', pairs, {
    against: 'Kafka + Redis p99',
    target: 2,
    more: {
      'p50 ms': mid(({ p50 }) => p50),
      'max ms': mid(({ max }) => max),
      'Kafka p99 ms': mid(({ kafka }) => kafka),
      'Redis p99 ms': mid(({ redis }) => redis),
      'sent late p99 ms': mid(({ late }) => late),
      failed,
    },
  });
  return { ...row, holds: row.holds && failed === 0 };
}

/** Milliseconds of appends of one event, acks=all, one after the other. */
async function kafkaTrips(brokers: string): Promise<number[]> {
  const client = new kafkajs.Kafka({ clientId: 'alone', brokers: [brokers], logLevel: 0 });
  const producer = client.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  const times = await timesOf((n) =>
    producer.send({ topic: 'click', acks: -1, messages: [{ value: eventText('click', 'alone', n) }] }),
  );
  await producer.disconnect();
  return times;
}

async function redisTrips(url: string): Promise<number[]> {
  const redis = new Redis(url);
  const times = await timesOf((n) => redis.set(`alone-${n}`, '1', 'PX', 60_000, 'NX'));
  redis.disconnect();
  return times;
}

async function timesOf(trip: (n: number) => Promise<unknown>): Promise<number[]> {
  for (let n = 0; n < 100; n++) await trip(n);
  const times: number[] = [];
  for (let n = 100; n < 100 + ALONE; n++) {
    const started = performance.now();
    await trip(n);
    times.push(performance.now() - started);
  }
  return times;
}
