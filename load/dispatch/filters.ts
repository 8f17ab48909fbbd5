// `node load/filters.ts`: what a filter costs per event.
import { cpuUsage } from 'node:process';
import { parseArgs } from 'node:util';
import type { AttributeFilter } from '../src/config/subscription/types.ts';
import { makeFilter } from '../src/filter/filter.ts';
import type { StoredRecord } from '../src/ports/event-log.ts';

const { values: options } = parseArgs({ options: { events: { type: 'string', default: '1000000' } } });
const EVENTS = Number(options.events);
/** Different records, so that nothing is found in a cache that would not be there. */
const RECORDS = 10_000;

function record(i: number): StoredRecord {
  const text = {
    ce_specversion: '1.0',
    ce_id: `order-${i}`,
    ce_source: '/shops/berlin',
    ce_type: `shop.order.${i % 10 === 0 ? 'paid' : 'placed'}`,
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
  let matched = 0;
  const run = (events: number) => {
    for (let i = 0; i < events; i++) if (made.match(records[i % RECORDS]!)) matched++;
  };
  run(EVENTS / 10);
  matched = 0;
  const [before, started] = [cpuUsage(), performance.now()];
  run(EVENTS);
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = cpuUsage(before);
  table[name] = {
    'events/s': Math.round(EVENTS / seconds),
    'CPU µs per event': Number(((user + system) / EVENTS).toFixed(3)),
    'matched %': Math.round((100 * matched) / EVENTS),
  };
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
console.table(table);
