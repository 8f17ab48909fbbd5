import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SubscriptionConfig } from '../../src/config/subscription/types.ts';
import { Changes, eventRecord, httpAt, Rig, subscription, type TestFunction } from '../dispatcher/rig.ts';
import { startFrameworkFunction } from '../services/functions-framework.ts';
import { open } from './calls.ts';

let rig: Rig;
let nowhere: TestFunction;
beforeEach(async () => {
  rig = new Rig();
  await rig.open();
  nowhere = await rig.function();
});
afterEach(() => rig.close());

/** Calls as the function saw them. */
class Seen extends Changes {
  readonly all: Record<string, unknown>[] = [];

  async function(code: string): Promise<string> {
    const made = await startFrameworkFunction(code, (value) => {
      this.all.push(value as Record<string, unknown>);
      this.changed();
    });
    open.push(made);
    return made.url;
  }
}

type Mode = 'binary' | 'structured' | 'batch';
function calling(url: string, mode: Mode, changes: Partial<SubscriptionConfig> = {}): SubscriptionConfig {
  return subscription(nowhere, { function: { http: httpAt(url, { mode }) }, ...changes });
}

const CLOUD_EVENT = `ff.cloudEvent('fn', (event) => said(event));`;
const record = eventRecord('e-1', '{"text":"grün 😀","list":[1,2]}');
record.headers.ce_subject = 'größe';
record.headers.ce_tenant = 'acme';
const EVENT = {
  id: 'e-1',
  source: '/shop',
  type: 'shop.order',
  subject: 'größe',
  tenant: 'acme',
  specversion: '1.0',
  data: { text: 'grün 😀', list: [1, 2] },
};

describe("a function of Google's Functions Framework", () => {
  test('that takes CloudEvents gets each in structured mode, as it was', async () => {
    const seen = new Seen();
    const url = await seen.function(CLOUD_EVENT);
    await rig.log.append([record]);
    await rig.start([calling(url, 'structured')]);
    await rig.facts.until(() => rig.facts.events('delivered') === 1);
    await seen.until(() => seen.all.length === 1);
    expect(seen.all).toMatchObject([{ ...EVENT, datacontenttype: 'application/json' }]);
  });

  test('that takes CloudEvents gets each in binary mode', async () => {
    const seen = new Seen();
    const url = await seen.function(CLOUD_EVENT);
    await rig.log.append([record]);
    await rig.start([calling(url, 'binary')]);
    await rig.facts.until(() => rig.facts.events('delivered') === 1);
    await seen.until(() => seen.all.length === 1);
    // The framework takes attributes from headers as they are, without undoing their percent-encoding.
    expect(seen.all).toMatchObject([{ ...EVENT, subject: 'gr%C3%B6%C3%9Fe' }]);
  });

  test('that takes HTTP requests gets attributes as headers and the data as the body', async () => {
    const seen = new Seen();
    const url = await seen.function(`ff.http('fn', (request, response) => {
      said({ id: request.get('ce-id'), key: request.get('idempotency-key'), body: request.body });
      response.send('OK');
    });`);
    await rig.log.append([record]);
    await rig.start([calling(url, 'binary')]);
    await rig.facts.until(() => rig.facts.events('delivered') === 1);
    await seen.until(() => seen.all.length === 1);
    expect(seen.all).toEqual([{ id: 'e-1', key: '"mail:/shop:e-1"', body: EVENT.data }]);
  });

  test('that throws is a 500, and called again', async () => {
    for (const [name, code] of [
      [
        'events',
        `let calls = 0;
        ff.cloudEvent('fn', (event) => { said({ id: event.id }); if (++calls < 3) throw new Error('not yet'); });`,
      ],
      [
        'requests',
        `let calls = 0;
        ff.http('fn', (request, response) => {
          said({ id: request.get('ce-id') });
          if (++calls < 3) throw new Error('not yet');
          response.status(204).end();
        });`,
      ],
    ] as const) {
      const seen = new Seen();
      const url = await seen.function(code);
      if (name === 'events') await rig.log.append([record]);
      await rig.start([calling(url, 'binary', { name, group: name })]);
      await rig.facts.until(() => rig.facts.events('delivered', name) === 1);
      await seen.until(() => seen.all.length === 3);
      expect(seen.all.map(({ id }) => id)).toEqual(['e-1', 'e-1', 'e-1']);
    }
    const failed = rig.facts.all.filter(({ outcome }) => outcome === 'retry');
    expect(failed.map(({ status, reason }) => [status, reason])).toEqual(
      Array.from({ length: 4 }, () => [500, 'server_error']),
    );
  });

  test('that takes HTTP requests can take a batch, and say which events failed', async () => {
    const seen = new Seen();
    const url = await seen.function(`const failedOnce = new Set();
    ff.http('fn', (request, response) => {
      const ids = JSON.parse(request.rawBody).map(({ id }) => id);
      said({ ids, type: request.get('content-type') });
      const failed = ids.filter((id) => id.endsWith('3') && !failedOnce.has(id));
      for (const id of failed) failedOnce.add(id);
      response.json({ batchItemFailures: failed.map((itemIdentifier) => ({ itemIdentifier })) });
    });`);
    await rig.append(['e1', 'e2', 'e3', 'e4', 'e5']);
    await rig.start([calling(url, 'batch', { batch: { events: 5, wait: 1_000, size: 1_000_000 } })]);
    await rig.facts.until(() => rig.facts.events('delivered') === 5);
    expect(seen.all).toEqual([
      { ids: ['e1', 'e2', 'e3', 'e4', 'e5'], type: 'application/cloudevents-batch+json; charset=utf-8' },
      { ids: ['e3'], type: 'application/cloudevents-batch+json; charset=utf-8' },
    ]);
  });

  test('C58 that takes CloudEvents swallows a batch: so nothing is sent in batches that was not asked to be', async () => {
    const seen = new Seen();
    const url = await seen.function(`ff.cloudEvent('fn', (event) => said({ id: event.id ?? 'none' }));`);
    await rig.append(['e1', 'e2', 'e3']);
    const batch = { events: 3, wait: 1_000, size: 1_000_000 };
    await rig.start([calling(url, 'structured', { batch, concurrency: 1 })]);
    await rig.facts.until(() => rig.facts.events('delivered') === 3);
    await seen.until(() => seen.all.length === 3);
    expect(seen.all).toEqual([{ id: 'e1' }, { id: 'e2' }, { id: 'e3' }]);
    // This is what the warning of `postern check` is for: a success, and nobody has seen an event.
    await rig.start([calling(url, 'batch', { batch, name: 'swallowed', group: 'swallowed' })]);
    await rig.facts.until(() => rig.facts.events('delivered', 'swallowed') === 3);
    await seen.until(() => seen.all.length === 4);
    expect(seen.all[3]).toEqual({ id: 'none' });
  });
});
