import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { copySource } from './copy.ts';
import { mutants } from './mutants.ts';
import { type Platform, startPlatform } from './platform.ts';
import { findings, tryMutant } from './prove.ts';
import { formatResult } from './report.ts';
import { runScenario } from './run.ts';
import { scenarioOf } from './scenarios.ts';

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
});
afterAll(() => platform?.stop());

describe('nothing is lost', () => {
  // The others take longer: `npm run chaos`.
  it.each(['gateway-kill', 'redis-network', 'kafka-away-spool', 'topic-refused'])(
    '%s',
    async (name) => {
      const scenario = { ...scenarioOf(name), rounds: 1 };
      const result = await runScenario({ platform, scenario, seed: 2, events: 2_000, lasting: 0, rate: 800 });
      expect(result.broken, formatResult(result)).toEqual([]);
      expect(result.faults.size).toBeGreaterThan(0);
      expect(result.outcomes.get('stored once')).toBeGreaterThan(1_000);
    },
    300_000,
  );
});

describe('the books can fail', () => {
  // The others: `npm run chaos -- --prove`.
  it.each(mutants.filter(({ scenario }) => scenario === 'kafka-unready'))(
    'when $name',
    async (mutant) => {
      const result = await tryMutant(platform, mutant, 5, 1);
      expect(findings(result, mutant), formatResult(result)).not.toEqual([]);
    },
    300_000,
  );

  it.each(mutants)('the fault can be put in: $name', async ({ change }) => {
    const copy = await copySource([change]);
    const text = await readFile(join(dirname(copy.main), change.file), 'utf8');
    await copy.remove();
    expect(text).toContain(change.to);
  });

  it('does not take a fault that is no longer there to put in', async () => {
    await expect(copySource([{ file: 'core/event.ts', from: 'no such text', to: '' }])).rejects.toThrow(
      '0 times',
    );
  });
});
