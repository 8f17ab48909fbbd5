import autocannon from 'autocannon';
import { eventText, type Kind } from './events.ts';

export interface Scenario {
  name: string;
  kind: Kind;
  /** Events in one request. */
  batch: number;
  connections: number;
  requests: number;
  /** Requests a second over all connections, sent at planned times. Absent: as fast as they are answered. */
  rate?: number;
  /** Key of the source, where it is not the source of the kind. */
  key?: string;
}

export interface Outcome {
  events: number;
  seconds: number;
  /** Milliseconds. */
  p50: number;
  p99: number;
  max: number;
}

/**
 * Sends a scenario's requests, each with fresh ids. Throws unless every one is answered 2xx, and with the body
 * `expected` where it is given, because a figure over failures says nothing.
 */
export async function runScenario(
  url: string,
  scenario: Scenario,
  run: string,
  expected?: string,
): Promise<Outcome> {
  const { kind, batch, connections, requests } = scenario;
  const bodies = makeBodies(kind, batch, requests, run);
  let next = 0;
  const started = performance.now();
  const result = await autocannon({
    url,
    connections,
    amount: requests,
    timeout: 10,
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${scenario.key ?? `load-${kind}`}`,
    },
    ...(scenario.rate === undefined ? {} : { overallRate: scenario.rate }),
    ...(expected === undefined ? {} : { verifyBody: (body: unknown) => String(body) === expected }),
    requests: [{ setupRequest: (request) => ({ ...request, body: bodies[next++ % bodies.length]! }) }],
  });
  const seconds = (performance.now() - started) / 1000;
  const failed = result.non2xx + result.errors + result.timeouts + result.mismatches;
  if (failed > 0 || result['2xx'] !== requests) {
    throw new Error(
      `${scenario.name}: of ${requests} requests ${result['2xx']} were answered 2xx, ${result.non2xx} otherwise; ` +
        `${result.errors} errors, ${result.timeouts} timeouts, ${result.mismatches} unexpected bodies`,
    );
  }
  return {
    events: requests * batch,
    seconds,
    p50: result.latency.p50,
    p99: result.latency.p99,
    max: result.latency.max,
  };
}

function makeBodies(kind: Kind, batch: number, requests: number, run: string): string[] {
  return Array.from({ length: requests }, (_, r) => {
    if (batch === 1) return eventText(kind, run, r);
    return `[${Array.from({ length: batch }, (_, i) => eventText(kind, run, r * batch + i)).join(',')}]`;
  });
}
