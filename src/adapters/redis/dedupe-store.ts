import type { RedisConfig } from '../../config/dedupe/types.ts';
import {
  type Claim,
  type ClaimOutcome,
  type DedupeStore,
  StoreUnavailable,
} from '../../ports/dedupe-store.ts';
import { type Arguments, bulk, type Script } from './call.ts';
import { groupByTag, type Keyspace, openKeyspace } from './keyspace.ts';
import { CHECKSUMS, claimScript, confirmScript, PENDING, releaseScript } from './scripts.ts';

export type RedisDedupeOptions = RedisConfig & {
  /** Milliseconds that a confirmed id is remembered. */
  window: number;
  /** Milliseconds that a claim lives. */
  lease: number;
  /** Called for connection errors, each once per outage, and for settings of a server that lose ids. */
  onError(error: Error): void;
};

/** Ids in Redis. Connects in the background. While Redis is away calls reject at once with `StoreUnavailable`. */
export function redisDedupeStore(options: RedisDedupeOptions): DedupeStore {
  const { window, lease, onError } = options;
  const keys = openKeyspace(options, { scripts: [claimScript, confirmScript, releaseScript], onError });
  return {
    async claim(claims, owner) {
      const found: (ClaimOutcome | null)[] = new Array(claims.length).fill(null);
      const error = await callAll(
        keys,
        claimScript,
        claims,
        [lease, `${owner}:`],
        false,
        (reply, indexes) => {
          for (const index of indexes) found[index] = 'claimed';
          for (let i = 1; i < reply.length; i += 2) {
            const index = indexes[reply[i]!]!;
            found[index] = outcomeOf(reply[i + 1]!, claims[index]!);
          }
        },
      );
      if (error === null) return found as ClaimOutcome[];
      const some = found.some((outcome) => outcome !== null);
      throw new StoreUnavailable((error as Error).message, { cause: error }, some ? found : null);
    },
    async confirm(claims, owner) {
      const error = await callAll(keys, confirmScript, claims, [window, `${owner}:`, lease], true);
      if (error !== null) throw error;
    },
    async release(claims, owner) {
      const error = await callAll(keys, releaseScript, claims, [0, `${owner}:`], false);
      if (error !== null) throw error;
    },
    async close() {
      keys.close();
    },
  };
}

/** The outcome for an id that has a value already: a checksum, or PENDING for another owner's claim. */
function outcomeOf(held: number, claim: Claim): ClaimOutcome {
  if (held === PENDING) return 'pending';
  return held === claim.checksum % CHECKSUMS ? 'duplicate' : 'changed';
}

/** Takes a script's reply to the claims with these indexes. */
type OnReply = (reply: number[], indexes: readonly number[]) => void;

/**
 * Calls a script once for each hash tag of the claims. `head`: arguments after the deadline. Resolves when all calls have
 * settled: with the first failure, or null.
 */
async function callAll(
  keys: Keyspace,
  script: Script,
  claims: readonly Claim[],
  head: (string | number)[],
  withChecksums: boolean,
  onReply: OnReply = () => {},
): Promise<Error | null> {
  if (claims.length === 0) return null;
  let failure: Error | null = null;
  const call = async (tag: number, items: readonly Claim[], indexes: readonly number[]): Promise<void> => {
    const { prefix } = keys.tags[tag]!;
    try {
      const reply = await keys.call(tag, script, (deadline) =>
        scriptArguments(items, prefix, [deadline, ...head], withChecksums),
      );
      onReply(reply, indexes);
    } catch (error) {
      // The slot is moving to another node. Each single key is on one of the two nodes.
      if (items.length > 1 && (error as Error).message.startsWith('TRYAGAIN')) {
        await Promise.all(items.map((item, i) => call(tag, [item], [indexes[i]!])));
      } else failure ??= error as Error;
    }
  };
  await Promise.all(
    groupByTag(claims, ({ key }) => key, keys).map(({ tag, items, indexes }) => call(tag, items, indexes)),
  );
  return failure;
}

/** The arguments of a script: number of keys, keys, `head`, checksums. */
function scriptArguments(
  claims: readonly Claim[],
  prefix: string,
  head: (string | number)[],
  withChecksums: boolean,
): Arguments {
  const names = keyNames(
    prefix,
    claims.map(({ key }) => key),
  );
  let text = bulk(String(claims.length));
  for (const name of names) text += `$${name.length}\r\n${name}\r\n`;
  for (const value of head) text += bulk(String(value));
  const count = 1 + claims.length + head.length;
  if (!withChecksums) return { count, text, encoding: 'latin1' };
  for (const claim of claims) {
    const checksum = String(claim.checksum % CHECKSUMS);
    text += `$${checksum.length}\r\n${checksum}\r\n`;
  }
  return { count: count + claims.length, text, encoding: 'latin1' };
}

/** Bytes of a key's 16 base64 characters. */
const KEY = 12;

/**
 * The names of claims in Redis, in latin1: each character is a byte. With a prefix of two bytes a name has 14, the most
 * that fit a string of Redis' smallest kind.
 */
export function keyNames(prefix: string, keys: readonly string[]): string[] {
  const before = Buffer.from(prefix).toString('latin1');
  const bytes = Buffer.from(keys.join(''), 'base64').toString('latin1');
  return keys.map((_, i) => before + bytes.slice(i * KEY, (i + 1) * KEY));
}
