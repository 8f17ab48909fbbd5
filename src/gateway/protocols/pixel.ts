import type { SourceConfig } from '../../config/source/types.ts';
import { fromBase64 } from '../../core/encoding.ts';
import { RequestError } from '../../core/errors.ts';
import { type GuardedSource, sourceInPath } from '../admission/admit.ts';
import { checkOrigin } from '../admission/cors.ts';
import type { Head } from '../body/head.ts';
import { decodeJson } from '../formats/json.ts';
import type { DecodeContext, Decoding } from '../formats/source.ts';
import { type Reply, verdictReply } from '../reply.ts';
import type { Protocol } from './protocol.ts';

/** A transparent GIF89a of one by one. */
const GIF = 'R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7';

/** Parameters that may hold the client's key; they never become data. */
export const KEY_PARAMETERS = new Set(['key', 'access_token', 'writeKey']);

/**
 * `GET /pixels/{source}`: the query is one event, for `<img>` and mail. The reply to a refused event has no image:
 * browsers fire `load` for an image whatever its status, and a page would take that for stored.
 */
export function pixelProtocol(sources: Map<string, GuardedSource>): Protocol {
  const image = imageReply();
  return {
    sourceOf: (head) => sourceInPath(sources, head, 'events'),
    open(head, guarded) {
      const { source } = guarded!;
      checkUnsigned(source.config);
      checkPage(source.config, head);
      return ({ admission, context }) => ({ admission: admission!, events: eventsOf(head, context(source)) });
    },
    reply(outcome): Reply {
      const { rejected, retry } = outcome.counts;
      // A duplicate whose payload differs is one more view of the same image, and no event that has to be sent again.
      return rejected + retry === 0 ? image : verdictReply(outcome);
    },
  };
}

/** A signature covers the body, and a pixel's data is in its query. Throws RequestError `method_not_allowed`. */
export function checkUnsigned({ verify }: SourceConfig): void {
  if (verify === null) return;
  const detail = 'this source takes signed bodies only, and no signature covers a query';
  throw new RequestError('method_not_allowed', detail, { allow: 'POST, OPTIONS' });
}

export function imageReply(): Reply {
  return {
    status: 200,
    body: fromBase64(GIF),
    headers: {
      'content-type': 'image/gif',
      'cache-control': 'no-store',
      // Cross-origin isolated pages load only images that allow it (Fetch standard, CORP).
      'cross-origin-resource-policy': 'cross-origin',
    },
  };
}

/**
 * Browsers ask for images without an Origin header, so Referer names the page. A page may hide Referer, but not that it
 * is another site's: browsers themselves send Sec-Fetch-Site. Throws RequestError `forbidden`.
 */
export function checkPage({ origins }: SourceConfig, { header }: Head): void {
  if (origins === null || header('origin') !== undefined) return;
  const referer = header('referer');
  const site = header('sec-fetch-site');
  if (referer !== undefined) checkOrigin(origins, URL.parse(referer)?.origin ?? 'null');
  else if (site !== undefined && site !== 'none') checkOrigin(origins, 'null');
}

function eventsOf(head: Head, context: DecodeContext): Decoding {
  const parameters = parametersOf(head);
  const members = [...parameters].map(([name, values]) => {
    const value = values.length === 1 ? values[0] : values;
    return `${JSON.stringify(name)}:${JSON.stringify(value)}`;
  });
  const body = new TextEncoder().encode(`{${members.join(',')}}`);
  return decodeJson(body, withId(context, parameters));
}

function parametersOf({ queries }: Head): Map<string, string[]> {
  const parameters = new Map<string, string[]>();
  for (const [name, value] of queries()) {
    if (KEY_PARAMETERS.has(name)) continue;
    const values = parameters.get(name);
    if (values === undefined) parameters.set(name, [value]);
    else values.push(value);
  }
  return parameters;
}

/** A pixel is never sent again: one without an id gets a random one. */
function withId(context: DecodeContext, parameters: Map<string, string[]>): DecodeContext {
  const { source } = context;
  if (context.idempotencyKey !== null || source.id === 'content') return context;
  const has = (tokens: readonly string[]) => tokens.length === 1 && !!parameters.get(tokens[0]!)?.[0];
  if (source.id?.every(({ tokens }) => has(tokens))) return context;
  return { ...context, idempotencyKey: crypto.randomUUID() };
}
