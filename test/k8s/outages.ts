import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { judge } from './judge.ts';
import { fullValues, volume } from './manifests.ts';
import type { Setting, Stage } from './stage.ts';

/** Longer than the liveness probe is patient. */
const OUTAGE_MS = 75_000;

/** C67: Redis away, then Kafka. Nothing is restarted for it; readiness is what the config says. */
export async function outages({ stage, say }: Setting): Promise<void> {
  await stage.startServices();
  await stage.helm('install', { ...fullValues(), shutdown: { preStop: 5, grace: 5 } });
  const load = await stage.startLoad('load', 50);
  await load.phase('Redis away');
  await stage.kubectl('scale', 'deployment/redis', '--replicas=0');
  await sleep(OUTAGE_MS);
  assert.deepEqual(await readyPods(stage), [true, true], 'with `outage: accept` gateways stay ready');
  await stage.kubectl('scale', 'deployment/redis', '--replicas=1');
  await stage.rolledOut('deployment/redis');
  say('Redis is back');
  await load.phase('Kafka away');
  await hang(stage, 'STOP');
  await stage.until('gateways without Kafka are not ready', async () =>
    (await readyPods(stage)).every((ready) => !ready),
  );
  await sleep(OUTAGE_MS);
  await hang(stage, 'CONT');
  await stage.until('gateways are ready again', async () => (await readyPods(stage)).every((ready) => ready));
  say('Kafka is back');
  const result = await load.stop();
  say(JSON.stringify(result.phases));
  judge(result, ['Kafka away']);
  assert.deepEqual(await restarts(stage), [0, 0, 0, 0]);
  await hang(stage, 'STOP');
  const [gateway] = await stage.pods('gateway');
  const code = await stage.terminate(gateway.metadata.name);
  assert([0, 1].includes(code), `C68: without Kafka it ends by itself, within the grace: ${code}`);
  await hang(stage, 'CONT');
  await stage.uninstall();
}

/** With a spool, Kafka may be away: gateways stay ready, say 202, and forward later, even when a pod is replaced meanwhile. */
export async function spool({ stage, cluster, say }: Setting): Promise<void> {
  await stage.startServices();
  if (cluster.folder !== null) {
    for (const index of [0, 1]) {
      const path = await cluster.folder(`spool-${index}`);
      await cluster.kubectl(['delete', 'pv', `postern-spool-${index}`, '--ignore-not-found']);
      await stage.apply(
        volume(`postern-spool-${index}`, path, `data-postern-gateway-${index}`, stage.namespace),
      );
    }
  }
  const values = fullValues({ log: { spool: { max: '100MiB' } }, gateway: { volume: { size: '500Mi' } } });
  await stage.helm('install', values);
  const load = await stage.startLoad('load', 100);
  await load.phase('Kafka away');
  await hang(stage, 'STOP');
  await sleep(15_000);
  await load.phase('pod replaced');
  await stage.kubectl('delete', 'pod', 'postern-gateway-0');
  await stage.rolledOut('statefulset/postern-gateway');
  assert.deepEqual(await readyPods(stage), [true, true]);
  await sleep(5_000);
  await load.phase('Kafka back');
  await hang(stage, 'CONT');
  await stage.until('the spools are empty', async () => (await spooled(stage)) === 0);
  say('the spools are empty');
  const result = await load.stop();
  say(JSON.stringify(result.phases));
  judge(result, []);
  assert.deepEqual(await restarts(stage), [0, 0, 0, 0]);
  await stage.uninstall();
  assert.equal((await stage.get('pvc')).length, 2, 'volumes stay');
}

async function hang(stage: Stage, signal: 'STOP' | 'CONT'): Promise<void> {
  await stage.kubectl('exec', 'deployment/kafka', '--', '/bin/sh', '-c', `kill -${signal} $(cat /tmp/pid)`);
}

async function readyPods(stage: Stage): Promise<boolean[]> {
  const pods = await stage.pods('gateway');
  return pods.map(({ status }) => status.containerStatuses.every(({ ready }: { ready: boolean }) => ready));
}

async function restarts(stage: Stage): Promise<number[]> {
  return (await stage.pods()).map(({ status }) => status.containerStatuses[0].restartCount);
}

async function spooled(stage: Stage): Promise<number> {
  let sum = 0;
  for (const { metadata } of await stage.pods('gateway')) {
    const text = await stage.inPod(
      metadata.name,
      `fetch('http://127.0.0.1:8081/metrics').then((reply) => reply.text())`,
    );
    sum += Number(/^postern_spool_events (\S+)/m.exec(text)![1]);
  }
  return sum;
}
