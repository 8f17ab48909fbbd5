// `node load/filters.ts`: what a filter costs per event.
import { cpuUsage } from 'node:process';
import { parseArgs } from 'node:util';
import type { AttributeFilter } from '../src/config/subscription/types.ts';
import { makeFilterIndex } from '../src/filter/candidates.ts';
import type { Wanted } from '../src/filter/conditions.ts';
import { makeFilter } from '../src/filter/filter.ts';
import type { StoredRecord } from '../src/ports/event-log.ts';

const { values: options } = parseArgs({ options: { events: { type: 'string', default: '1000000' } } });
const EVENTS = Number(options.events);
/** Different records, so that nothing is found in a cache that would not be there. */
const RECORDS = 10_000;

function record(i: number, type = `shop.order.${i % 10 === 0 ? 'paid' : 'placed'}`): StoredRecord {
  const text = {
    ce_specversion: '1.0',
    ce_id: `order-${i}`,
    ce_source: '/shops/berlin',
    ce_type: type,
    ce_time: new Date(1.7e12 + i).toISOString(),
    'content-type': 'application/json',
  };
  const value = JSON.stringify({
    id: i,
    event: 'Order',
    total: i % 200,
    lines: [{ sku: `s${i}`, count: 2 }],
  });
  const headers = Object.fromEntries(Object.entries(text).map(([name, one]) => [name, Buffer.from(one)]));
  return { topic: 't', partition: 0, offset: i, timestamp: 0, key: null, value: Buffer.from(value), headers };
}

const records = Array.from({ length: RECORDS }, (_, i) => record(i));
const table: Record<string, object> = {};

function measure(name: string, filter: string | null, filters: AttributeFilter[] = []): void {
  const made = makeFilter({ filter, filters })!;
  row(name, EVENTS, (i) => (made.match(records[i % RECORDS]!) ? 1 : 0));
}

/** `matches` says how many filters match event `i`. */
function row(name: string, events: number, matches: (i: number) => number): void {
  let matched = 0;
  const run = (events: number) => {
    for (let i = 0; i < events; i++) matched += matches(i);
  };
  run(events / 10);
  matched = 0;
  const [before, started] = [cpuUsage(), performance.now()];
  run(events);
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = cpuUsage(before);
  table[name] = {
    'events/s': Math.round(events / seconds),
    'CPU µs per event': Number(((user + system) / events).toFixed(3)),
    'matched %': Math.round((100 * matched) / events),
  };
}

/** What an event costs with this many filters, each for a type of its own, of which it matches one. */
function measureMany(count: number, kind: string, wanted: (type: string) => Wanted): void {
  const filters = Array.from({ length: count }, (_, i) => wanted(`shop.order.${i}`));
  const types = Math.min(count, 100);
  const events = Array.from({ length: RECORDS }, (_, i) => record(i, `shop.order.${i % types}`));
  const made = filters.map((one) => makeFilter(one)!);
  const index = makeFilterIndex(filters);
  row(`${count} × ${kind}, indexed`, EVENTS, (i) => {
    const event = events[i % RECORDS]!;
    let matched = 0;
    for (const place of index.candidates(event)) if (made[place]!.match(event)) matched++;
    return matched;
  });
  row(`${count} × ${kind}, plain`, EVENTS / count, (i) => {
    const event = events[i % RECORDS]!;
    let matched = 0;
    for (const one of made) if (one.match(event)) matched++;
    return matched;
  });
}

measure('exact on type', null, [{ exact: { type: 'shop.order.paid' } }]);
measure('prefix on type, not exact on source', null, [
  { prefix: { type: 'shop.' } },
  { not: { exact: { source: '/shops/paris' } } },
]);
measure('CEL on type', 'event.type == "shop.order.paid"');
measure('CEL on type and source', 'event.type == "shop.order.paid" && event.source.startsWith("/shops/")');
measure('CEL on all attributes', 'event.exists(name, name == "type") && event.type == "shop.order.paid"');
measure('CEL on data', 'event.data.total > 100');
measure('CEL on type, then data', 'event.type == "shop.order.paid" && event.data.total > 100');
measure('exact on type, then CEL on data', 'event.data.total > 100', [
  { exact: { type: 'shop.order.paid' } },
]);
for (const count of [1, 100, 1000]) {
  measureMany(count, 'exact on type', (type) => ({ filter: null, filters: [{ exact: { type } }] }));
  measureMany(count, 'CEL on type', (type) => ({ filter: `event.type == "${type}"`, filters: [] }));
  measureMany(count, 'CEL on type and source', (type) => ({
    filter: `event.source == "/shops/berlin" && event.type == "${type}"`,
    filters: [],
  }));
}
console.table(table);
