import { presentedKey, unauthorized } from '../admission/admit.ts';
import type { WriteKeys } from '../admission/write-keys.ts';
import type { Head } from '../body/head.ts';
import type { Protocol } from './protocol.ts';

/** What an SDK wants to know before it sends; `key` is its own, `source` the name of the source. */
export type MakeDocument = (about: { key: string; source: string; head: Head }) => unknown;

/** A `GET` for the holder of a write key, of a document that SDKs load when they start. */
export function documentProtocol(keys: WriteKeys, make: MakeDocument): Protocol {
  return {
    sourceOf(head) {
      const guarded = keys.sourceOf(head);
      if (guarded === null) throw unauthorized();
      return guarded;
    },
    inspect() {},
    read({ head, admission }) {
      const about = { key: presentedKey(head)!, source: admission!.guarded.source.name, head };
      const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' };
      return { answer: { status: 200, body: JSON.stringify(make(about)), headers } };
    },
    reply() {
      throw new Error('a document holds no events');
    },
  };
}

/** What analytics.js 2 loads from its cdnURL: where events go, and that nothing else is wanted of it. */
export function segmentSettings({ key, head }: Parameters<MakeDocument>[0]): unknown {
  const integration = { apiKey: key, apiHost: `${head.header('host')}/v1`, protocol: schemeOf(head) };
  return {
    integrations: { 'Segment.io': integration },
    plan: {},
    // Else it reports about itself to /v1/m.
    metrics: { sampleRate: 0 },
  };
}

/** How the client reached us: a page that came by https can't send by http. */
function schemeOf({ header }: Head): 'http' | 'https' {
  const [forwarded] = (header('x-forwarded-proto') ?? '').split(/\s*,/);
  if (forwarded === 'http' || forwarded === 'https') return forwarded;
  return header('origin')?.startsWith('https:') ? 'https' : 'http';
}

/** What RudderStack's SDKs load from their configUrl: a source that is on, and no destinations. */
export function rudderSourceConfig({ key, source }: Parameters<MakeDocument>[0]): unknown {
  const off = { enabled: false };
  return {
    source: {
      id: source,
      name: source,
      writeKey: key,
      enabled: true,
      workspaceId: 'postern',
      config: { statsCollection: { errors: off, metrics: off } },
      connections: [],
      destinations: [],
    },
  };
}
