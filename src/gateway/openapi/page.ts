import type { Config } from '../../config/config.ts';
import type { Digests, Inflater } from '../../ports/platform.ts';
import type { SchemaSet } from '../../schema/registry.ts';
import type { Reply } from '../reply.ts';
import type { Route } from '../routes.ts';
import { describeApi } from './openapi.ts';

/** The reply to `GET /openapi.json`, made anew when the schemas have changed. `known`: the If-None-Match header. */
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
        // It changes with the schemas; to ask whether it has costs little.
        'cache-control': 'no-cache',
        // Whoever may send a request may read it: pages that show or use it are on any site.
        'access-control-allow-origin': '*',
      };
      from = set;
    }
    const same = known?.split(',').some((tag) => tag.trim().replace(/^W\//, '') === headers.etag);
    if (same || known?.trim() === '*') return { status: 304, body: null, headers };
    return { status: 200, body, headers };
  };
}
