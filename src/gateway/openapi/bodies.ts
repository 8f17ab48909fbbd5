import type { Limits } from '../../config/gateway/types.ts';
import type { SourceConfig } from '../../config/source/types.ts';
import type { JsonObject, Route } from '../route.ts';
import type { Example } from './examples.ts';
import { segmentSchemas } from './segment.ts';

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });

/** Schemas of the body formats that are standards: CloudEvents and Segment. */
export function bodySchemas(sources: SourceConfig[]): JsonObject {
  const has = (protocol: SourceConfig['protocol']) => sources.some((source) => source.protocol === protocol);
  return { ...(has('events') ? cloudEventSchema() : {}), ...(has('segment') ? segmentSchemas() : {}) };
}

function cloudEventSchema(): JsonObject {
  const attribute = (description: string, more: JsonObject = {}) => ({
    type: 'string',
    description,
    ...more,
  });
  return {
    CloudEvent: {
      type: 'object',
      description: 'A CloudEvent 1.0 in the JSON format. Other members are extension attributes.',
      required: ['specversion', 'id', 'source', 'type'],
      properties: {
        specversion: { const: '1.0' },
        id: attribute('The id and the source together tell an event from all others.', { minLength: 1 }),
        source: attribute('The origin of the event: a URI reference.', { minLength: 1 }),
        type: attribute('The kind of event.', { minLength: 1 }),
        time: attribute('The time of the event.', { format: 'date-time' }),
        subject: attribute('The thing that the event is about.', { minLength: 1 }),
        datacontenttype: attribute('Media type of the data; application/json when absent.', { minLength: 1 }),
        dataschema: attribute('The schema of the data: an absolute URI.', { format: 'uri' }),
        data: { description: 'The payload. It must match the schema that the source has for the type.' },
        data_base64: attribute('A binary payload, instead of data.', { contentEncoding: 'base64' }),
      },
      propertyNames: { pattern: '^([a-z0-9]+|data_base64)$' },
    },
  };
}

/** The body of a route, or null when it takes none. */
export function bodyOf(
  route: Route,
  sources: SourceConfig[],
  keys: string[],
  examples: Example[],
  limits: Limits,
): JsonObject | null {
  if (route.accepts.length === 0) return null;
  const content = Object.fromEntries(
    route.accepts.map((type) => [type, contentOf(type, route, sources, keys, examples, limits)]),
  );
  return { required: true, content };
}

function contentOf(
  type: string,
  route: Route,
  sources: SourceConfig[],
  keys: string[],
  examples: Example[],
  limits: Limits,
): JsonObject {
  if (route.body !== undefined) return route.body(type);
  const named = (value: (example: Example) => unknown) =>
    Object.fromEntries(
      examples.map((example) => [
        example.source,
        { summary: `An event for ${example.source}`, value: value(example) },
      ]),
    );
  const lines = (example: Example) => `${JSON.stringify(example.value)}\n`;
  switch (type) {
    case 'application/json': {
      const any = { type: 'object', description: 'An event of a source without a schema.' };
      const isOpen = sources.some(({ schema }) => schema === null || typeof schema === 'string');
      const event = { anyOf: [...keys.map(ref), ...(isOpen || keys.length === 0 ? [any] : [])] };
      const batch = { type: 'array', items: event, maxItems: limits.batch };
      return {
        schema: route.takes === 'webhook' ? event : { anyOf: [...event.anyOf, batch] },
        examples: named(({ value }) => value),
      };
    }
    case 'text/plain':
      if (route.takes === 'webhook') return {};
      return {
        schema: { type: 'string', description: 'The same JSON, for browsers: it needs no preflight.' },
        examples: named(({ value }) => JSON.stringify(value)),
      };
    case 'application/x-ndjson':
      return {
        schema: { type: 'string', description: 'One JSON object a line. Each has its own verdict.' },
        examples: named(lines),
      };
    case 'application/cloudevents+json':
      return { schema: ref('CloudEvent'), examples: named(cloudEvent) };
    case 'application/cloudevents-batch+json':
      return {
        schema: { type: 'array', items: ref('CloudEvent'), maxItems: limits.batch },
        examples: named((example) => [cloudEvent(example)]),
      };
    case 'application/senml+json':
      return {
        schema: { type: 'array', items: { type: 'object' }, description: 'A pack of readings (RFC 8428).' },
        example: [
          { bn: 'urn:dev:ow:10e2073a01080063:', bt: 1769860800, n: 'temperature', u: 'Cel', v: 23.1 },
          { n: 'humidity', u: '%RH', v: 41 },
        ],
      };
    default:
      return {};
  }
}

function cloudEvent({ source, type, value }: Example): JsonObject {
  return {
    specversion: '1.0',
    id: 'b25e2717',
    source: `https://example.com/${source}`,
    type,
    time: '2026-01-31T12:00:00Z',
    datacontenttype: 'application/json',
    data: value,
  };
}

const header = (name: string, description: string, more: JsonObject = {}) => ({
  name,
  in: 'header',
  description,
  schema: { type: 'string' },
  ...more,
});

/** Request headers that describe events. */
export function headersOf(route: Route): JsonObject[] {
  const own = [
    header(
      'Idempotency-Key',
      'The id of the event; for a batch, the prefix of its ids. It overrides the id in the body. An id is stored once within the dedupe window.',
      { schema: { type: 'string', minLength: 1 }, example: '"order-4711"' },
    ),
    header('traceparent', 'W3C trace context. The functions that get the event get it too.', {
      example: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    }),
  ];
  if (route.takes !== 'events') return own;
  return [
    ...own,
    header('Prefer', 'Asks for a reply without a body when every event is stored.', {
      schema: { enum: ['return=minimal', 'return=representation'] },
    }),
    ...['specversion', 'id', 'source', 'type', 'time', 'subject'].map((name) =>
      header(`ce-${name}`, `CloudEvents attribute ${name} in binary mode, where the body is the data alone.`),
    ),
  ];
}
