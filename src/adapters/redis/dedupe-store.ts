import type { RedisConfig } from '../../config/dedupe/types.ts';
import {
  type Claim,
  type ClaimOutcome,
  type DedupeStore,
  StoreUnavailable,
} from '../../ports/dedupe-store.ts';
import { type Arguments, bulk, type Script } from './call.ts';
import { type Keyspace, openKeyspace, partsOf } from './keyspace.ts';
import { claimScript, confirmScript, PENDING, PRINTS, releaseScript } from './scripts.ts';

export type RedisDedupeOptions = RedisConfig & {
  /** Milliseconds that a confirmed id is remembered. */
  window: number;
  /** Milliseconds that a claim lives. */
  lease: number;
  /** Told of connection errors, each once per outage, and of settings of a server that lose ids. */
  onError(error: Error): void;
};

/** Ids in Redis. Connects in the background: until then, and while Redis is down, calls reject at once with `StoreUnavailable`. */
export function redisDedupeStore(options: RedisDedupeOptions): DedupeStore {
  const { window, lease, onError } = options;
  const keys = openKeyspace(options, { scripts: [claimScript, confirmScript, releaseScript], onError });
  return {
    async claim(claims, owner) {
      const found: (ClaimOutcome | null)[] = new Array(claims.length).fill(null);
      const error = await callAll(keys, claimScript, claims, [lease, `${owner}:`], false, (reply, at) => {
        for (const index of at) found[index] = 'claimed';
        for (let i = 1; i < reply.length; i += 2) {
          const index = at[reply[i]!]!;
          found[index] = outcomeOf(reply[i + 1]!, claims[index]!);
        }
      });
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

/** What it means that an id holds this checksum, or is somebody else's. */
function outcomeOf(held: number, claim: Claim): ClaimOutcome {
  if (held === PENDING) return 'pending';
  return held === claim.print % PRINTS ? 'duplicate' : 'changed';
}

/** What a script says of the claims that were at these positions. */
type Told = (reply: number[], at: readonly number[]) => void;

/**
 * Calls a script for each place that the claims are in, `printed` with their checksums; resolves, when all are settled,
 * with a failure if there was one.
 */
async function callAll(
  keys: Keyspace,
  script: Script,
  claims: readonly Claim[],
  head: (string | number)[],
  printed: boolean,
  told: Told = () => {},
): Promise<Error | null> {
  if (claims.length === 0) return null;
  let failure: Error | null = null;
  const call = async (place: number, items: readonly Claim[], at: readonly number[]): Promise<void> => {
    const { prefix } = keys.places[place]!;
    try {
      const reply = await keys.call(place, script, (deadline) =>
        scriptArguments(items, prefix, [deadline, ...head], printed),
      );
      told(reply, at);
    } catch (error) {
      // Its keys are on their way to another node: each of them is on one or the other.
      if (items.length > 1 && (error as Error).message.startsWith('TRYAGAIN')) {
        await Promise.all(items.map((item, i) => call(place, [item], [at[i]!])));
      } else failure ??= error as Error;
    }
  };
  await Promise.all(
    partsOf(claims, ({ key }) => key, keys).map(({ place, items, at }) => call(place, items, at)),
  );
  return failure;
}

/** The arguments after the script: number of keys, keys, `head`, checksums. */
function scriptArguments(
  claims: readonly Claim[],
  prefix: string,
  head: (string | number)[],
  printed: boolean,
): Arguments {
  const names = keyNames(
    prefix,
    claims.map(({ key }) => key),
  );
  let text = bulk(String(claims.length));
  for (const name of names) text += `$${name.length}\r\n${name}\r\n`;
  for (const value of head) text += bulk(String(value));
  const count = 1 + claims.length + head.length;
  if (!printed) return { count, text, encoding: 'latin1' };
  for (const claim of claims) {
    const print = String(claim.print % PRINTS);
    text += `$${print.length}\r\n${print}\r\n`;
  }
  return { count: count + claims.length, text, encoding: 'latin1' };
}

/** Bytes of a key, of its 16 base64 characters. */
const KEY = 12;

/** What Redis calls the keys of claims, each character a byte: with a prefix of two, 14 bytes, the most that a string of its smallest kind holds. */
export function keyNames(prefix: string, keys: readonly string[]): string[] {
  const before = Buffer.from(prefix).toString('latin1');
  const bytes = Buffer.from(keys.join(''), 'base64').toString('latin1');
  return keys.map((_, i) => before + bytes.slice(i * KEY, (i + 1) * KEY));
}
