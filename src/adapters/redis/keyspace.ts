import type { RedisConfig } from '../../config/dedupe/types.ts';
import type { Arguments, Script } from './call.ts';
import { Cluster } from './cluster.ts';
import { Server, type ServerOptions } from './server.ts';
import { type HashTag, tagOf } from './slots.ts';

/** The servers that keep the keys: one, or the nodes of a cluster. */
export interface Keyspace {
  /** Keys of one tag may share a call. */
  readonly tags: readonly HashTag[];
  /**
   * Calls a script on keys of one tag. `argue` makes the arguments for a deadline on the clock of the server that has
   * them. Calls of one tick take effect in order. Rejects with `StoreUnavailable` when there is no answer in time.
   */
  call(tag: number, script: Script, argue: (deadline: number) => Arguments): Promise<number[]>;
  close(): void;
}

/** Connects in the background; until then calls reject at once. */
export function openKeyspace(
  config: RedisConfig,
  options: Omit<ServerOptions, 'target' | 'timeout'>,
): Keyspace {
  const { prefix, timeout } = config;
  if ('cluster' in config) return new Cluster(config.cluster, prefix, { ...options, timeout });
  const server = new Server({ ...options, timeout, target: config });
  return {
    tags: [{ prefix, slot: 0 }],
    call: (_tag, script, argue) => server.call(script, argue),
    close: () => server.close(),
  };
}

/** The items of one tag, and their indexes among all. */
export interface TagGroup<T> {
  tag: number;
  items: readonly T[];
  indexes: readonly number[];
}

/** Groups items by the tags of their keys. */
export function groupByTag<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
  { tags }: Keyspace,
): TagGroup<T>[] {
  if (tags.length === 1) return [{ tag: 0, items, indexes: [...items.keys()] }];
  const groups = new Map<number, { tag: number; items: T[]; indexes: number[] }>();
  for (let i = 0; i < items.length; i++) {
    const tag = tagOf(keyOf(items[i]!), tags);
    let group = groups.get(tag);
    if (group === undefined) {
      group = { tag, items: [], indexes: [] };
      groups.set(tag, group);
    }
    group.items.push(items[i]!);
    group.indexes.push(i);
  }
  return [...groups.values()];
}
