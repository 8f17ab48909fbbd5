import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { compileSchemas } from '../../src/schema/compile.ts';
import { readSchemaFiles } from '../../src/schema/load.ts';
import { ErrorBudget } from '../../src/schema/registry.ts';

const { set, problems } = compileSchemas(await readSchemaFiles(join(import.meta.dirname, '../../schemas')));
const hash = 'a94a8fe5ccb19ba61c4c0873d391e987982fbbd3';

interface Example {
  valid: Record<string, unknown>;
  /** What is changed in the valid one, and where the error is then. */
  invalid: [Record<string, unknown>, string][];
}

const EXAMPLES: Record<string, Example> = {
  'page-view': {
    valid: {
      id: 'V1StGXR8_Z5jdHi6',
      url: 'https://shop.example/boots?utm_source=mail',
      title: 'Boots',
      referrer: '',
      at: '2026-03-01T10:00:00Z',
      visitor: '3f2a9c1e77',
      screen: { width: 1440, height: 900, scale: 1.5 },
      language: 'de-AT',
      campaign: { source: 'mail' },
    },
    invalid: [
      [{ id: 'short' }, '#/id'],
      [{ url: '/boots' }, '#/url'],
      [{ at: '2026-03-01' }, '#/at'],
      [{ screen: { width: 0, height: 1 } }, '#/screen/width'],
      [{ campaign: { utm_source: 'mail' } }, '#/campaign/utm_source'],
      [{ extra: 1 }, '#/extra'],
    ],
  },
  track: {
    valid: {
      id: '018f4a7e-1b2c-7d3e',
      event: 'Video Played',
      at: '2026-03-01T10:00:00.250+01:00',
      anonymousId: 'b7c2',
      properties: { title: 'Intro', seconds: 12.5, tags: ['a', 'b'], quality: { height: 1080, hdr: null } },
      app: { name: 'player', platform: 'ios' },
    },
    invalid: [
      [{ anonymousId: undefined }, '#/userId'],
      [{ event: '' }, '#/event'],
      [{ properties: { deep: { deeper: { deepest: 1 } } } }, '#/properties/deep/deeper'],
      [{ app: { name: 'player', platform: 'amiga' } }, '#/app/platform'],
    ],
  },
  purchase: {
    valid: {
      orderId: 'A-1001',
      at: '2026-03-01T10:00:00Z',
      currency: 'EUR',
      total: 64.93,
      shipping: 4.95,
      items: [
        { sku: 'boot-42', quantity: 2, price: 19.99 },
        { sku: 'wax', name: 'Wax', quantity: 1, price: 20 },
      ],
    },
    invalid: [
      [{ currency: 'eur' }, '#/currency'],
      [{ total: -1 }, '#/total'],
      [{ total: 1.00005 }, '#/total'],
      [{ items: [] }, '#/items'],
      [{ items: [{ sku: 'x', quantity: 1.5, price: 1 }] }, '#/items/0/quantity'],
    ],
  },
  'sensor-reading': {
    valid: {
      deviceId: 'greenhouse-7',
      seq: 42,
      ts: '2026-03-01T10:00:00Z',
      readings: { temperature: { value: 21.5, unit: 'Cel' }, humidity: 0.61, door: false },
      position: { lat: 48.2, lon: 16.37 },
    },
    invalid: [
      [{ deviceId: undefined }, '#/deviceId'],
      [{ seq: -1 }, '#/seq'],
      [{ ts: '2026-03-01T10:00:00+0100' }, '#/ts'],
      [{ readings: {} }, '#/readings'],
      [{ readings: { Temperature: 1 } }, '#/readings/Temperature'],
      [{ position: { lat: 91, lon: 0 } }, '#/position/lat'],
    ],
  },
  'device-status': {
    valid: {
      deviceId: 'greenhouse-7',
      seq: 43,
      ts: '2026-03-01T10:00:05Z',
      status: 'degraded',
      firmware: '2.4.1',
      uptime: 86400,
      battery: 17.5,
      faults: ['humidity sensor does not answer'],
    },
    invalid: [
      [{ faults: [] }, '#/faults'],
      [{ faults: undefined }, '#/faults'],
      [{ faults: ['x', 'x'] }, '#/faults'],
      [{ battery: 101 }, '#/battery'],
      [{ seq: '43' }, '#/seq'],
    ],
  },
  'github-push': {
    valid: {
      ref: 'refs/heads/main',
      before: hash,
      after: hash,
      created: false,
      deleted: false,
      forced: false,
      commits: [],
      head_commit: null,
      repository: { id: 1, name: 'gate', full_name: 'castle/gate', private: false },
      pusher: { name: 'warden', email: null },
      something_new: true,
    },
    invalid: [
      [{ ref: 'main' }, '#/ref'],
      [{ after: 'a94a8fe' }, '#/after'],
      [{ pusher: undefined }, '#/pusher'],
      [{ commits: [{ id: hash }] }, '#/commits/0/tree_id'],
      [
        { repository: { id: '1', name: 'gate', full_name: 'castle/gate', private: false } },
        '#/repository/id',
      ],
    ],
  },
};

function check(name: string, payload: unknown) {
  const text = JSON.stringify(payload);
  return set.find(name)!.check(JSON.parse(text), text.length, new ErrorBudget());
}

describe('the schemas that come with the program', () => {
  it('compile without a problem and have an example each', () => {
    expect(problems).toEqual([]);
    expect(set.names()).toEqual(Object.keys(EXAMPLES).sort());
  });

  it.each(Object.entries(EXAMPLES))('%s takes what is right and names what is wrong', (name, example) => {
    expect(set.find(`https://postern.example/schemas/${name}.json`)?.name).toBe(name);
    expect(check(name, example.valid)).toBeNull();
    for (const [change, pointer] of example.invalid) {
      const errors = check(name, { ...example.valid, ...change });
      expect(errors, JSON.stringify(change)).toContainEqual(expect.objectContaining({ pointer }));
    }
  });

  it('github-push takes all examples that GitHub users have gathered', () => {
    const require = createRequire(import.meta.url);
    const kinds = require('@octokit/webhooks-examples') as { name: string; examples: unknown[] }[];
    const pushes = kinds.filter((kind) => kind.name === 'push').flatMap((kind) => kind.examples);
    expect(pushes.length).toBeGreaterThan(0);
    for (const payload of pushes) expect(check('github-push', payload)).toBeNull();
  });
});
