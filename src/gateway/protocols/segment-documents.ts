import { presentedKey, unauthorized } from '../admission/admit.ts';
import type { WriteKeys } from '../admission/write-keys.ts';
import type { Head } from '../body/head.ts';
import type { Protocol } from './protocol.ts';

/** Makes a document that an SDK loads before it sends; `key` is the SDK's write key, `source` the name of the source. */
export type MakeDocument = (about: { key: string; source: string; head: Head }) => unknown;

/** `GET` of a document that SDKs load when they start. The client needs a write key. */
export function documentProtocol(keys: WriteKeys, make: MakeDocument): Protocol {
  return {
    sourceOf(head) {
      const guarded = keys.sourceOf(head);
      if (guarded === null) throw unauthorized();
      return guarded;
    },
    open(head, guarded) {
      const document = make({ key: presentedKey(head)!, source: guarded!.source.name, head });
      const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' };
      return () => ({ status: 200, body: JSON.stringify(document), headers });
    },
    reply() {
      throw new Error('a document holds no events');
    },
  };
}

/** The document that analytics.js 2 loads from its cdnURL: the address for events, and no other integrations. */
export function segmentSettings({ key, head }: Parameters<MakeDocument>[0]): unknown {
  const integration = { apiKey: key, apiHost: `${head.header('host')}/v1`, protocol: schemeOf(head) };
  return {
    integrations: { 'Segment.io': integration },
    plan: {},
    // Without this it sends metrics of its own to /v1/m.
    metrics: { sampleRate: 0 },
  };
}

/** The scheme that the client used: a page that was loaded by https cannot send by http. */
function schemeOf({ header }: Head): 'http' | 'https' {
  const [forwarded] = (header('x-forwarded-proto') ?? '').split(/\s*,/);
  if (forwarded === 'http' || forwarded === 'https') return forwarded;
  return header('origin')?.startsWith('https:') ? 'https' : 'http';
}

/** The document that RudderStack's SDKs load from their configUrl: an enabled source without destinations. */
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
