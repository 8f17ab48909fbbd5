import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LogRecord } from '../../src/ports/event-log.ts';
import { headersOf } from './records.ts';
import { changedLog, eventRecord, httpAt, numbered, Rig, subscription } from './rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = new Rig();
  await rig.open();
});
afterEach(() => rig.close());

const text = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString());
describe('dead letters', () => {
  test('C51 an event that is refused is stored with the reason, the others go on', async () => {
    const target = await rig.function(({ id }, response) => {
      response.writeHead(id.endsWith('3') ? 401 : 200);
      response.end(id.endsWith('3') ? 'who\nare you' : '');
    });
    await rig.append(numbered(100));
    const dispatcher = await rig.start([subscription(target)]);
    await rig.facts.until(() => rig.facts.events('delivered') === 90);
    const letters = await rig.read('mail.dead', 10);
    await dispatcher.stop(5_000);
    const ids = letters.map((letter) => headersOf(letter).ce_id);
    expect(new Set([...target.ids.filter((id) => !id.endsWith('3')), ...ids])).toEqual(
      new Set(numbered(100)),
    );
    expect(letters.length).toBe(10);
    const letter = letters.find(({ key }) => text(key) === 'e13')!;
    expect(text(letter.value)).toBe('{"id":"e13"}');
    const headers = headersOf(letter);
    expect(headers).toMatchObject({
      ce_id: 'e13',
      ce_type: 'shop.order',
      'content-type': 'application/json',
      postern_reason: 'refused',
      postern_status: '401',
      postern_attempts: '1',
      postern_subscription: 'mail',
      postern_topic: 'orders',
      postern_partition: '0',
      postern_error: 'HTTP 401: who are you',
    });
    expect(Number(headers.postern_offset)).toBeGreaterThan(0);
    for (const name of ['postern_first_time', 'postern_last_time']) {
      expect(headers[name]).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    }
    expect(rig.facts.events('dead_letter')).toBe(10);
    expect(new Set(rig.facts.reasons('dead_letter'))).toEqual(new Set(['refused']));
  });

  test('attempts are counted to the end', async () => {
    const target = await rig.function((_, response) => response.writeHead(503).end());
    await rig.append(['e0']);
    await rig.start([subscription(target)]);
    const [letter] = await rig.read('mail.dead', 1);
    expect(headersOf(letter!)).toMatchObject({
      postern_reason: 'server_error',
      postern_status: '503',
      postern_attempts: '3',
    });
    expect(target.ids.length).toBe(3);
    expect(rig.facts.events('retry')).toBe(2);
  });

  test('C59 no secret of the config is in a dead letter', async () => {
    const target = await rig.function((_, response) => response.destroy());
    const made = subscription(target, { retry: { attempts: 1, min: 1, max: 1 } });
    const url = target.server.url.replace('//', '//user:hunter2@');
    made.function = { http: httpAt(url, { headers: { 'x-key': 'hunter3' } }) };
    await rig.append(['e0']);
    await rig.start([made]);
    const [letter] = await rig.read('mail.dead', 1);
    expect(headersOf(letter!)).toMatchObject({ postern_reason: 'connection_lost', postern_status: '' });
    expect(JSON.stringify(headersOf(letter!))).not.toMatch(/hunter/);
  });

  test('C51 nothing is committed while the dead letter cannot be stored', async () => {
    const target = await rig.function(({ id }, response) =>
      response.writeHead(id === 'e0' ? 400 : 200).end(),
    );
    await rig.append(numbered(5));
    const log = changedLog(rig.log, { append: async (records) => records.map(() => 'failed') });
    const first = await rig.start([subscription(target)], log);
    await rig.facts.until(
      () => rig.facts.events('delivered') === 4 && rig.facts.reasons('retry').includes('dead_letter_failed'),
    );
    expect(first.lag()[0]).toMatchObject({ value: 5 });
    await first.stop(2_000);
    await rig.reopen();
    await rig.start([subscription(target)]);
    const letters = await rig.read('mail.dead', 1);
    expect(letters.map(({ key }) => text(key))).toEqual(['e0']);
    await rig.facts.until(() => rig.facts.events('delivered') === 8);
  });

  test('is tried until it is stored', async () => {
    const target = await rig.function((_, response) => response.writeHead(400).end());
    await rig.append(['e0', 'e1']);
    let tries = 0;
    const log = changedLog(rig.log, {
      async append(records: LogRecord[]) {
        if (++tries === 1) throw new Error('broken');
        return rig.log.append(records);
      },
    });
    const dispatcher = await rig.start([subscription(target)], log);
    expect((await rig.read('mail.dead', 2)).length).toBe(2);
    await dispatcher.stop(1_000);
    expect(dispatcher.lag()).toEqual([]);
    expect(target.ids.length).toBe(2);
  });

  test('a record that is too large with the reasons is stored without its value', async () => {
    const target = await rig.function((_, response) => response.writeHead(413).end());
    const record = eventRecord('e0', '');
    const big = { ...record, value: Buffer.alloc(16 * 1024 * 1024 - 300, 0x20) };
    expect(await rig.log.append([big])).toEqual(['stored']);
    await rig.start([subscription(target)]);
    const [letter] = await rig.read('mail.dead', 1);
    expect(letter!.value).toBeNull();
    expect(text(letter!.key)).toBe('e0');
    expect(headersOf(letter!)).toMatchObject({
      ce_id: 'e0',
      postern_truncated: 'value',
      postern_status: '413',
    });
  });
});
