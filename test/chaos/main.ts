// `npm run chaos`: events through real servers and real faults, then the books. See scenarios.ts.
import { parseArgs } from 'node:util';
import { startPlatform } from './platform.ts';
import { formatResult } from './report.ts';
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
  },
});

if (options.list) {
  for (const { name, about } of scenarios) console.log(`${name.padEnd(22)} ${about}`);
} else {
  const chosen = options.scenario?.map(scenarioOf) ?? scenarios;
  const seed = Number(options.seed ?? Date.now() % 1_000_000);
  const platform = await startPlatform();
  const results: Result[] = [];
  try {
    for (const scenario of chosen) {
      const result = await runScenario({
        platform,
        scenario,
        seed,
        events: Number(options.events),
        lasting: Number(options.minutes) * 60_000,
        rate: Number(options.rate),
      });
      results.push(result);
      console.log(formatResult(result));
    }
  } finally {
    await platform.stop();
  }
  const broken = results.filter((result) => result.broken.length > 0).length;
  console.log(`${results.length - broken} passed, ${broken} failed`);
  if (broken > 0) process.exitCode = 1;
}
