// `npm run chaos`: events through real servers and real faults, then the books. See scenarios.ts.
import { parseArgs } from 'node:util';
import { copySource } from './copy.ts';
import { mutants } from './mutants.ts';
import type { Platform } from './platform.ts';
import { startPlatforms } from './platforms.ts';
import { findings, tryMutant } from './prove.ts';
import { formatResult, formatTotal } from './report.ts';
import { type Result, runScenario } from './run.ts';
import { scenarioOf, scenarios } from './scenarios.ts';

const { values: options } = parseArgs({
  options: {
    /** May be given several times; default: all. */
    scenario: { type: 'string', multiple: true },
    list: { type: 'boolean', default: false },
    minutes: { type: 'string', default: '0' },
    events: { type: 'string', default: '3000' },
    rate: { type: 'string', default: '800' },
    seed: { type: 'string' },
    /** `log.kafka.client` */
    client: { type: 'string', default: 'kafkajs' },
    /** Instead of scenarios: are faults found that are put into copies of the program? */
    prove: { type: 'boolean', default: false },
  },
});

const seed = Number(options.seed ?? Date.now() % 1_000_000);
const load = {
  events: Number(options.events),
  lasting: Number(options.minutes) * 60_000,
  rate: Number(options.rate),
  client: options.client,
};

if (options.list) {
  for (const { name, about, platform = 'single' } of scenarios)
    console.log(`${name.padEnd(24)} ${platform.padEnd(9)} ${about}`);
} else {
  const failed = await (options.prove ? proveAll() : runAll());
  if (failed > 0) process.exitCode = 1;
}

/** Runs the chosen scenarios on a copy of the program, which stays as it is; resolves with how many broke a promise. */
async function runAll(): Promise<number> {
  const chosen = options.scenario?.map(scenarioOf) ?? scenarios;
  const copy = await copySource();
  const results: Result[] = [];
  try {
    // One after the other: each is a handful of servers.
    for (const [kind, some] of Map.groupBy(chosen, ({ platform = 'single' }) => platform)) {
      await on(startPlatforms[kind], async (platform) => {
        for (const scenario of some) {
          const result = await runScenario({ platform, scenario, seed, main: copy.main, ...load });
          console.log(formatResult(result));
          results.push(result);
        }
      });
    }
  } finally {
    await copy.remove();
  }
  console.log(formatTotal(results));
  const broken = results.filter((result) => result.broken.length > 0).length;
  console.log(`${chosen.length - broken} passed, ${broken} failed`);
  return broken;
}

/** Resolves with how many of the faults were not found. */
async function proveAll(): Promise<number> {
  let missed = 0;
  await on(startPlatforms.single, async (platform) => {
    for (const mutant of mutants) {
      const result = await tryMutant(platform, mutant, seed);
      const found = findings(result, mutant);
      console.log(`${found.length > 0 ? 'found ' : 'MISSED'}  ${mutant.name}, by ${mutant.scenario}`);
      for (const line of found.length > 0 ? found.slice(-1) : result.broken)
        console.log(`  ${line.slice(0, 300)}`);
      if (found.length === 0) missed++;
    }
  });
  console.log(`${mutants.length - missed} passed, ${missed} failed`);
  return missed;
}

async function on(start: () => Promise<Platform>, use: (platform: Platform) => Promise<void>): Promise<void> {
  const platform = await start();
  try {
    await use(platform);
  } finally {
    await platform.stop();
  }
}
