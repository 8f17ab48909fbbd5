/** Bodies for the load scenarios: unique ids, varied content, about 520 B (clickstream) and 250 B (IoT) an event. */

const PAGES = ['/', '/shoes', '/shoes/trail-runner-9', '/cart', '/checkout', '/help/returns?from=mail'];
const AGENTS = [
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148',
];

export type Kind = 'click' | 'iot';

/** The JSON text of the event numbered `n` of a run. */
export function eventText(kind: Kind, run: string, n: number): string {
  return kind === 'click' ? clickText(run, n) : iotText(run, n);
}

function clickText(run: string, n: number): string {
  const page = PAGES[n % PAGES.length]!;
  return JSON.stringify({
    id: `${run}-${n}`,
    type: 'page.view',
    anonymousId: `anon-${(n * 7919) % 5000}`,
    timestamp: new Date(1_790_000_000_000 + n).toISOString(),
    page: {
      url: `https://shop.example${page}`,
      path: page,
      title: `Trail shoes, page ${n % 97}`,
      referrer: n % 3 === 0 ? 'https://search.example/?q=trail+running+shoes' : 'https://shop.example/',
    },
    context: {
      userAgent: AGENTS[n % 2],
      locale: n % 5 === 0 ? 'de-DE' : 'en-GB',
      screen: { width: 1280 + (n % 640), height: 720 + (n % 360), density: 2 },
      campaign: `autumn-${n % 12}`,
    },
    properties: { position: n % 40, loggedIn: n % 2 === 0, tags: ['outdoor', 'sale', `t${n % 31}`] },
  });
}

function iotText(run: string, n: number): string {
  return JSON.stringify({
    id: `${run}-${n}`,
    deviceId: `dev-${(n * 7919) % 2000}`,
    seq: n,
    ts: new Date(1_790_000_000_000 + n).toISOString(),
    readings: [
      { name: 'temperature', value: 18 + (n % 130) / 10, unit: 'Cel' },
      { name: 'humidity', value: 40 + (n % 400) / 10, unit: '%RH' },
    ],
    battery: 100 - (n % 60),
    firmware: '2.14.1',
    site: `plant-${n % 40}`,
  });
}

/** JSON Schemas of the two kinds. */
export const schemas = {
  click: {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    required: ['id', 'type', 'anonymousId', 'timestamp', 'page'],
    properties: {
      id: { type: 'string', minLength: 1, maxLength: 64 },
      type: { const: 'page.view' },
      anonymousId: { type: 'string', maxLength: 64 },
      timestamp: { type: 'string', format: 'date-time' },
      page: {
        type: 'object',
        required: ['url'],
        properties: {
          url: { type: 'string', maxLength: 2048 },
          path: { type: 'string' },
          title: { type: 'string', maxLength: 512 },
          referrer: { type: 'string' },
        },
      },
      context: {
        type: 'object',
        properties: {
          userAgent: { type: 'string' },
          locale: { type: 'string', pattern: '^[a-z]{2}(?:-[A-Z]{2})?$' },
          screen: {
            type: 'object',
            properties: { width: { type: 'integer', minimum: 1 }, height: { type: 'integer', minimum: 1 } },
          },
        },
      },
      properties: { type: 'object' },
    },
  },
  iot: {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    required: ['id', 'deviceId', 'seq', 'ts', 'readings'],
    properties: {
      id: { type: 'string', minLength: 1 },
      deviceId: { type: 'string', pattern: '^dev-[0-9]+$' },
      seq: { type: 'integer', minimum: 0 },
      ts: { type: 'string', format: 'date-time' },
      readings: {
        type: 'array',
        minItems: 1,
        maxItems: 64,
        items: {
          type: 'object',
          required: ['name', 'value'],
          properties: { name: { type: 'string' }, value: { type: 'number' }, unit: { type: 'string' } },
        },
      },
      battery: { type: 'number', minimum: 0, maximum: 100 },
      firmware: { type: 'string' },
    },
  },
};
