// `npm run load`: what an event costs, and how long it takes, beside what it is compared with in the same run.
import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { dispatchNames, dispatchRows } from './dispatch.ts';
import { ingestNames, ingestRows } from './ingest.ts';
import { latencyNames, latencyRow } from './latency.ts';
import { memoryNames, memoryRow } from './memory.ts';
import { type Peer, startPeer } from './peer.ts';
import { rememberedNames, rememberedRow } from './remembered.ts';
import { type Row, setting, tableOf, writeSection } from './report.ts';
import { startRig } from './rig.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    /** Of the usual number of events. */
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
    /** That Redis remembers when its memory is measured. */
    ids: { type: 'string', default: '1000000' },
    /** A folder for CPU profiles of the gateway and the dispatcher. */
    profile: { type: 'string' },
  },
});
const [rounds, scale] = [Number(options.rounds), Number(options.scale)];
const node = options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`];
const names = [...ingestNames, ...latencyNames, ...dispatchNames, ...rememberedNames, ...memoryNames];
const wanted = names.filter((name) => options.only?.some((one) => name.startsWith(one)) ?? true);
if (wanted.length === 0) {
  console.error(`no such row; there are: ${names.join(', ')}`);
  process.exit(1);
}
const wants = (name: string) => wanted.includes(name);

const rows: Row[] = [];
if ([...ingestNames, ...latencyNames].some(wants)) rows.push(...(await posted()));
rows.push(...(await dispatchRows({ rounds, scale, node, wants })));
if (rememberedNames.some(wants)) rows.push(await rememberedRow(Number(options.ids)));
if (memoryNames.some(wants)) rows.push(await memoryRow(node, options.client));

const run = { ...setting(), client: options.client, rounds: String(rounds) };
const text = `${Object.entries(run)
  .map(([name, value]) => `${name} ${value}`)
  .join(', ')}.\n\n${tableOf(rows)}`;
if (options.results !== undefined) {
  const before = await readFile(options.results, 'utf8');
  await writeFile(options.results, writeSection(before, options.client, text));
}
console.log(options.json ? JSON.stringify({ ...run, rows }, null, 2) : `\n${text}`);

async function posted(): Promise<Row[]> {
  const rig = await startRig(node, '', 0, options.client);
  let peer: Peer | null = null;
  try {
    if (options.peer === undefined) console.error('no --peer: its rows are left out');
    else peer = await startPeer(options.peer, rig);
    const driver = options.client === 'kafkajs' ? 'kafkajs' : 'other';
    const found = await ingestRows({ rig, rounds, scale, peer, driver, wants });
    if (latencyNames.some(wants)) found.push(await latencyRow({ rig, rounds, seconds: 10 * scale }));
    return found;
  } finally {
    await peer?.stop();
    await rig.stop();
  }
}
