import { copySource } from './copy.ts';
import type { Mutant } from './mutants.ts';
import type { Platform } from './platform.ts';
import { type Result, runScenario } from './run.ts';
import { scenarioOf } from './scenarios.ts';

/** Runs a mutant through its scenario, with these rounds or those of the short form. */
export async function tryMutant(
  platform: Platform,
  mutant: Mutant,
  seed: number,
  rounds?: number,
): Promise<Result> {
  const known = scenarioOf(mutant.scenario);
  const scenario = { ...known, rounds: rounds ?? known.rounds };
  const copy = await copySource([mutant.change]);
  try {
    return await runScenario({
      platform,
      scenario,
      seed,
      events: 2_000,
      lasting: 0,
      rate: 500,
      main: copy.main,
    });
  } finally {
    await copy.remove();
  }
}

/** The broken promises that the mutant was to break. */
export function findings(result: Result, { breaks }: Mutant): string[] {
  return result.broken.filter((line) => line.startsWith(breaks));
}
