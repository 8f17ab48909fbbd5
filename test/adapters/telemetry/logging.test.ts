import { expect, test } from 'vitest';
import { combineReports } from '../../../src/adapters/telemetry/combine.ts';
import { logReport, makeLogger } from '../../../src/adapters/telemetry/logging.ts';
import type { DeliveryFact, Fact, GroupFact, Report, RequestFact } from '../../../src/ports/report.ts';

function capture(level = 'info') {
  const lines: string[] = [];
  const logger = makeLogger(level, { write: (line: string) => void lines.push(line) });
  return { logger, lines, parsed: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

const GROUP: GroupFact = {
  kind: 'group',
  topic: 'clicks',
  events: 3,
  accepted: 2,
  duplicate: 1,
  changed: 0,
  rejected: 0,
  retry: 0,
  unchecked: 0,
  bytes: 300,
  claimMs: 1,
  appendMs: 2,
  error: null,
};
const VERDICTS = { accepted: 0, duplicate: 0, rejected: 0, retry: 0 };
const REQUEST: RequestFact = {
  kind: 'request',
  source: 'web',
  who: null,
  status: 202,
  ms: 1,
  verdicts: VERDICTS,
  error: null,
};
const DELIVERY: DeliveryFact = {
  kind: 'delivery',
  subscription: 'print',
  outcome: 'delivered',
  events: 1,
  ms: 1,
  status: 200,
  reason: null,
};

test('a commit group is one wide line', () => {
  const { logger, parsed } = capture();
  const report = logReport(logger);
  report(GROUP);
  report({ ...GROUP, error: 'broker is gone' });
  const { kind: _, ...fields } = GROUP;
  expect(parsed()).toEqual([
    { level: 'info', msg: 'group', ...fields, time: expect.any(String) },
    { level: 'warn', msg: 'group', ...fields, error: 'broker is gone', time: expect.any(String) },
  ]);
  expect(Date.parse(String(parsed()[0]?.time))).not.toBeNaN();
});

test('only requests that went wrong are logged, the faults of ours louder', () => {
  const { logger, parsed } = capture();
  const report = logReport(logger);
  report(REQUEST);
  report({ ...REQUEST, status: 422 });
  report({ ...REQUEST, status: 413, error: 'body_too_large' });
  report({ ...REQUEST, status: 503 });
  report({ ...REQUEST, status: 500, error: 'internal' });
  expect(parsed()).toMatchObject([
    { level: 'info', error: 'body_too_large' },
    { level: 'warn', status: 503 },
    { level: 'error', error: 'internal' },
  ]);
});

test('ten lines a second per code, and how many were left out', () => {
  const { logger, parsed } = capture();
  let time = 0;
  const report = logReport(logger, () => time);
  const overload = () => report({ ...REQUEST, status: 503, error: 'overloaded' });
  for (let i = 0; i < 25; i++) overload();
  expect(parsed()).toHaveLength(10);
  report({ ...REQUEST, status: 503, error: 'log_unavailable' });
  expect(parsed()).toHaveLength(11);
  time = 1000;
  overload();
  overload();
  expect(parsed().slice(11)).toMatchObject([{ error: 'overloaded', leftOut: 15 }, { error: 'overloaded' }]);
  expect(parsed()[12]).not.toHaveProperty('leftOut');
  for (let i = 0; i < 25; i++) report({ ...DELIVERY, outcome: 'retry', reason: 'status' });
  expect(parsed()).toHaveLength(23);
});

test('a delivery is logged when it failed, else only for debugging', () => {
  const { logger, parsed } = capture();
  logReport(logger)(DELIVERY);
  expect(parsed()).toEqual([]);
  logReport(logger)({ ...DELIVERY, outcome: 'dead_letter', reason: 'refused' });
  expect(parsed()).toMatchObject([{ level: 'warn', msg: 'delivery', reason: 'refused' }]);
  const debug = capture('debug');
  logReport(debug.logger)(DELIVERY);
  expect(debug.parsed()).toMatchObject([{ level: 'debug', outcome: 'delivered' }]);
});

test('a breaker that opens is a warning, one that closes is not', () => {
  const { logger, parsed } = capture();
  const report = logReport(logger);
  report({ kind: 'breaker', subscription: 'print', open: true, reason: 'unreachable', ms: null });
  report({ kind: 'breaker', subscription: 'print', open: false, reason: null, ms: 1500 });
  expect(parsed()).toMatchObject([
    { level: 'warn', msg: 'breaker open', subscription: 'print', reason: 'unreachable' },
    { level: 'info', msg: 'breaker closed', subscription: 'print', ms: 1500 },
  ]);
});

test('C59 secrets stay out of the log: fields, nested fields, URLs in messages and stacks', () => {
  const { logger, lines } = capture();
  logger.info({ authorization: 'hush', keys: ['hush'], source: { keys: ['hush'], password: 'hush' } }, 'a');
  logger.info({ config: { sasl: { password: 'hush' } }, headers: { cookie: 'hush' }, query: 'k=hush' }, 'b');
  logger.error({ err: new Error('connect redis://user:hush/hush@host:6379/0 failed') }, 'c');
  logger.warn('GET http://fn.example/path?token=hush failed, and https://:hush@x/ too');
  logger.info({ url: 'http://fn.example/?a=hush"&b=hush', other: 'https://kept.example/path' }, 'd');
  const command = { name: 'hello', args: ['3', 'AUTH', 'user', 'hush'] };
  logger.error({ err: Object.assign(new Error('refused'), { command }) }, 'e');
  logger.error({ cause: Object.assign(new TypeError('a bug'), { payload: 'hush', code: 'E1' }) }, 'f');
  expect(lines).toHaveLength(7);
  for (const line of lines) {
    expect(line).not.toContain('hush');
    JSON.parse(line);
  }
  expect(lines[2]).toContain('redis://host:6379/0 failed');
  expect(lines[3]).toContain('http://fn.example/path?... failed');
  expect(lines[4]).toContain('https://kept.example/path');
  expect(JSON.parse(lines[6]!).cause).toMatchObject({ type: 'TypeError', message: 'a bug', code: 'E1' });
});

test('several reports get the same facts, in order', () => {
  const heard: [string, Fact][] = [];
  const listener =
    (name: string): Report =>
    (fact) =>
      heard.push([name, fact]);
  const report = combineReports(listener('a'), listener('b'));
  const reply: Fact = { kind: 'reply', subscription: 'print', outcome: 'stored', events: 1 };
  for (const fact of [GROUP, reply]) report(fact);
  expect(heard).toEqual([
    ['a', GROUP],
    ['b', GROUP],
    ['a', reply],
    ['b', reply],
  ]);
});

test('a line neither steers the terminal nor says anything else for it', () => {
  const { logger, lines, parsed } = capture();
  const who = 'a\u001b[2J\u009b31m\r\n{"level":"info"}\u0085\u202eb\u2028\u007f grün ✓';
  logReport(logger)({ ...REQUEST, who, status: 503, error: 'overloaded' });
  expect(lines).toHaveLength(1);
  expect(lines[0]).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e]|\n./);
  expect(lines[0]).toContain('grün ✓');
  expect(parsed()[0]).toMatchObject({ who });
});
