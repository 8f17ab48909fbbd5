import { expect, test } from 'vitest';
import { Listing, letterJson, letterText, redriveText } from '../../src/cli/dead-letters-text.ts';
import { printable } from '../../src/core/printable.ts';
import { readLetter, type StoredLetter } from '../../src/dispatcher/stored-letter.ts';
import { stored } from '../dispatcher/records.ts';
import { httpAt, subscription, type TestFunction } from '../dispatcher/rig.ts';

const TIME = Date.UTC(2026, 2, 1, 8, 30);

function letter(
  offset: number,
  headers: Record<string, string> = {},
  value: string | Uint8Array | null = '{"a":1}',
): StoredLetter {
  const all = {
    postern_reason: 'refused',
    postern_status: '422',
    postern_attempts: '1',
    postern_subscription: 'mail',
    postern_topic: 'orders',
    postern_partition: '3',
    postern_offset: '77',
    postern_timestamp: String(TIME - 5_000),
    postern_first_time: '2026-03-01T08:29:56.000Z',
    postern_last_time: '2026-03-01T08:29:58.000Z',
    postern_error: 'HTTP 422: no',
    ...headers,
  };
  return readLetter(stored(value, all, { topic: 'mail.dead', offset, timestamp: TIME + offset }))!;
}

const config = { ...configOf(), redrive: 'mail.redrive' };
const nothing = { others: new Map<string, number>(), foreign: 0, unwanted: 0 };

function configOf() {
  const target = { server: { url: 'http://127.0.0.1:1/' } } as TestFunction;
  return { ...subscription(target), function: { http: httpAt('http://127.0.0.1:1/') } };
}

test('a list is a table of the newest, whatever order they come in, and counts all', () => {
  const listing = new Listing(2);
  listing.add(letter(9, { postern_reason: 'timeout', postern_status: '', postern_attempts: '8' }), true);
  for (let i = 0; i < 300; i++) listing.add(letter(i % 9), false);
  listing.add(letter(8, { ce_id: 'id-2' }), false);
  expect(listing.text(config, { ...nothing, others: new Map([['post', 4]]), foreign: 1 }, null)).toBe(
    `PLACE  TIME                      ID    TYPE        REASON   STATUS  ATTEMPTS  REDRIVEN
0:8    2026-03-01T08:30:00.008Z  id-2  shop.order  refused  422     1         -
0:9    2026-03-01T08:30:00.009Z  id-1  shop.order  timeout  -       8         yes

302 dead letters of mail in mail.dead: 301 refused, 1 timeout; redriven: 1
the newest 2 are shown; --limit N shows more
passed over: 4 of post
passed over: 1 record that is no dead letter`,
  );
  expect(new Listing(5).text(config, nothing, null)).toBe('0 dead letters of mail in mail.dead');
});

test('a list may be as long as the topic', () => {
  const listing = new Listing(1_000_000);
  const one = letter(0);
  for (let i = 0; i < 150_000; i++) listing.add(one, false);
  expect(listing.text(config, nothing, null)).toContain(
    '\n150000 dead letters of mail in mail.dead: 150000 refused',
  );
});

test('what somebody else wrote neither steers the terminal nor fills it', () => {
  const listing = new Listing(5);
  listing.add(letter(0, { ce_id: `a\u001b[2J\nb${'c'.repeat(100)}`, ce_type: 'x\u202ey' }), false);
  const lines = listing.text(config, nothing, null).split('\n');
  expect(lines[1]).toMatch(/ a\\x1b\[2J\\nbc{36}… {2}x\\u202ey {2}/);
  expect(lines.length).toBe(4);
  const shown = letterText(letter(0, { 'x-name': 'a\nb' }, 'one\r\n\ttwo\u0007'), false);
  expect(shown).toContain('  x-name: a\\nb\n');
  expect(shown).toMatch(/payload, 10 bytes\none\\x0d\n\ttwo\\x07$/);
  expect(printable('grün ✓ 日本')).toBe('grün ✓ 日本');
});

test('one letter is shown with all that is known of it', () => {
  const before = 'mail.dead/0/1@2026-02-01T00:00:00.000Z';
  expect(letterText(letter(12, { postern_lineage: before }), true)).toBe(`place     0:12 of mail.dead
time      2026-03-01T08:30:00.012Z
reason    refused
status    422
attempts  1
first     2026-03-01T08:29:56.000Z
last      2026-03-01T08:29:58.000Z
response  HTTP 422: no
origin    3:77 of orders, 2026-03-01T08:29:55.000Z
redriven  yes
before    ${before}
key       -
headers
  ce_specversion: 1.0
  ce_id: id-1
  ce_source: /shop
  ce_type: shop.order
  content-type: application/json
  postern_lineage: ${before}
payload, 7 bytes
{"a":1}`);
  const cut = letter(1, { postern_truncated: 'value', postern_status: '' }, null);
  expect(letterText(cut, false)).toMatch(/status {4}-\n[\s\S]*\ncut {7}value left out[\s\S]*\nno payload$/);
  expect(letterText(letter(1, {}, Uint8Array.of(0xff, 0)), false)).toMatch(
    /payload, 2 bytes, base64\n\/wA=$/,
  );
});

test('for machines: everything, with payload and headers only when one is asked for', () => {
  expect(letterJson(letter(12), false)).toEqual({
    place: '0:12',
    time: '2026-03-01T08:30:00.012Z',
    id: 'id-1',
    source: '/shop',
    type: 'shop.order',
    reason: 'refused',
    status: 422,
    attempts: 1,
    firstTime: '2026-03-01T08:29:56.000Z',
    lastTime: '2026-03-01T08:29:58.000Z',
    error: 'HTTP 422: no',
    origin: { topic: 'orders', partition: 3, offset: 77, time: '2026-03-01T08:29:55.000Z' },
    redriven: false,
    lineage: [],
    cut: null,
  });
  expect(letterJson(letter(12, {}, Uint8Array.of(0xff, 0)), false, true)).toMatchObject({
    key: null,
    headers: { ce_id: 'id-1' },
    payload: { base64: '/wA=' },
  });
});

test('a redrive tells what it sent and what not', () => {
  const counts = { ...nothing, sent: 1, already: 2, cut: 3, tooLarge: 4, failed: 5, unwanted: 6 };
  expect(redriveText(counts, config, false, { match: () => false, errors: 6 })).toBe(
    `1 dead letter sent to mail again, through the topic mail.redrive
2 sent by an earlier redrive
3 cannot be sent again: their payload was too large to be kept, and is no longer in its topic
4 too large for the topic mail.redrive
5 not known to be stored: run this again, it sends what is missing
6 do not match the filter, which failed for 6 of them`,
  );
  expect(
    redriveText({ ...nothing, sent: 2, already: 0, cut: 0, tooLarge: 0, failed: 0 }, config, true, null),
  ).toBe('2 dead letters would be sent to mail again');
});
