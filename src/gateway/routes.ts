import type { SourceConfig } from '../config/source/types.ts';
import type { Digests } from '../ports/platform.ts';
import type { Door } from './admission/admit.ts';
import { EVENT_TYPES } from './decode.ts';
import { eventsProtocol } from './protocols/events.ts';
import { pixelProtocol } from './protocols/pixel.ts';
import type { Protocol } from './protocols/protocol.ts';
import { webhookProtocol } from './protocols/webhook.ts';
import { segmentRoutes } from './segment-routes.ts';

/** A path of the gateway. The description that `/openapi.json` gives is made from these. */
export interface Route {
  /** With `:source` where a source is named. */
  path: string;
  methods: ('GET' | 'POST')[];
  /** The protocol of the sources that it is for. */
  takes: SourceConfig['protocol'];
  /** One plain sentence. */
  summary: string;
  /** Media types that a body may have. */
  accepts: string[];
  protocol: Protocol;
  /** Replies when nothing went wrong; absent: a verdict per event. */
  ok?: ('verdicts' | { status: number; description: string; type?: string; example?: unknown })[];
  /** Sources that a method is for, if not for all. */
  only?: { GET?: (source: SourceConfig) => boolean };
  /** Further parameters, as OpenAPI writes them. */
  parameters?: Record<string, unknown>[];
  /** What the body is, as an OpenAPI media type object. */
  body?: (type: string) => Record<string, unknown>;
}

/** The paths that take events of the sources there are. */
export function makeRoutes(doors: Map<string, Door>, digests: Digests): Route[] {
  const used = new Set([...doors.values()].map(({ source }) => source.config.protocol));
  return allRoutes(doors, digests).filter(({ takes }) => used.has(takes));
}

function allRoutes(doors: Map<string, Door>, digests: Digests): Route[] {
  return [
    {
      path: '/events/:source',
      methods: ['POST'],
      takes: 'events',
      summary: 'Takes events: JSON, NDJSON, CloudEvents, SenML or CBOR.',
      accepts: [...EVENT_TYPES],
      protocol: eventsProtocol(doors),
    },
    {
      takes: 'events',
      path: '/pixels/:source',
      methods: ['GET'],
      summary: 'Takes one event in the query, and answers with an image.',
      accepts: [],
      protocol: pixelProtocol(doors),
      ok: [{ status: 200, description: 'The event is stored, now or before.', type: 'image/gif' }],
      only: { GET: ({ verify }) => verify === null },
      parameters: [
        {
          name: 'event',
          in: 'query',
          description: 'The members of the event; each is text, or a list when it is there several times.',
          style: 'form',
          explode: true,
          schema: { type: 'object', additionalProperties: { type: 'string' } },
          example: { id: 'b25e2717', page: '/pricing' },
        },
      ],
    },
    ...segmentRoutes(doors, digests),
    {
      path: '/webhooks/:source',
      methods: ['POST', 'GET'],
      takes: 'webhook',
      summary:
        'Takes webhooks of other services: any body is one event. GET answers the proof that X asks for.',
      accepts: ['application/json', 'application/x-www-form-urlencoded', 'text/plain', '*/*'],
      protocol: webhookProtocol(doors),
      ok: ['verdicts', { status: 200, description: 'What some services want to see in the place of 202.' }],
      only: { GET: ({ verify }) => verify?.scheme === 'twitter' },
    },
  ];
}
