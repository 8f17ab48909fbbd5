import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Attack } from './attacks.ts';
import { described } from './figures.ts';
import { judge } from './judge.ts';
import type { Stores } from './project.ts';
import { Stage } from './stage.ts';

const SECONDS = 0.8;
/** A bound that is broken by another program's work holds when it is tried again; one that does not hold never does. */
const TRIES = 3;

/** The short form of some attacks, one process for all: each is a test of its own. */
export function shortForm(title: string, attacks: Attack[], stores: Stores = {}): void {
  // What is measured is read from /proc.
  describe.skipIf(process.platform !== 'linux')(title, () => {
    for (const [project, some] of Map.groupBy(attacks, ({ project }) => project ?? 'full')) {
      describe(`on a ${project} config`, () => {
        let stage: Stage;
        beforeAll(async () => {
          stage = await Stage.start({ project, stores });
        });
        afterAll(() => stage.stop());
        for (const attack of some) it(attack.name, () => tried(stage, attack));
      });
    }
  });
}

async function tried(stage: Stage, attack: Attack): Promise<void> {
  let faults: ReturnType<typeof judge> = [];
  let text = '';
  for (let tries = 0; tries < TRIES; tries++) {
    const figures = await stage.run(attack, { seconds: SECONDS });
    faults = judge(attack, figures, stage.quiet);
    text += `\n${described(figures, stage.quiet)}`;
    if (faults.length === 0 || faults.some(({ timed }) => !timed)) break;
  }
  expect(
    faults.map((fault) => fault.text),
    text,
  ).toEqual([]);
}
