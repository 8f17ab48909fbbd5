import { setTimeout as sleep } from 'node:timers/promises';
import type { Scenario } from '../scenario.ts';
import { ready } from '../stage.ts';
import { setWritable } from './kafka.ts';

export const dispatcherKill: Scenario = {
  name: 'dispatcher-kill',
  about: 'the dispatcher is killed (SIGKILL) in mid load; its partitions are read again by the next',
  rounds: 1,
  round: async (stage, random) => {
    const dispatcher = stage.dispatchers[0]!;
    // So that much is in work: what was committed too early would be lost now.
    stage.fn.mood = 'hanging';
    await sleep(random.between(300, 1_500));
    await stage.fault(
      'dispatcher SIGKILL',
      null,
      random.between(0, 500),
      () => dispatcher.end('SIGKILL'),
      async () => {
        stage.fn.mood = 'well';
        await dispatcher.start();
        await ready(dispatcher);
      },
    );
  },
};

export const rebalance: Scenario = {
  name: 'rebalance',
  about: 'a second dispatcher joins under load, and leaves or is killed',
  rounds: 2,
  round: async (stage, random) => {
    const second = stage.dispatchers[1]!;
    stage.fn.mood = random.pick(['well', 'flaky']);
    const signal = random.pick(['SIGTERM', 'SIGTERM', 'SIGKILL'] as const);
    await stage.fault(
      `second dispatcher, ${signal}`,
      null,
      random.between(2_000, 6_000),
      () => second.start(),
      () => second.end(signal),
    );
    stage.fn.mood = 'well';
  },
};

export const functionDown: Scenario = {
  name: 'function-down',
  about: 'the function is down, hangs, closes its connections, or fails now and then',
  rounds: 3,
  round: async (stage, random) => {
    const { fn } = stage;
    const ms = random.between(500, 5_000);
    const mood = random.pick(['down', 'hanging', 'closing', 'flaky'] as const);
    if (mood === 'down') return stage.fault('function down', null, ms, fn.down, fn.up);
    const set = () => {
      fn.mood = mood;
    };
    const unset = () => {
      fn.mood = 'well';
    };
    await stage.fault(`function ${mood}`, null, ms, set, unset);
  },
};

export const deadLetterAway: Scenario = {
  name: 'dead-letter-away',
  about:
    'the dead-letter topic takes no appends while the function refuses events; the dispatcher may be killed',
  rounds: 1,
  round: async (stage, random) => {
    const { dead } = stage.subscriptions.find(({ name }) => name === 'b')!;
    const dispatcher = stage.dispatchers[0]!;
    await stage.fault(
      'dead-letter topic not writable',
      null,
      random.between(2_000, 6_000),
      () => setWritable(stage, dead, false),
      async () => {
        if (random.chance(0.5)) {
          await dispatcher.end('SIGKILL');
          await dispatcher.start();
          // The new process meets the events that have no dead letter yet.
          await ready(dispatcher);
        }
        await setWritable(stage, dead, true);
      },
    );
  },
};
