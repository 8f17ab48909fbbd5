import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeProject, type Postern, startPostern } from '../e2e/postern.ts';
import { type Kafka, startKafka } from '../services/kafka.ts';
import { type Prometheus, promtool, startPrometheus } from '../services/prometheus.ts';
import { type RedisServer, startRedis } from '../services/redis.ts';
import { dispatcherDashboard } from './dashboards/dispatcher.ts';
import { gatewayDashboard } from './dashboards/gateway.ts';
import { sendAll } from './traffic.ts';

interface Dashboard {
  templating: { list: { name: string; type: string; definition?: string }[] };
  panels: { title: string; targets?: { expr: string; legendFormat: string }[] }[];
}

const RULES = join(import.meta.dirname, '..', '..', 'helm', 'files', 'alerts.yaml');
const DASHBOARDS = [gatewayDashboard(), dispatcherDashboard()] as Dashboard[];
/** Containers have a limit of memory; a process of a test has none. */
const WITH_LIMIT = ['--import', 'data:text/javascript,process.constrainedMemory=()=>536870912'];
const SECRET = 'a secret of hooks';
/** The answer of a function: always the same event. */
const ANSWER = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/answers', 'ce-type': 'answer' };

let kafka: Kafka;
let redis: RedisServer;
let gateway: Postern;
let dispatcher: Postern;
let prometheus: Prometheus;
let isLoading = true;
let load: Promise<void>;
const ends: (() => unknown)[] = [];

beforeAll(async () => {
  const functions = createServer((request, response) => {
    request.resume();
    const status = { '/ok': 204, '/bad': 400, '/answers': 200 }[request.url!] ?? 503;
    response.writeHead(status, status === 200 ? ANSWER : {}).end();
  });
  functions.listen(0, '127.0.0.1');
  await once(functions, 'listening');
  ends.push(
    () => functions.close(),
    () => functions.closeAllConnections(),
  );
  [kafka, redis] = await Promise.all([startKafka(), startRedis()]);
  ends.push(
    () => kafka.stop(),
    () => redis.stop(),
  );
  const url = `http://127.0.0.1:${(functions.address() as AddressInfo).port}`;
  const options = {
    schemas: { page: { type: 'object', properties: { n: { type: 'integer' } } } },
    yaml: `
log:
  kafka: { brokers: ['${kafka.brokers}'], create: {} }
  spool: { path: '{folder}/spool', after: 300ms }
dedupe: { redis: { url: '${redis.url}' } }
sources:
  web: { topic: clicks, id: [/id], schema: page }
  hooks: { protocol: webhook, topic: hooks, verify: { scheme: github, secrets: ['${SECRET}'] } }
subscriptions:
  takes: { topics: [clicks], function: { http: { url: '${url}/ok' } }, filter: 'event.data.n > 3' }
  refuses: { topics: [hooks], function: { http: { url: '${url}/bad' } } }
  sleeps: { topics: [clicks], function: { http: { url: '${url}/down' } } }
  answers: { topics: [clicks], function: { http: { url: '${url}/answers' } }, reply: answers }
  once: { topics: [answers], function: { http: { url: '${url}/ok' } }, dedupe: 1h }
streams:
  pages:
    topics: [clicks]
    key: /n
    window: { tumbling: 1s }
    lateness: 0s
    aggregate: { views: count() }
    emit: { topic: pages, type: pages }
workflows:
  visit: { on: { topics: [pages] }, steps: [{ name: count, function: { http: { url: '${url}/ok' } } }] }
  stuck:
    on: { topics: [clicks], filter: 'event.id == "0:0"' }
    steps: [{ name: call, function: { http: { url: '${url}/down' } }, retry: { attempts: 100 } }]
`,
  };
  const [first, second] = [await makeProject(options), await makeProject(options)];
  ends.push(first.remove, second.remove);
  [gateway, dispatcher] = await Promise.all([
    startPostern(first, { node: WITH_LIMIT, command: ['serve', '--role', 'gateway'] }),
    startPostern(second, { node: WITH_LIMIT, command: ['serve', '--role', 'dispatcher'] }),
  ]);
  ends.push(
    () => gateway.kill('SIGKILL'),
    () => dispatcher.kill('SIGKILL'),
  );
  prometheus = await startPrometheus({
    jobs: {
      'postern-gateway': [`127.0.0.1:${first.adminPort}`],
      'postern-dispatcher': [`127.0.0.1:${second.adminPort}`],
    },
    rules: [RULES],
  });
  ends.push(() => prometheus.stop());
  load = sendAll(gateway.url, SECRET, () => isLoading);
});

afterAll(async () => {
  isLoading = false;
  await load;
  for (const end of ends.reverse()) await end();
});

/** The query that Grafana makes of a panel's. */
function filled(expression: string): string {
  return expression
    .replaceAll('$__rate_interval', '5s')
    .replaceAll('$__range', '1m')
    .replaceAll(/\$\w+/g, '.*');
}

/** The panel's lines by their names, of the panels with this title. */
async function valuesOf(title: string): Promise<Record<string, number>> {
  const values: Record<string, number> = {};
  for (const { panels } of DASHBOARDS) {
    for (const { expr, legendFormat } of panels.find((panel) => panel.title === title)?.targets ?? []) {
      for (const { metric, value } of await prometheus.query(filled(expr))) {
        const name = legendFormat.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => metric[label] ?? '');
        values[name] = Number(value[1]);
      }
    }
  }
  return values;
}

test('every query of every panel has data under load', async () => {
  const queries = DASHBOARDS.flatMap(({ panels }) =>
    panels.flatMap(({ title, targets }) => (targets ?? []).map(({ expr }) => ({ title, expr }))),
  );
  expect(queries.length).toBeGreaterThan(50);
  const empty = async () => {
    const found = [];
    for (const { title, expr } of queries) {
      const numbers = (await prometheus.query(filled(expr))).map(({ value }) => Number(value[1]));
      if (numbers.length === 0 || !numbers.every(Number.isFinite)) found.push(`${title}: ${expr}`);
    }
    return found;
  };
  await expect.poll(empty, { timeout: 50_000, interval: 1000 }).toEqual([]);
});

test('the panels tell what happened', async () => {
  const above0 = expect.toSatisfy((value: number) => value > 0);
  await expect
    .poll(() => valuesOf('Events by verdict'))
    .toEqual({
      accepted: above0,
      duplicate: above0,
      rejected: above0,
      retry: 0,
    });
  await expect
    .poll(() => valuesOf('Requests by status'))
    .toMatchObject({ 202: above0, 207: above0, 404: above0 });
  await expect
    .poll(() => valuesOf('Signatures'))
    .toMatchObject({ 'hooks: secret-1': above0, 'hooks: mismatch': above0 });
  await expect
    .poll(() => valuesOf('Events by outcome'))
    .toMatchObject({
      delivered: above0,
      filtered: above0,
      dead_letter: above0,
    });
  await expect
    .poll(() => valuesOf('Functions that are down'))
    .toEqual({ takes: 0, refuses: 0, sleeps: 1, answers: 0, once: 0 });
  await expect.poll(() => valuesOf('Lag by subscription')).toMatchObject({ sleeps: above0 });
  await expect
    .poll(() => valuesOf('Events that functions answered with'))
    .toMatchObject({ 'answers: stored': above0 });
  await expect
    .poll(() => valuesOf('Remembered deliveries'))
    .toMatchObject({ 'once: delivered_before': above0 });
  await expect.poll(() => valuesOf('Dead letters by reason')).toEqual({ 'refuses: refused': above0 });
});

test('the variables of the dashboards find their values', async () => {
  const found: Record<string, unknown> = {};
  for (const { name, definition } of DASHBOARDS.flatMap(({ templating }) => templating.list)) {
    const [, series, label] = /^label_values\((.+), (\w+)\)$/.exec(definition ?? '') ?? [];
    if (label === undefined) continue;
    found[name] = await prometheus.api(
      `label/${label}/values?match[]=${encodeURIComponent(filled(series!))}`,
    );
  }
  expect(found).toEqual({
    // Kubernetes gives one; without it all is chosen.
    namespace: [],
    job: ['postern-dispatcher', 'postern-gateway'],
    instance: [expect.any(String), expect.any(String)],
    source: ['hooks', 'unknown', 'web'],
    subscription: ['answers', 'once', 'refuses', 'sleeps', 'takes', 'unknown'],
  });
});

test('C64 promtool finds no fault with the metrics of either role', async () => {
  for (const { admin } of [gateway, dispatcher]) {
    const text = await (await fetch(`${admin}/metrics`)).text();
    expect(await promtool(['check', 'metrics'], text)).toEqual({ code: 0, output: '' });
  }
});

test('Redis away and Kafka away are seen on the panels, and by the alerts', async () => {
  redis.kill('SIGSTOP');
  const unchecked = async () => Object.values(await valuesOf('Events not checked for duplicates'));
  await expect.poll(async () => Math.max(...(await unchecked()))).toBeGreaterThan(0);
  await expect.poll(() => valuesOf('What is not well')).toMatchObject({ dedupe: 1 });
  redis.kill('SIGCONT');
  await expect.poll(() => valuesOf('What is not well')).toMatchObject({ dedupe: 0 });

  kafka.kill('SIGSTOP');
  const spooled = async () => Object.values(await valuesOf('In the spool'))[0];
  await expect.poll(spooled).toBeGreaterThan(0);
  const alerts = async () => {
    const found = (await prometheus.api('alerts')).alerts as {
      labels: { alertname: string };
      annotations: Record<string, string>;
    }[];
    // Prometheus puts the error of a template in the place of its text.
    expect(JSON.stringify(found)).not.toMatch(/error (?:executing|expanding) template|no value/);
    return found.map(({ labels }) => labels.alertname);
  };
  await expect
    .poll(alerts)
    .toEqual(
      expect.arrayContaining(['PosternSpoolNotEmpty', 'PosternEventsUnchecked', 'PosternBreakerOpen']),
    );
  kafka.kill('SIGCONT');
  await expect.poll(spooled).toBe(0);

  const { groups } = (await prometheus.api('rules')) as {
    groups: { rules: { name: string; health: string }[] }[];
  };
  const rules = groups.flatMap((group) => group.rules);
  expect(rules.length).toBeGreaterThan(15);
  expect(rules.filter(({ health }) => health !== 'ok')).toEqual([]);
});
