import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from './cluster.ts';
import type { LoadResult } from './in-cluster/load.ts';
import { load, services } from './manifests.ts';

const CHART = join(import.meta.dirname, '../../helm');

/** Given to each part of the test. */
export interface Setting {
  stage: Stage;
  cluster: Cluster;
  /** Tells how far it is. */
  say(text: string): void;
}

/** An object of Kubernetes, as far as the tests look into it. */
// biome-ignore lint/suspicious/noExplicitAny: its shape is what the tests are about
type Loose = any;

/** A namespace of the cluster in which releases of the chart come and go. */
export class Stage {
  readonly namespace = 'postern-test';
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  kubectl(...args: string[]): Promise<string> {
    return this.#cluster.kubectl(['-n', this.namespace, ...args]);
  }

  async apply(object: object): Promise<void> {
    await this.#cluster.kubectl(['-n', this.namespace, 'apply', '-f', '-'], {
      input: JSON.stringify(object),
    });
  }

  async get(kind: string, selector = ''): Promise<Loose[]> {
    const args = selector === '' ? [] : ['-l', selector];
    return JSON.parse(await this.kubectl('get', kind, ...args, '-o', 'json')).items;
  }

  /** An empty namespace, in which only pods with restricted rights may be. */
  async open(): Promise<void> {
    await this.#cluster.kubectl(['delete', 'namespace', this.namespace, '--ignore-not-found', '--wait']);
    await this.apply({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: {
        name: this.namespace,
        labels: { 'pod-security.kubernetes.io/enforce': 'restricted' },
      },
    });
  }

  async startServices(): Promise<void> {
    await this.apply({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'postern-keys' },
      stringData: { LOAD_KEY: 'test-key' },
    });
    await this.apply(services());
    for (const name of ['kafka', 'redis', 'function']) await this.rolledOut(`deployment/${name}`);
  }

  /** `helm VERB postern CHART` with these values; waits until all is ready. */
  async helm(verb: 'install' | 'upgrade', values?: object, timeout = '180s'): Promise<string> {
    const given = values === undefined ? [] : ['-f', '-'];
    return this.#cluster.helm(
      [verb, 'postern', CHART, '-n', this.namespace, '--wait', '--timeout', timeout, ...given],
      { input: JSON.stringify(values ?? {}) },
    );
  }

  /** Any other command of helm about the release. */
  release(...args: string[]): Promise<string> {
    return this.#cluster.helm(['-n', this.namespace, ...args]);
  }

  rolledOut(workload: string): Promise<string> {
    return this.kubectl('rollout', 'status', workload, '--timeout=180s');
  }

  /** Takes the release away and waits until its pods are. */
  async uninstall(): Promise<void> {
    await this.release('uninstall', 'postern', '--wait', '--timeout', '120s');
    if ((await this.pods()).length > 0)
      await this.kubectl('wait', 'pod', '-l', RELEASE, '--for=delete', '--timeout=120s');
  }

  pods(component?: string): Promise<Loose[]> {
    return this.get(
      'pods',
      component === undefined ? RELEASE : `${RELEASE},app.kubernetes.io/component=${component}`,
    );
  }

  /** Runs JavaScript in a pod and gives back the JSON that it makes. */
  async inPod(pod: string, expression: string): Promise<Loose> {
    const code = `Promise.resolve(${expression}).then((value) => console.log(JSON.stringify(value)))`;
    return JSON.parse(await this.kubectl('exec', pod, '--', 'node', '-e', code));
  }

  /** Sends SIGTERM to process 1 of a pod's container; resolves with its exit code. The container is started again. */
  async terminate(pod: string): Promise<number> {
    const state = async () =>
      JSON.parse(await this.kubectl('get', 'pod', pod, '-o', 'json')).status.containerStatuses[0];
    const { restartCount } = await state();
    await this.kubectl('exec', pod, '--', 'node', '-e', "process.kill(1, 'SIGTERM')");
    await this.until('process 1 ends', async () => (await state()).restartCount > restartCount);
    return (await state()).lastState.terminated.exitCode;
  }

  /**
   * Ends process 1 of a pod's container with no warning, as a crash does. A signal from inside cannot: the kernel
   * keeps those from a process 1. So its debugger does.
   */
  async crash(pod: string): Promise<void> {
    const end = JSON.stringify({
      id: 1,
      method: 'Runtime.evaluate',
      // An exit would wait until the debugger has left.
      params: { expression: 'process.abort()' },
    });
    const code = `process.kill(1, 'SIGUSR1');
      const targets = () => fetch('http://127.0.0.1:9229/json/list').then((reply) => reply.json(), () => sleep(50).then(targets));
      const { setTimeout: sleep } = require('node:timers/promises');
      targets().then(([{ webSocketDebuggerUrl }]) => {
        const socket = new WebSocket(webSocketDebuggerUrl);
        socket.onopen = () => socket.send(${JSON.stringify(end)});
        socket.onclose = () => process.exit(0);
      });`;
    // The exec ends with the container, however that is told.
    await this.kubectl('exec', pod, '--', 'node', '-e', code).catch(() => {});
    await this.until('the crash is seen', async () => {
      const { status } = JSON.parse(await this.kubectl('get', 'pod', pod, '-o', 'json'));
      // 128 and the number of a signal.
      return status.containerStatuses[0].lastState.terminated?.exitCode > 128;
    });
  }

  /** Waits until something holds. */
  async until(what: string, holds: () => Promise<boolean>, patience = 120_000): Promise<void> {
    const end = Date.now() + patience;
    while (!(await holds())) {
      assert(Date.now() < end, `waited in vain: ${what}`);
      await sleep(500);
    }
  }

  async startLoad(name: string, rate: number): Promise<LoadPod> {
    await this.apply(load(name, 'http://postern/events/load?key=test-key', rate));
    await this.kubectl('wait', `pod/${name}`, '--for=condition=Ready', '--timeout=60s');
    return new LoadPod(this, name);
  }
}

const RELEASE = 'app.kubernetes.io/instance=postern';

export class LoadPod {
  readonly #stage: Stage;
  readonly #name: string;

  constructor(stage: Stage, name: string) {
    this.#stage = stage;
    this.#name = name;
  }

  /** Counts all following requests for this phase. */
  async phase(name: string): Promise<void> {
    await this.#write('phase', name);
  }

  async stop(): Promise<LoadResult> {
    await this.#write('stop', '');
    const phase = () => this.#stage.kubectl('get', 'pod', this.#name, '-o', 'jsonpath={.status.phase}');
    await this.#stage.until('the load pod ends', async () => /Succeeded|Failed/.test(await phase()), 480_000);
    const output = await this.#stage.kubectl('logs', this.#name);
    const line = /^RESULT (.*)$/m.exec(output)?.[1];
    assert(line !== undefined, output);
    return JSON.parse(line);
  }

  #write(file: string, text: string): Promise<string> {
    const code = `require('node:fs').writeFileSync('/tmp/${file}', '${text}')`;
    return this.#stage.kubectl('exec', this.#name, '--', 'node', '-e', code);
  }
}
