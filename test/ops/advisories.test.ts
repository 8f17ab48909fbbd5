import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Advisory, concerned, isIn, type Lock, shipped } from './advisories.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const read = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as unknown;
const lock = read(join(ROOT, 'package-lock.json')) as Lock;
// Kept by hand for what we ship, for where no registry tells. Add what `npm audit --omit=dev` says elsewhere.
const advisories = read(join(import.meta.dirname, 'advisories.json')) as Advisory[];
/** Milliseconds that the registry has. */
const PATIENCE = 20_000;

test('nothing that we ship has a fault that the list knows', () => {
  expect(shipped(lock).length).toBeGreaterThan(50);
  expect(concerned(lock, advisories)).toEqual([]);
});

test('nothing that we ship has a fault that the registry knows, where it tells', {
  tags: ['slow'],
}, async ({ skip }) => {
  const output = await new Promise<string>((resolve) => {
    const args = ['audit', '--omit=dev', '--json', '--fetch-retries=0'];
    execFile('npm', args, { cwd: ROOT, timeout: PATIENCE, maxBuffer: 2 ** 26 }, (_, stdout) =>
      resolve(stdout),
    );
  });
  const report = parsed(output);
  if (report?.vulnerabilities === undefined)
    return skip('the registry cannot be reached, or has no such service');
  const faulty = Object.entries(report.vulnerabilities).map(
    ([name, { severity, range }]) => `${name} ${range}: ${severity}`,
  );
  expect(faulty).toEqual([]);
});

function parsed(
  text: string,
): { vulnerabilities?: Record<string, { severity: string; range: string }> } | null {
  try {
    return JSON.parse(text) as ReturnType<typeof parsed>;
  } catch {
    return null;
  }
}

test('the list would be heard: a lock file with a bad version is told of, one for development is not', () => {
  const bad: Lock = {
    packages: {
      '': { version: '1.0.0' },
      'node_modules/undici': { version: '7.28.0' },
      'node_modules/a/node_modules/hono': { version: '4.12.20' },
      'node_modules/@hono/node-server': { version: '1.19.12' },
      'node_modules/yaml': { version: '2.8.2', dev: true },
      'node_modules/jose': { version: '6.2.18' },
    },
  };
  const found = concerned(bad, advisories).map((line) => line.split(' ').slice(0, 3).join(' '));
  expect(found).toContain('undici 7.28.0: GHSA-v3r7-h72x-cjcm');
  expect(found).toContain('hono 4.12.20: GHSA-f577-qrjj-4474');
  expect(found).toContain('@hono/node-server 1.19.12: GHSA-92pp-h63x-v22m');
  expect(found.filter((line) => /^(?:yaml|jose) /.test(line))).toEqual([]);
});

test('each entry of the list names something that we ship, a range and an advisory, once', () => {
  const names = new Set(shipped(lock).map(({ name }) => name));
  for (const one of advisories) {
    expect([one.id, names.has(one.package)]).toEqual([one.id, true]);
    expect(one.id).toMatch(/^GHSA(?:-[23456789cfghjmpqrvwx]{4}){3}$/);
    expect(isIn('999.0.0', one.vulnerable)).toBe(false);
  }
  expect(new Set(advisories.map(({ id }) => id)).size).toBe(advisories.length);
});

test('ranges are read as npm reads them', () => {
  const cases: [string, string, boolean][] = [
    ['1.2.3', '<1.2.3', false],
    ['1.2.2', '<1.2.3', true],
    ['1.10.0', '>=1.9.9', true],
    ['2.0.0', '<1.0.0 || >=2.0.0 <2.1.0', true],
    ['2.1.0', '<1.0.0 || >=2.0.0 <2.1.0', false],
    ['4.4.2', '=4.4.2', true],
    ['4.4.20', '=4.4.2', false],
  ];
  for (const [version, range, expected] of cases)
    expect([version, range, isIn(version, range)]).toEqual([version, range, expected]);
  expect(() => isIn('1.0.0', '^1.0.0')).toThrow('is no comparator');
});
