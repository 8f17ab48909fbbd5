import type { Digests } from '../ports/platform.ts';
import type { GuardedSource } from './admission/admit.ts';
import { WriteKeys } from './admission/write-keys.ts';
import { CALLS, type Call } from './formats/segment.ts';
import { segmentBody } from './openapi/segment.ts';
import type { Protocol } from './protocols/protocol.ts';
import { segmentProtocol } from './protocols/segment.ts';
import { documentProtocol, rudderSourceConfig, segmentSettings } from './protocols/segment-documents.ts';
import { segmentPixelProtocol } from './protocols/segment-pixel.ts';
import type { Route } from './route.ts';

const STORED = 'Every event is stored, now or before, or kept as rejected.';
const SUCCESS = { status: 200, description: STORED, type: 'application/json', example: { success: true } };
const IMAGE = { status: 200, description: STORED, type: 'image/gif' };
const DOCUMENT = { status: 200, description: 'The document.', type: 'application/json' };

/** The paths of Segment's and RudderStack's SDKs; the write key tells the source. */
export function segmentRoutes(sources: Map<string, GuardedSource>, digests: Digests): Route[] {
  const keys = new WriteKeys(sources, digests);
  const post = (path: string, call: Call | null, summary: string, protocol: Protocol): Route => ({
    path,
    methods: ['POST'],
    takes: 'segment',
    summary,
    accepts: ['application/json', 'text/plain'],
    protocol,
    ok: [SUCCESS, 'verdicts'],
    body: segmentBody(call),
  });
  const get = (path: string, summary: string, protocol: Protocol, ok: typeof DOCUMENT): Route => ({
    path,
    methods: ['GET'],
    takes: 'segment',
    summary,
    accepts: [],
    protocol,
    ok: [ok],
  });
  const batch = segmentProtocol(keys, null);
  const settings = documentProtocol(keys, segmentSettings);
  const sourceConfig = documentProtocol(keys, rudderSourceConfig);
  const aboutConfig = "Gives RudderStack's SDKs their settings.";
  return [
    // Each has its first letter as a short form.
    ...CALLS.flatMap((call) =>
      [call, call.charAt(0)].map((name) =>
        post(`/v1/${name}`, call, `Takes a Segment ${call} call.`, segmentProtocol(keys, call)),
      ),
    ),
    ...['/v1/batch', '/v1/b', '/v1/import', '/beacon/v1/batch'].map((path) =>
      post(path, null, 'Takes a batch of Segment calls.', batch),
    ),
    ...(['track', 'page'] as const).map((call) =>
      get(
        `/pixel/v1/${call}`,
        `Takes a ${call} call in the query, and answers with an image.`,
        segmentPixelProtocol(keys, call),
        IMAGE,
      ),
    ),
    get('/v1/projects/:key/settings', 'Gives analytics.js its settings.', settings, DOCUMENT),
    get('/sourceConfig', aboutConfig, sourceConfig, DOCUMENT),
    get('/sourceConfig/', aboutConfig, sourceConfig, DOCUMENT),
  ];
}
