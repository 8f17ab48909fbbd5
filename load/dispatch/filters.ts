import { cpuUsage } from 'node:process';
import type { AttributeFilter } from '../../src/config/subscription/types.ts';
import { makeFilter } from '../../src/filter/filter.ts';
import type { StoredRecord } from '../../src/ports/event-log.ts';
import { defineRun } from '../run.ts';

/** Different records, as many as keep a cache from making the figures better than they are. */
const RECORDS = 10_000;

/** `filter` is a CEL expression, `filters` are CloudEvents filters. */
const CASES: Record<string, { filter?: string; filters?: AttributeFilter[] }> = {
  'exact on type': { filters: [{ exact: { type: 'shop.order.paid' } }] },
  'prefix on type, not exact on source': {
    filters: [{ prefix: { type: 'shop.' } }, { not: { exact: { source: '/shops/paris' } } }],
  },
  'CEL on type': { filter: 'event.type == "shop.order.paid"' },
  'CEL on type and source': {
    filter: 'event.type == "shop.order.paid" && event.source.startsWith("/shops/")',
  },
  'CEL on all attributes': {
    filter: 'event.exists(name, name == "type") && event.type == "shop.order.paid"',
  },
  'CEL on data': { filter: 'event.data.total > 100' },
  'CEL on type, then data': { filter: 'event.type == "shop.order.paid" && event.data.total > 100' },
  'exact on type, then CEL on data': {
    filter: 'event.data.total > 100',
    filters: [{ exact: { type: 'shop.order.paid' } }],
  },
};

export const filters = defineRun({
  about: 'what a filter costs per event',
  options: { events: { type: 'string', default: '1000000' } },
  async measure({ events }) {
    const records = Array.from({ length: RECORDS }, (_, i) => record(i));
    const rows = Object.entries(CASES).map(([name, one]) => [name, cost(one, records, Number(events))]);
    console.table(Object.fromEntries(rows));
    return true;
  },
});

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

function cost(
  { filter = null, filters = [] }: { filter?: string | null; filters?: AttributeFilter[] },
  records: StoredRecord[],
  events: number,
) {
  const made = makeFilter({ filter, filters })!;
  let matched = 0;
  const run = (count: number) => {
    for (let i = 0; i < count; i++) if (made.match(records[i % RECORDS]!)) matched++;
  };
  run(events / 10);
  matched = 0;
  const [before, started] = [cpuUsage(), performance.now()];
  run(events);
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = cpuUsage(before);
  return {
    'events/s': Math.round(events / seconds),
    'CPU µs per event': Number(((user + system) / events).toFixed(3)),
    'matched %': Math.round((100 * matched) / events),
  };
}
