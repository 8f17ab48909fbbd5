import type { SourceConfig } from '../../config/source/types.ts';
import { RequestError } from '../../core/errors.ts';
import { type GuardedSource, sourceInPath } from '../admission/admit.ts';
import { checkOrigin } from '../admission/cors.ts';
import type { Head } from '../body/head.ts';
import { decodeJson } from '../formats/json.ts';
import type { DecodeContext, Source } from '../formats/source.ts';
import { type Reply, verdictReply } from '../reply.ts';
import type { Input, Protocol, Reading } from './protocol.ts';

/** A transparent GIF89a of one by one. */
const GIF = 'R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7';

/** Parameters that let a client in; they never become data. */
export const KEY_PARAMETERS = new Set(['key', 'access_token', 'writeKey']);

/**
 * `GET /pixels/{source}`: the query is one event, for `<img>` and mail. What is refused is answered without an
 * image: browsers fire `load` for an image whatever its status, and a page must not take that for stored.
 */
export function pixelProtocol(sources: Map<string, GuardedSource>): Protocol {
  const image = imageReply();
  return {
    sourceOf: (head) => sourceInPath(sources, head, 'events'),
    inspect(head) {
      const { config } = sourceInPath(sources, head, 'events').source;
      checkUnsigned(config);
      checkPage(config, head);
    },
    read,
    reply({ counts, events }): Reply {
      // An id that comes again with something else beside it is one view of the same image: nobody sends it anew.
      return counts.rejected + counts.retry === 0 ? image : verdictReply(counts, events);
    },
  };
}

/** A signature is over the body, and all that a pixel says is in its address. Throws RequestError. */
export function checkUnsigned({ verify }: SourceConfig): void {
  if (verify === null) return;
  const detail = 'this source takes signed bodies only, and no signature covers a query';
  throw new RequestError('method_not_allowed', detail, { allow: 'POST, OPTIONS' });
}

export function imageReply(): Reply {
  return {
    status: 200,
    body: Uint8Array.from(atob(GIF), (character) => character.charCodeAt(0)),
    headers: {
      'content-type': 'image/gif',
      'cache-control': 'no-store',
      // Pages that isolate themselves load nothing from elsewhere that does not say so (Fetch standard, CORP).
      'cross-origin-resource-policy': 'cross-origin',
    },
  };
}

/**
 * Images are asked for without an Origin header, so the page is told by its Referer. A page may hide that, but
 * not that it is another site's (Sec-Fetch-Site, from browsers alone). Throws RequestError `forbidden`.
 */
export function checkPage({ origins }: SourceConfig, { header }: Head): void {
  if (origins === null || header('origin') !== undefined) return;
  const referer = header('referer');
  const site = header('sec-fetch-site');
  if (referer !== undefined) checkOrigin(origins, URL.parse(referer)?.origin ?? 'null');
  else if (site !== undefined && site !== 'none') checkOrigin(origins, 'null');
}

function read({ head, admission, context }: Input): Reading {
  const { source } = admission!.guarded;
  const parameters = parametersOf(head);
  const members = [...parameters].map(([name, values]) => {
    const value = values.length === 1 ? values[0] : values;
    return `${JSON.stringify(name)}:${JSON.stringify(value)}`;
  });
  const body = new TextEncoder().encode(`{${members.join(',')}}`);
  return { admission: admission!, events: decodeJson(body, withId(context(source), source, parameters)) };
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

/** A pixel is never sent again, so one without an id gets one that is like no other. */
function withId(context: DecodeContext, source: Source, parameters: Map<string, string[]>): DecodeContext {
  if (context.idempotencyKey !== null || source.id === 'content') return context;
  const has = (tokens: string[]) => tokens.length === 1 && !!parameters.get(tokens[0]!)?.[0];
  if (source.id?.every(({ tokens }) => has(tokens))) return context;
  return { ...context, idempotencyKey: crypto.randomUUID() };
}
