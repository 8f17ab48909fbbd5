import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../test/services/free-port.ts';
import { until } from '../../test/services/until.ts';
import { schemas } from '../client/events.ts';
import { stopNode } from '../rig/process.ts';
import type { Rig } from '../rig/rig.ts';

/** Another gateway that does the same work. */
export interface Peer {
  url: string;
  pid: number;
  stop(): Promise<void>;
}

/** Starts the program built from this folder, on the Kafka and the Redis of a rig. Resolves when it answers. */
export async function startPeer(program: string, { kafka, redis, create }: Rig): Promise<Peer> {
  await create('peer');
  const folder = await mkdtemp(join(tmpdir(), 'postern-peer-'));
  const { $schema: _, ...schema } = schemas.click;
  // The peer knows an older draft, which has all keywords of this schema.
  await writeFile(join(folder, 'click.json'), JSON.stringify(schema));
  const port = await freePort();
  const child = spawn(program, ['run', join(import.meta.dirname, 'peer.yaml')], {
    stdio: 'inherit',
    env: {
      ...process.env,
      PORT: String(port),
      ADMIN_PORT: String(await freePort()),
      SCHEMA: join(folder, 'click.json'),
      BROKERS: kafka.brokers,
      REDIS: `127.0.0.1:${redis.port}`,
      GOGC: '400',
    },
  });
  const url = `http://127.0.0.1:${port}`;
  await until('the peer answers', async () => {
    if (child.exitCode !== null) throw new Error(`the peer ended with ${child.exitCode}`);
    return (await fetch(url).catch(() => null)) !== null;
  });
  return {
    url,
    pid: child.pid!,
    async stop() {
      await stopNode(child);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
