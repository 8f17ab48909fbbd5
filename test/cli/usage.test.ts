import { expect, test } from 'vitest';
import { makeLogger } from '../../src/adapters/telemetry/logging.ts';
import { countOf, subscriptionOf, timesOf } from '../../src/cli/command-line.ts';
import { deadLetters } from '../../src/cli/dead-letters.ts';
import { replayCommand } from '../../src/cli/replay.ts';
import { checkUsage } from '../../src/cli/usage.ts';
import { readConfig } from '../../src/config/config.ts';

const yaml = `
log: { embedded: { path: /does/not/exist } }
dedupe: { embedded: {} }
sources: { s: { topic: t, id: [/id] } }
subscriptions:
  a: { topics: [t], function: { http: { url: 'http://127.0.0.1:1/' } } }
  b: { topics: [t], function: { http: { url: 'http://127.0.0.1:1/' } } }
`;
const { config } = readConfig(yaml, {}, { file: 'postern.yaml', readFile: () => '' });
const options = {
  config: config!,
  base: '/',
  logger: makeLogger('fatal'),
  print: (text: string) => expect.unreachable(text),
};

test('commands and options that are not there, or do not go together, are named', () => {
  expect(() => checkUsage('fly', [], [])).toThrow(/^there is no command fly\n\nUsage: /);
  expect(() => checkUsage('constructor', [], [])).toThrow('there is no command constructor');
  expect(() => checkUsage('serve', ['config', 'role'], [])).not.toThrow();
  expect(() => checkUsage('serve', ['limit'], [])).toThrow('--limit does not go with serve');
  expect(() => checkUsage('replay', ['filter'], [])).toThrow('--filter does not go with replay');
  expect(() => checkUsage('dead-letters', ['rate', 'dry-run'], ['show', '0:1'])).not.toThrow();
  expect(() => checkUsage('dead-letters', [], ['show', '0:1', 'x'])).toThrow('does not take the argument x');
});

test('values are checked, and what is right is said', () => {
  expect([countOf('limit', undefined), countOf('limit', '12')]).toEqual([null, 12]);
  for (const text of ['0', '-1', '1.5', '', 'x', '1e9', '99999999999']) {
    expect(() => countOf('limit', text)).toThrow(`--limit must be a whole number from 1, not ${text}`);
  }
  expect(timesOf('2026-03-01', '2026-03-01T02:00:00+01:00')).toEqual({
    from: Date.UTC(2026, 2, 1),
    to: Date.UTC(2026, 2, 1, 1),
  });
  for (const text of ['yesterday', '2026-03-01T08:30:00', '2026-02-30', '1772000000', '']) {
    expect(() => timesOf(text, undefined)).toThrow(
      /^--from must be a date or a time with its zone, such as /,
    );
  }
  expect(() => timesOf('2026-03-01', '2026-03-01')).toThrow('--to must be later than --from');
  expect(subscriptionOf(config!, 'b').name).toBe('b');
  expect(() => subscriptionOf(config!, undefined)).toThrow('--subscription must be one of a, b');
  expect(() => subscriptionOf(config!, 'c')).toThrow('there is no subscription c; the config has a, b');
});

test('nothing is opened before the command line is right', async () => {
  const run = (action: string | undefined, values: object, place?: string) =>
    deadLetters({ ...options, action, place, values: { subscription: 'a', ...values } });
  await expect(run(undefined, {})).rejects.toThrow('dead-letters needs one of list, show PLACE and redrive');
  await expect(run('eat', {})).rejects.toThrow(
    'dead-letters needs one of list, show PLACE and redrive, not eat',
  );
  await expect(run('list', { rate: '3' })).rejects.toThrow(
    '--rate and --dry-run go with redrive, not with list',
  );
  await expect(run('list', {}, '0:1')).rejects.toThrow('dead-letters list does not take the argument 0:1');
  await expect(run('list', { limit: 'x' })).rejects.toThrow('--limit must be');
  await expect(run('list', { filter: 'event.x ==' })).rejects.toThrow('--filter is not CEL');
  await expect(run('list', { filter: 'nothing.x == 1' })).rejects.toThrow('--filter is not CEL');
  await expect(run('show', {}, '12')).rejects.toThrow('dead-letters show needs a PLACE');
  await expect(run('show', { filter: 'true' }, '0:1')).rejects.toThrow('--filter goes with list and redrive');
  await expect(run('redrive', { rate: '0' })).rejects.toThrow('--rate must be');
  await expect(run('redrive', { to: 'x' })).rejects.toThrow('--to must be');
  await expect(replayCommand({ ...options, values: { subscription: 'a' } })).rejects.toThrow(
    'replay needs --from TIME',
  );
});
