import { type Claim, type ClaimOutcome, type DedupeStore, StoreUnavailable } from '../ports/dedupe-store.ts';

export interface WatchedDedupe {
  store: DedupeStore;
  /** Why no claim has got an answer for a second, or null. */
  problem(): string | null;
  /** Resolves at its first answer, or after `ms` milliseconds without one. */
  opened(ms: number): Promise<void>;
}

const PROBE_MS = 1000;
/** Ids that are asked for: in a cluster they are on different servers. */
const PROBES = 16;
/** Milliseconds between probes until the first answer. */
const FIRST_PROBE_MS = 50;

/**
 * The same store, and whether it answers. While it does not, it is asked now and then: a gateway that is not
 * ready for want of it gets no requests that would show it come back.
 */
export function watchDedupe(store: DedupeStore): WatchedDedupe {
  const probe = Array.from({ length: PROBES }, (_, i) => ({ key: `probe${i}`, checksum: 0 }));
  const owner = crypto.randomUUID();
  let failing: string | null = 'no answer yet';
  let answered = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;

  async function claim(claims: readonly Claim[], by: string): Promise<ClaimOutcome[]> {
    try {
      const outcomes = await store.claim(claims, by);
      failing = null;
      answered = performance.now();
      return outcomes;
    } catch (error) {
      if (error instanceof StoreUnavailable && error.outcomes !== null) answered = performance.now();
      // With one of several servers down the others' events are still taken: no reason to get no requests.
      failing = performance.now() - answered < PROBE_MS ? null : (error as Error).message;
      timer ??= setTimeout(ask, PROBE_MS);
      throw error;
    }
  }

  async function ask(): Promise<void> {
    timer = undefined;
    await claim(probe, owner)
      .then(() => store.release(probe, owner))
      .catch(() => {});
  }

  async function opened(ms: number): Promise<void> {
    for (const end = performance.now() + ms; failing !== null && performance.now() < end; ) {
      clearTimeout(timer);
      await ask();
      if (failing !== null) await new Promise((next) => setTimeout(next, FIRST_PROBE_MS));
    }
  }

  return {
    store: {
      claim,
      confirm: (claims, by) => store.confirm(claims, by),
      release: (claims, by) => store.release(claims, by),
      close() {
        clearTimeout(timer);
        return store.close();
      },
    },
    problem: () => failing,
    opened,
  };
}
