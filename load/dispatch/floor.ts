// `node load/dispatch/floor.ts BROKERS GROUP URL EVENTS`: the floor that the dispatcher is compared to. Only a kafkajs consumer and
// an undici Pool, with at most EVENTS in a call.
import kafkajs from 'kafkajs';
import { Pool } from 'undici';

const [brokers, groupId, url, per] = process.argv.slice(2) as [string, string, string, string];
const size = Number(per);
/** Calls at a time for each of four partitions. */
const LANES = 16;
/** Messages after which the offset moves: all of them are delivered by then. */
const WINDOW = Math.max(256, LANES * size);

const pool = new Pool(url, { connections: LANES * 4 });
const consumer = new kafkajs.Kafka({ clientId: 'floor', brokers: [brokers], logLevel: 0 }).consumer({
  groupId,
});
await consumer.connect();
await consumer.subscribe({ topics: ['dispatch'], fromBeginning: true });
await consumer.run({
  partitionsConsumedConcurrently: 4,
  autoCommitInterval: 1_000,
  eachBatchAutoResolve: false,
  async eachBatch({ batch, resolveOffset, heartbeat, commitOffsetsIfNecessary }) {
    for (let from = 0; from < batch.messages.length; from += WINDOW) {
      const window = batch.messages.slice(from, from + WINDOW);
      let next = 0;
      const lane = async (): Promise<void> => {
        while (next < window.length) {
          const messages = window.slice(next, next + size);
          next += size;
          await call(messages.map(({ value }) => value!));
        }
      };
      await Promise.all(Array.from({ length: LANES }, lane));
      resolveOffset(window.at(-1)!.offset);
      await heartbeat();
      await commitOffsetsIfNecessary();
    }
  },
});
process.stdout.write('ready\n');
process.on('SIGTERM', () => process.exit(0));

const [OPEN, COMMA, CLOSE] = ['[', ',', ']'].map((text) => Buffer.from(text)) as [Buffer, Buffer, Buffer];

async function call(values: Buffer[]): Promise<void> {
  const parts = values.flatMap((value, i) => [i === 0 ? OPEN : COMMA, value]);
  const body = size === 1 ? values[0]! : Buffer.concat([...parts, CLOSE]);
  const headers = { 'content-type': 'application/json' };
  const { statusCode, body: answer } = await pool.request({ path: '/', method: 'POST', headers, body });
  await answer.dump();
  if (statusCode >= 300) throw new Error(`HTTP ${statusCode}`);
}
