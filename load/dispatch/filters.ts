import { cpuUsage } from 'node:process';
import type { AttributeFilter } from '../../src/config/subscription/types.ts';
import { makeFilterIndex } from '../../src/filter/candidates.ts';
import { makeFilter } from '../../src/filter/filter.ts';
import type { StoredRecord } from '../../src/ports/event-log.ts';
import { defineRun } from '../run.ts';

/** Different records, as many as keep a cache from making the figures better than they are. */
const RECORDS = 10_000;

interface Wanted {
  /** A CEL expression. */
  filter?: string;
  /** CloudEvents filters. */
  filters?: AttributeFilter[];
}

const CASES: Record<string, Wanted> = {
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

/** Filters of many subscriptions, each for a type of its own. */
const KINDS: Record<string, (type: string) => Wanted> = {
  'exact on type': (type) => ({ filters: [{ exact: { type } }] }),
  'CEL on type': (type) => ({ filter: `event.type == "${type}"` }),
  'CEL on type and source': (type) => ({
    filter: `event.source == "/shops/berlin" && event.type == "${type}"`,
  }),
};

export const filters = defineRun({
  about: 'what a filter costs per event',
  options: { events: { type: 'string', default: '1000000' } },
  async measure(options) {
    const events = Number(options.events);
    const rows: Record<string, object> = {};
    const records = Array.from({ length: RECORDS }, (_, i) => record(i));
    for (const [name, one] of Object.entries(CASES)) {
      const made = compiled(one);
      rows[name] = cost(events, (i) => (made.match(records[i % RECORDS]!) ? 1 : 0));
    }
    for (const count of [1, 100, 1000])
      for (const [kind, wanted] of Object.entries(KINDS))
        Object.assign(
          rows,
          many(
            `${count} × ${kind}`,
            Array.from({ length: count }, (_, i) => wanted(`shop.order.${i}`)),
            events,
          ),
        );
    console.table(rows);
    return true;
  },
});

const whole = ({ filter, filters: some }: Wanted) => ({ filter: filter ?? null, filters: some ?? [] });
const compiled = (wanted: Wanted) => makeFilter(whole(wanted))!;

/** What an event costs that one of these filters matches, with an index of them and without. */
function many(name: string, wanted: Wanted[], events: number): Record<string, object> {
  const types = Math.min(wanted.length, 100);
  const records = Array.from({ length: RECORDS }, (_, i) => record(i, `shop.order.${i % types}`));
  const made = wanted.map(compiled);
  const index = makeFilterIndex(wanted.map(whole));
  return {
    [`${name}, indexed`]: cost(events, (i) => {
      const event = records[i % RECORDS]!;
      let matched = 0;
      for (const place of index.candidates(event)) if (made[place]!.match(event)) matched++;
      return matched;
    }),
    [`${name}, plain`]: cost(events / wanted.length, (i) => {
      const event = records[i % RECORDS]!;
      let matched = 0;
      for (const one of made) if (one.match(event)) matched++;
      return matched;
    }),
  };
}

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

/** `matches` says how many filters match event `i`. */
function cost(events: number, matches: (i: number) => number): object {
  let matched = 0;
  const run = (count: number) => {
    for (let i = 0; i < count; i++) matched += matches(i);
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
