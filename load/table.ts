import { readFile, writeFile } from 'node:fs/promises';
import { dispatchNames, dispatchRows } from './dispatch/dispatch.ts';
import { ingestNames, ingestRows } from './ingest/ingest.ts';
import { latencyNames, latencyRow } from './ingest/latency.ts';
import { memoryNames, memoryRow } from './ingest/memory.ts';
import { redisMemoryNames, redisMemoryRow } from './ingest/redis-memory.ts';
import { type Peer, startPeer } from './peer/peer.ts';
import { type Row, setting, tableOf, writeSection } from './report.ts';
import { startRig } from './rig/rig.ts';
import { defineRun, type Run } from './run.ts';

const gatewayNames = [...ingestNames, ...latencyNames, ...redisMemoryNames, ...memoryNames];

export const table = tableRun('what an event costs, as one table: the rows of ingest and of dispatch', [
  ...gatewayNames,
  ...dispatchNames,
]);
export const ingest = tableRun(
  'what an event costs that is posted, and how long its client waits',
  gatewayNames,
);
export const dispatch = tableRun('what an event costs that is delivered to a function', dispatchNames);

/** Measures these rows, and prints them as a table. */
function tableRun(about: string, names: string[]): Run {
  return defineRun({
    about,
    options: {
      rounds: { type: 'string', default: '3' },
      /** A factor for the number of events. */
      scale: { type: 'string', default: '1' },
      /** A row, or the beginning of the names of several. */
      only: { type: 'string', multiple: true },
      json: { type: 'boolean', default: false },
      /** A file whose table is renewed. */
      results: { type: 'string' },
      /** `log.kafka.client` */
      client: { type: 'string', default: 'kafkajs' },
      /** The program that load/peer is built to. */
      peer: { type: 'string' },
      /** The number of ids that Redis remembers when its memory is measured. */
      ids: { type: 'string', default: '1000000' },
      /** A folder for CPU profiles of the gateway and the dispatcher. */
      profile: { type: 'string' },
    },
    async measure(options) {
      const { client, only } = options;
      const wanted = names.filter((name) => only?.some((one) => name.startsWith(one)) ?? true);
      if (wanted.length === 0) {
        console.error(`no such row; there are: ${names.join(', ')}`);
        return false;
      }
      const rows = await measureRows({
        client,
        rounds: Number(options.rounds),
        scale: Number(options.scale),
        peer: options.peer,
        ids: Number(options.ids),
        node: options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`],
        wants: (name) => wanted.includes(name),
      });
      const run = { ...setting(), client, rounds: options.rounds };
      const text = `${Object.entries(run)
        .map(([name, value]) => `${name} ${value}`)
        .join(', ')}.\n\n${tableOf(rows)}`;
      if (options.results !== undefined) {
        const before = await readFile(options.results, 'utf8');
        await writeFile(options.results, writeSection(before, client, text));
      }
      console.log(options.json ? JSON.stringify({ ...run, rows }, null, 2) : `\n${text}`);
      return true;
    },
  });
}

interface Settings {
  rounds: number;
  scale: number;
  client: string;
  peer: string | undefined;
  ids: number;
  /** Arguments for the Node of what is measured. */
  node: string[];
  wants(name: string): boolean;
}

async function measureRows(settings: Settings): Promise<Row[]> {
  const { rounds, scale, client, ids, node, wants } = settings;
  const rows: Row[] = [];
  if ([...ingestNames, ...latencyNames].some(wants)) rows.push(...(await postedRows(settings)));
  rows.push(...(await dispatchRows({ rounds, scale, node, wants })));
  if (redisMemoryNames.some(wants)) rows.push(await redisMemoryRow(ids));
  if (memoryNames.some(wants)) rows.push(await memoryRow(node, client));
  return rows;
}

/** The rows that need a gateway with a Kafka and a Redis. */
async function postedRows({ rounds, scale, client, node, wants, ...rest }: Settings): Promise<Row[]> {
  const rig = await startRig({ node, client });
  let peer: Peer | null = null;
  try {
    if (rest.peer === undefined) console.error('no --peer: its rows are left out');
    else peer = await startPeer(rest.peer, rig);
    const driver = client === 'kafkajs' ? 'kafkajs' : 'other';
    const found = await ingestRows({ rig, rounds, scale, peer, driver, wants });
    if (latencyNames.some(wants)) found.push(await latencyRow({ rig, rounds, seconds: 10 * scale }));
    return found;
  } finally {
    await peer?.stop();
    await rig.stop();
  }
}
