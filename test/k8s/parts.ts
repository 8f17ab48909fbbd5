import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { autoscaling } from './autoscaling.ts';
import { judge } from './judge.ts';
import { fullValues } from './manifests.ts';
import { outages, spool } from './outages.ts';
import type { LoadPod, Setting, Stage } from './stage.ts';

export const PARTS: Record<string, (setting: Setting) => Promise<void>> = {
  trial,
  full,
  autoscaling,
  outages,
  spool,
};

/** Nothing but `helm install`: takes an event, and is locked up as tightly as it says. */
async function trial({ stage, say }: Setting): Promise<void> {
  const notes = await stage.helm('install', undefined, '60s');
  assert.match(notes, /curl localhost:8080\/events\/sensors/);
  say('ready');
  await stage.release('test', 'postern', '--timeout', '60s');
  say('helm test passes');
  const [pod] = await stage.pods('gateway');
  const name = pod.metadata.name;
  await stage.until('the function prints', async () =>
    (await stage.kubectl('logs', name)).includes('sample function got sensor.reading helm-test-'),
  );
  await lockedUp(stage, name);
  await tokenWanted(stage, name);
  await frugal(stage, name, say);
  assert.equal(await stage.terminate(name), 0, 'C68: process 1 gets the signal and ends well');
  await stage.rolledOut('deployment/postern-gateway');
  await stage.uninstall();
  for (const kind of ['all', 'configmap', 'serviceaccount', 'secret']) {
    const left = (await stage.get(kind)).filter(({ metadata }) => /postern/.test(metadata.name));
    assert.deepEqual(
      left.filter(({ metadata }) => !metadata.name.endsWith('-test')),
      [],
      `${kind} are left`,
    );
  }
}

/** uid 1000, no capability, seccomp, no new rights, and nothing to write to but the data folder. */
async function lockedUp(stage: Stage, pod: string): Promise<void> {
  const found = await stage.inPod(
    pod,
    `(() => { const fs = require('node:fs');
      const write = (path) => { try { fs.writeFileSync(path, ''); return 'written'; } catch (error) { return error.code; } };
      const status = fs.readFileSync('/proc/1/status', 'utf8');
      const field = (name) => new RegExp('^' + name + ':\\\\s*(\\\\S+)', 'm').exec(status)[1];
      return { uid: process.getuid(), program: fs.readFileSync('/proc/1/cmdline', 'utf8').split('\\0').filter((text) => !text.startsWith('--')).slice(0, 2),
        root: write('/file'), tmp: write('/tmp/file'), app: write('/app/file'), data: write('/var/lib/postern/file'),
        capabilities: field('CapEff'), bounding: field('CapBnd'), seccomp: field('Seccomp'), rights: field('NoNewPrivs') }; })()`,
  );
  assert.deepEqual(found, {
    uid: 1000,
    program: ['node', '/app/dist/main.js'],
    root: 'EROFS',
    tmp: 'EROFS',
    app: 'EROFS',
    data: 'written',
    capabilities: '0000000000000000',
    bounding: '0000000000000000',
    seccomp: '2',
    rights: '1',
  });
}

/** The pod has the token that its own admin port wants. */
async function tokenWanted(stage: Stage, pod: string): Promise<void> {
  const statuses = await stage.inPod(
    pod,
    `(async () => { const token = require('node:fs').readFileSync('/etc/postern/admin/token', 'utf8');
      const ask = async (headers) => (await fetch('http://127.0.0.1:8081/workflows', { headers })).status;
      return [await ask({}), await ask({ authorization: 'Bearer ' + token })]; })()`,
  );
  assert.deepEqual(statuses, [401, 200]);
}

/** At rest it is under 120 MB. The time of the start is told and not judged: the machine may be busy. */
async function frugal(stage: Stage, pod: string, say: Setting['say']): Promise<void> {
  const megabytes = await memory(stage, pod);
  say(`${pod}: memory ${megabytes} MB, ready ${await startTime(stage, pod)} ms after its start`);
  assert(megabytes < 120);
}

/** Megabytes of the pod as its node counts them for its limit and for `kubectl top`. */
async function memory(stage: Stage, pod: string): Promise<number> {
  const node = await stage.kubectl('get', 'pod', pod, '-o', 'jsonpath={.spec.nodeName}');
  let bytes = 0;
  await stage.until('the node has counted', async () => {
    const text = await stage.kubectl('get', '--raw', `/api/v1/nodes/${node}/proxy/stats/summary`);
    const { pods } = JSON.parse(text) as {
      pods: { podRef: { name: string }; memory?: { workingSetBytes: number } }[];
    };
    bytes = pods.find(({ podRef }) => podRef.name === pod)?.memory?.workingSetBytes ?? 0;
    return bytes > 0;
  });
  return Math.round(bytes / 1e6);
}

/** Milliseconds from the start of the process to its line `ready`. */
async function startTime(stage: Stage, pod: string): Promise<number> {
  const metrics = await stage.inPod(
    pod,
    `fetch('http://127.0.0.1:8081/metrics').then((reply) => reply.text())`,
  );
  const began = Number(/^process_start_time_seconds (\S+)/m.exec(metrics)![1]) * 1000;
  const line = (await stage.kubectl('logs', pod)).split('\n').find((text) => text.includes('"msg":"ready"'));
  return Math.round(new Date(JSON.parse(line!).time).getTime() - began);
}

/** On Kafka and Redis, at 500 events a second, with everything that an operator does to it. */
async function full({ stage, say }: Setting): Promise<void> {
  await stage.startServices();
  await stage.helm('install', fullValues());
  await stage.release('test', 'postern', '--timeout', '60s');
  say('installed, helm test passes');
  const [gateway] = await stage.pods('gateway');
  const [dispatcher] = await stage.pods('dispatcher');
  for (const one of [gateway, dispatcher]) {
    await frugal(stage, one.metadata.name, say);
  }

  const load = await stage.startLoad('load', 500);
  await load.phase('steady');
  await sleep(5_000);
  await upgrade(stage, load);
  say('upgraded');
  await kill(stage, load);
  say('killed a gateway and a dispatcher');
  await scale(stage, load);
  say('scaled');
  await load.phase('rollback');
  await stage.release('rollback', 'postern', '1', '--wait', '--timeout', '180s');
  await sleep(5_000);
  say('rolled back');
  const result = await load.stop();
  say(JSON.stringify(result.phases, null, 1));
  say(`books: ${JSON.stringify(result.books).slice(0, 1000)}`);
  judge(result, ['kill']);

  await assert.rejects(
    stage.helm('upgrade', { ...fullValues(), gateway: { replica: 3 } }),
    /'replica' not allowed/,
  );
  await stage.uninstall();
  assert.deepEqual(await stage.pods(), []);
}

/** Another config and other schemas, so other pods; the token of the admin port stays. */
async function upgrade(stage: Stage, load: LoadPod): Promise<void> {
  await load.phase('upgrade');
  const token = () => stage.kubectl('get', 'secret', 'postern-admin', '-o', 'jsonpath={.data.token}');
  const known = await token();
  const before = (await stage.pods('gateway')).map(({ metadata }) => metadata.uid);
  const values = fullValues();
  Object.assign(values.config as object, { logLevel: 'warn' });
  await stage.helm('upgrade', values);
  assert.equal(await token(), known);
  const after = (await stage.pods('gateway')).filter(
    ({ metadata }) => metadata.deletionTimestamp === undefined,
  );
  assert(after.every(({ metadata }) => !before.includes(metadata.uid)));
  await stage.until('the old pods are gone', async () =>
    (await stage.pods('gateway')).every(({ metadata }) => !before.includes(metadata.uid)),
  );
}

/** Crashes, and pods that are taken away by force. */
async function kill(stage: Stage, load: LoadPod): Promise<void> {
  await load.phase('kill');
  for (const component of ['gateway', 'dispatcher']) {
    const [first, second] = await stage.pods(component);
    await stage.crash(first.metadata.name);
    await stage.rolledOut(`deployment/postern-${component}`);
    await stage.kubectl('delete', 'pod', second.metadata.name, '--grace-period=0', '--force');
    await stage.rolledOut(`deployment/postern-${component}`);
  }
  await sleep(3_000);
}

async function scale(stage: Stage, load: LoadPod): Promise<void> {
  await load.phase('scale');
  for (const replicas of [4, 1]) {
    for (const component of ['gateway', 'dispatcher']) {
      await stage.kubectl('scale', `deployment/postern-${component}`, `--replicas=${replicas}`);
      await stage.rolledOut(`deployment/postern-${component}`);
    }
    await stage.until('the pods are as many', async () => (await stage.pods('gateway')).length === replicas);
  }
}
