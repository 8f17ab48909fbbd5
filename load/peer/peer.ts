import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../test/services/free-port.ts';
import { schemas } from './events.ts';
import { stopNode } from './process.ts';
import type { Rig } from './rig.ts';

/** Another gateway that does the same work. */
export interface Peer {
  url: string;
  pid: number;
  stop(): Promise<void>;
}

/** Starts the program that `load/peer` is built to, on the Kafka and the Redis of a rig; resolves when it answers. */
export async function startPeer(program: string, { kafka, redis, create }: Rig): Promise<Peer> {
  await create('peer');
  const folder = await mkdtemp(join(tmpdir(), 'postern-peer-'));
  const { $schema: _, ...schema } = schemas.click;
  // It knows the draft before, which has all that is used here.
  await writeFile(join(folder, 'click.json'), JSON.stringify(schema));
  const port = await freePort();
  const child = spawn(program, ['run', join(import.meta.dirname, 'peer/peer.yaml')], {
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
  while (!(await fetch(url).catch(() => null))) {
    if (child.exitCode !== null) throw new Error(`the peer ended with ${child.exitCode}`);
    await sleep(50);
  }
  return {
    url,
    pid: child.pid!,
    async stop() {
      await stopNode(child);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
