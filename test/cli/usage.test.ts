import { expect, test } from 'vitest';
import { makeLogger } from '../../src/adapters/telemetry/logging.ts';
import { countOf, subscriptionOf, timesOf } from '../../src/cli/command-line.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { listLetters, redriveLetters, showLetter } from '../../src/cli/dead-letters.ts';
import { replayEvents } from '../../src/cli/replay.ts';
import { findCommand, USAGE } from '../../src/cli/usage.ts';
import { readConfig } from '../../src/config/read.ts';

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

test('unknown commands, options and arguments are named', () => {
  const find = (words: string, ...values: string[]) => findCommand(words.split(' '), values);
  expect(() => find('fly')).toThrow(/^there is no command fly\n\nUsage: /);
  expect(() => find('constructor')).toThrow('there is no command constructor');
  expect(() => find('served')).toThrow('there is no command served');
  expect(find('serve', 'config', 'role')).toMatchObject({ command: { name: 'serve' }, args: [] });
  expect(() => find('serve', 'limit')).toThrow('--limit does not go with serve');
  expect(() => find('serve', 'constructor')).toThrow('--constructor does not go with serve');
  expect(() => find('replay', 'filter')).toThrow('--filter does not go with replay');
  expect(find('try')).toMatchObject({ args: [] });
  expect(find('try a.json')).toMatchObject({ args: ['a.json'] });
  expect(() => find('try a.json b.json')).toThrow('try does not take the argument b.json');
  expect(() => find('dead-letters')).toThrow('dead-letters needs one of list, show PLACE and redrive');
  expect(() => find('dead-letters eat')).toThrow(
    'dead-letters needs one of list, show PLACE and redrive, not eat',
  );
  expect(find('dead-letters redrive', 'rate', 'dry-run')).toMatchObject({ args: [] });
  expect(() => find('dead-letters list', 'rate')).toThrow('--rate does not go with dead-letters list');
  expect(() => find('dead-letters list 0:1')).toThrow('dead-letters list does not take the argument 0:1');
  expect(() => find('dead-letters show')).toThrow('dead-letters show needs PLACE: postern dead-letters show');
  expect(() => find('dead-letters show 0:1 x')).toThrow('does not take the argument x');
  expect(() => find('dead-letters show 0:1', 'filter')).toThrow(
    '--filter does not go with dead-letters show',
  );
  expect(() => find('workflows')).toThrow(
    'workflows needs one of list [NAME], show NAME ID, retry NAME ID and cancel NAME ID',
  );
  expect(() => find('workflows show order')).toThrow(
    'workflows show needs ID: postern workflows show NAME ID',
  );
  expect(() => find('streams')).toThrow('streams needs export NAME');
});

test('the usage text names each command with its options', () => {
  for (const { name, summary, options = {} } of COMMANDS) {
    expect(USAGE).toContain(`\n  ${name} `);
    expect(USAGE).toContain(summary);
    for (const option of Object.keys(options)) expect(USAGE).toContain(`\n    --${option} `);
  }
  const longest = Math.max(...USAGE.split('\n').map((line) => line.length));
  expect(longest).toBeLessThanOrEqual(130);
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
  const line = (values: object, ...args: string[]) => ({
    ...options,
    args,
    values: { subscription: 'a', ...values },
  });
  await expect(listLetters(line({ limit: 'x' }))).rejects.toThrow('--limit must be');
  await expect(listLetters(line({ filter: 'event.x ==' }))).rejects.toThrow('--filter is not CEL');
  await expect(listLetters(line({ filter: 'nothing.x == 1' }))).rejects.toThrow('--filter is not CEL');
  await expect(showLetter(line({}, '12'))).rejects.toThrow('dead-letters show needs a PLACE');
  await expect(redriveLetters(line({ rate: '0' }))).rejects.toThrow('--rate must be');
  await expect(redriveLetters(line({ to: 'x' }))).rejects.toThrow('--to must be');
  await expect(replayEvents(line({}))).rejects.toThrow('replay needs --from TIME');
});
