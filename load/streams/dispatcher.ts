import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../test/services/free-port.ts';
import { type NodeProcess, startNode } from '../rig/process.ts';

export const PARTITIONS = 6;

export interface StreamSetting {
  /** Of the configs. */
  folder: string;
  brokers: string;
  /** Number of keys. */
  keys: number;
  /** `window` and `dedupe` of the config. */
  window: string;
  dedupe: string;
}

/** A dispatcher that makes windows of the topic `orders`, which it emits to the topic `windows`. */
export interface Dispatcher {
  child: NodeProcess;
  admin: string;
}

export async function startDispatcher({ folder, ...setting }: StreamSetting): Promise<Dispatcher> {
  const port = await freePort();
  const config = join(folder, `postern-${port}.yaml`);
  await writeFile(
    config,
    `admin: { listen: 127.0.0.1:${port} }
log: { kafka: { brokers: ['${setting.brokers}'], create: { partitions: ${PARTITIONS} } } }
dedupe: { ${setting.dedupe} }
streams:
  spend:
    topics: [orders]
    window: ${setting.window}
    lateness: 30s
    aggregate: { n: count(), spent: sum(event.data.total) }
    emit: { topic: windows, type: spend }
`,
  );
  const args = ['src/main.ts', 'serve', '--role', 'dispatcher', '--config', config];
  return { child: await startNode(args, /"msg":"ready"/), admin: `http://127.0.0.1:${port}` };
}
