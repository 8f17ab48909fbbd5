import type { Config } from '../../config/config.ts';
import type { Digests, Inflater } from '../../ports/platform.ts';
import type { SchemaSet } from '../../schema/registry.ts';
import type { Reply } from '../reply.ts';
import type { Route } from '../route.ts';
import { describeApi } from './openapi.ts';

/** The reply to `GET /openapi.json`. It is made again when the schemas change. `known`: the If-None-Match header. */
export type OpenApiPage = (known: string | undefined) => Reply;

export function makeOpenApiPage(
  routes: Route[],
  config: Pick<Config, 'gateway' | 'sources'>,
  schemas: () => SchemaSet,
  platform: Digests & Inflater,
): OpenApiPage {
  let from: SchemaSet | null = null;
  let body = '';
  let headers: Record<string, string> = {};

  return (known) => {
    const set = schemas();
    if (set !== from) {
      body = JSON.stringify(describeApi(routes, config, set, platform.codings));
      headers = {
        'content-type': 'application/json',
        etag: `"${platform.digest(body)}"`,
        // It changes with the schemas, and a check of its ETag is cheap.
        'cache-control': 'no-cache',
        // The document is public. Pages of any site may show it.
        'access-control-allow-origin': '*',
      };
      from = set;
    }
    const same = known?.split(',').some((tag) => tag.trim().replace(/^W\//, '') === headers.etag);
    if (same || known?.trim() === '*') return { status: 304, body: null, headers };
    return { status: 200, body, headers };
  };
}
