import type { Config } from '../../config/config.ts';
import type { SourceConfig } from '../../config/source/types.ts';
import type { Coding } from '../../ports/platform.ts';
import type { PlainSchemas, SchemaSet } from '../../schema/registry.ts';
import type { JsonObject, Route } from '../route.ts';
import { bodyOf, bodySchemas, headersOf } from './bodies.ts';
import { examplesOf, schemaNames } from './examples.ts';
import { answersOf, needsCredentials } from './replies.ts';
import { HEADERS, replySchemas } from './reply-schemas.ts';
import { Security } from './security.ts';

/** Most characters of senders' schemas in the document. Anybody may fetch it, and schema files may be large. */
const MAX_SCHEMAS = 1_000_000;

const introduction = (codings: readonly Coding[]) => `Send events. Each is checked, and stored once.

- **A 2xx reply means stored.** After any other reply send the request again: events that are stored already count as duplicates.
- **Each event has its own verdict**: accepted, duplicate, rejected or retry. Replies list the events that were not accepted.
- **The id tells events apart.** Each source says where it finds the id.
- **Bodies may be compressed** (Content-Encoding: ${codings.join(', ')}).
- **Errors are problems** (RFC 9457). Their type is for programs.`;

/**
 * The OpenAPI 3.1 description of the routes, for senders: sources, their ids and schemas, and the content-codings.
 * It holds no topics, keys, rates or origins.
 */
export function describeApi(
  routes: Route[],
  config: Pick<Config, 'gateway' | 'sources'>,
  set: SchemaSet,
  codings: readonly Coding[],
): JsonObject {
  const all = [...config.sources.values()];
  const security = new Security();
  const plain = plainOf(all, set);
  const paths: JsonObject = {};
  for (const route of routes) {
    const sources = all.filter(({ protocol }) => protocol === route.takes);
    // A path without sources is not served.
    if (sources.length > 0) paths[pathOf(route)] = itemOf(route, sources, plain, set, config, security);
  }
  const reserved = { ...replySchemas(), ...bodySchemas(all) };
  return {
    openapi: '3.1.0',
    info: { title: 'Events', version: '1.0.0', description: introduction(codings) },
    paths,
    components: {
      schemas: { ...Object.fromEntries(plain.schemas), ...reserved },
      headers: HEADERS,
      securitySchemes: security.schemes(),
    },
  };
}

function plainOf(sources: SourceConfig[], set: SchemaSet): PlainSchemas {
  const plain = set.plain(schemaNames(sources, set));
  const isLarge = JSON.stringify([...plain.schemas]).length > MAX_SCHEMAS;
  return isLarge ? { keys: new Map(), schemas: new Map() } : plain;
}

/** `/events/:source` -> `/events/{source}`; `:kind{a|b}` -> `{kind}`. */
function pathOf({ path }: Route): string {
  return path.replace(/:(\w+)(?:\{[^}]*\})?/g, '{$1}');
}

function itemOf(
  route: Route,
  sources: SourceConfig[],
  plain: PlainSchemas,
  set: SchemaSet,
  config: Pick<Config, 'gateway' | 'sources'>,
  security: Security,
): JsonObject {
  const { limits } = config.gateway;
  const keys = schemaNames(sources, set)
    .map((name) => plain.keys.get(name))
    .filter((key) => key !== undefined);
  const examples = examplesOf(sources, set, plain);
  const item: JsonObject = {};
  for (const method of route.methods) {
    const own = sources.filter((method === 'GET' && route.only?.GET) || (() => true));
    if (own.length === 0) continue;
    const body = method === 'POST' ? bodyOf(route, sources, keys, examples, limits) : null;
    item[method.toLowerCase()] = {
      operationId: operationId(method, route),
      summary: route.summary,
      ...(body === null ? {} : { description: limitsOf(config), requestBody: body }),
      parameters: [
        ...pathParameters(route, own),
        ...(body === null ? [] : headersOf(route)),
        ...(route.parameters ?? []),
      ],
      responses: answersOf(route, own),
      security: security.requirements(own),
    };
  }
  return item;
}

/** `/events/:source` -> `postEventsSource`. */
function operationId(method: string, { path }: Route): string {
  const words = path.replace(/\{[^}]*\}/g, '').split(/[/:]+/);
  // A trailing slash makes another path.
  const name = words.map((word, i) =>
    word === '' && i > 0 ? '_' : word.charAt(0).toUpperCase() + word.slice(1),
  );
  return method.toLowerCase() + name.join('');
}

function limitsOf({ gateway: { limits } }: Pick<Config, 'gateway'>): string {
  return `At most ${limits.body} bytes and ${limits.batch} events in one request, and ${limits.event} bytes in one event.`;
}

function pathParameters({ path }: Route, sources: SourceConfig[]): JsonObject[] {
  return [...path.matchAll(/:(\w+)(?:\{([^}]*)\})?/g)].map(([, name, values]) => {
    const parameter = { name, in: 'path', required: true };
    if (name !== 'source') {
      return { ...parameter, schema: { type: 'string', ...(values ? { enum: values.split('|') } : {}) } };
    }
    return {
      ...parameter,
      description: `The source of the events.\n\n${sources.map(lineOf).join('\n')}`,
      schema: { type: 'string', enum: sources.map((source) => source.name) },
    };
  });
}

/** One line on a source, for its senders. */
function lineOf(source: SourceConfig): string {
  const { name, schema, id, batch, verify } = source;
  const facts: string[] = [];
  if (typeof schema === 'object' && schema !== null) {
    facts.push(
      `schemas by type: ${Object.entries(schema)
        .map(([type, one]) => `${type} ${one}`)
        .join(', ')}`,
    );
  } else if (schema?.startsWith('/')) facts.push(`each event names its schema at ${schema}`);
  else facts.push(schema === null ? 'takes any JSON object' : `schema ${schema}`);
  if (id === 'content') facts.push('two equal payloads are one event');
  else if (id !== null) facts.push(`id at ${id.join(' and ')}`);
  else if (source.protocol === 'events') facts.push('id from Idempotency-Key, or send CloudEvents');
  if (batch === 'all-or-nothing') facts.push('one bad event refuses its whole batch');
  if (verify !== null) facts.push('must be signed');
  facts.push(needsCredentials(source) ? 'needs credentials' : 'open to all');
  return `- \`${name}\`: ${facts.join('; ')}.`;
}
