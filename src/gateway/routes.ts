import type { Digests } from '../ports/platform.ts';
import type { GuardedSource } from './admission/admit.ts';
import { EVENT_TYPES } from './decode.ts';
import { eventsProtocol } from './protocols/events.ts';
import { pixelProtocol } from './protocols/pixel.ts';
import { webhookProtocol } from './protocols/webhook.ts';
import type { Route } from './route.ts';
import { segmentRoutes } from './segment-routes.ts';

/** The paths that take events of the sources there are. */
export function makeRoutes(sources: Map<string, GuardedSource>, digests: Digests): Route[] {
  const used = new Set([...sources.values()].map(({ source }) => source.config.protocol));
  return allRoutes(sources, digests).filter(({ takes }) => used.has(takes));
}

function allRoutes(sources: Map<string, GuardedSource>, digests: Digests): Route[] {
  return [
    {
      path: '/events/:source',
      methods: ['POST'],
      takes: 'events',
      summary: 'Takes events: JSON, NDJSON, CloudEvents, SenML or CBOR.',
      accepts: [...EVENT_TYPES],
      protocol: eventsProtocol(sources),
    },
    {
      takes: 'events',
      path: '/pixels/:source',
      methods: ['GET'],
      summary: 'Takes one event in the query, and answers with an image.',
      accepts: [],
      protocol: pixelProtocol(sources),
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
    ...segmentRoutes(sources, digests),
    {
      path: '/webhooks/:source',
      methods: ['POST', 'GET'],
      takes: 'webhook',
      summary:
        'Takes webhooks of other services: any body is one event. GET answers the proof that X asks for.',
      accepts: ['application/json', 'application/x-www-form-urlencoded', 'text/plain', '*/*'],
      protocol: webhookProtocol(sources),
      ok: ['verdicts', { status: 200, description: 'What some services want to see in the place of 202.' }],
      only: { GET: ({ verify }) => verify?.scheme === 'twitter' },
    },
  ];
}
