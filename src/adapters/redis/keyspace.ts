import type { RedisConfig } from '../../config/dedupe/types.ts';
import type { Arguments, Script } from './call.ts';
import { Cluster } from './cluster.ts';
import { Server, type ServerOptions } from './server.ts';
import { type Place, placeOf } from './slots.ts';

/** Where keys are kept: one server, or the nodes of a cluster. */
export interface Keyspace {
  /** Keys of one place may share a call. */
  readonly places: readonly Place[];
  /**
   * Calls a script on the keys of a place, with the arguments made for a deadline on the clock of the server that
   * has it. Calls of one tick take effect in order. Rejects with `StoreUnavailable` when there is no answer in time.
   */
  call(place: number, script: Script, argue: (deadline: number) => Arguments): Promise<number[]>;
  close(): void;
}

/** Connects in the background: until then calls reject at once. */
export function openKeyspace(
  config: RedisConfig,
  options: Omit<ServerOptions, 'target' | 'timeout'>,
): Keyspace {
  const { prefix, timeout } = config;
  if ('cluster' in config) return new Cluster(config.cluster, prefix, { ...options, timeout });
  const server = new Server({ ...options, timeout, target: config });
  return {
    places: [{ prefix, slot: 0 }],
    call: (_place, script, argue) => server.call(script, argue),
    close: () => server.close(),
  };
}

/** Some of the things that were given, all of one place, and where each of them was. */
export interface Part<T> {
  place: number;
  items: readonly T[];
  at: readonly number[];
}

/** Parts things by the places of their keys. */
export function partsOf<T>(items: readonly T[], keyOf: (item: T) => string, { places }: Keyspace): Part<T>[] {
  if (places.length === 1) return [{ place: 0, items, at: [...items.keys()] }];
  const parts = new Map<number, { items: T[]; at: number[] }>();
  for (let i = 0; i < items.length; i++) {
    const place = placeOf(keyOf(items[i]!), places);
    let part = parts.get(place);
    if (part === undefined) {
      part = { items: [], at: [] };
      parts.set(place, part);
    }
    part.items.push(items[i]!);
    part.at.push(i);
  }
  return [...parts].map(([place, { items, at }]) => ({ place, items, at }));
}
