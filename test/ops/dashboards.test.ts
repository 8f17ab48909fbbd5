import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';
import { buildGo } from '../services/go.ts';
import { dispatcherDashboard } from './dashboards/dispatcher.ts';
import { gatewayDashboard } from './dashboards/gateway.ts';

const FOLDER = join(import.meta.dirname, '..', '..', 'helm', 'files', 'dashboards');

const DASHBOARDS = Object.entries({ gateway: gatewayDashboard(), dispatcher: dispatcherDashboard() });

interface Dashboard {
  uid: string;
  templating: { list: { name: string }[] };
  panels: {
    id: number;
    title: string;
    gridPos: { x: number; y: number; w: number; h: number };
    targets?: { expr: string }[];
  }[];
}

// After a change: UPDATE=1 npx vitest run test/ops/dashboards.test.ts && npx biome format --write helm/files/dashboards
test.each(DASHBOARDS)('%s.json is what the code says', (name, now) => {
  const file = join(FOLDER, `${name}.json`);
  if (process.env.UPDATE) writeFileSync(file, JSON.stringify(now, null, 2));
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(now);
});

let reader: string;
beforeAll(async () => {
  reader = await buildGo('grafana-dashboard');
});

test.each(DASHBOARDS)("Grafana's own types take %s.json, to the last field", async (name) => {
  const read = promisify(execFile)(reader, [join(FOLDER, `${name}.json`)]);
  await expect(read).resolves.toEqual({ stdout: '', stderr: '' });
});

test.each(DASHBOARDS)('%s: ids differ, panels do not overlap, variables exist', (name, now) => {
  const { uid, panels, templating } = now as Dashboard;
  expect(uid).toBe(`postern-${name}`);
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length);
  const places = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
  );
  expect(new Set(places).size).toBe(places.length);
  expect(Math.max(...panels.map(({ gridPos: { x, w } }) => x + w))).toBe(24);
  const known = [...templating.list.map((variable) => variable.name), '__rate_interval', '__range'];
  const used = panels.flatMap(({ targets }) =>
    (targets ?? []).flatMap(({ expr }) => [...expr.matchAll(/\$(\w+)/g)].map((match) => match[1]!)),
  );
  expect([...new Set(used)].filter((variable) => !known.includes(variable))).toEqual([]);
});
