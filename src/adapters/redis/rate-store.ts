import { StoreUnavailable } from '../../ports/dedupe-store.ts';
import type { RateStore, TokenAsk, TokenGrant } from '../../ports/rate-store.ts';
import { connect } from './connect.ts';

export interface RedisRateOptions {
  /** `redis://` or `rediss://`, with user, password and database number where needed. */
  url: string;
  /** Goes before every key. */
  prefix: string;
  /** Milliseconds in which each call settles. */
  timeout: number;
  /** Told of connection errors, of each outage once. */
  onError(error: Error): void;
}

/**
 * KEYS are buckets, ARGV is [rate, owed, want] for each; the reply is [granted, left, wait in ms] for each. A bucket's
 * value is its tokens at a time, in ms of the server's clock; it is gone once the bucket is full again.
 */
const SCRIPT = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local reply = {}
for i = 1, #KEYS do
  local rate, owed, want = tonumber(ARGV[i * 3 - 2]), tonumber(ARGV[i * 3 - 1]), tonumber(ARGV[i * 3])
  local tokens = rate
  local held = redis.call('GET', KEYS[i])
  if held then
    local before, at = string.match(held, '^(%S+) (%S+)$')
    tokens = math.min(rate, tonumber(before) + math.max(0, now - tonumber(at)) * rate / 1000)
  end
  tokens = tokens - owed
  local granted = math.max(0, math.min(want, math.floor(tokens)))
  tokens = tokens - granted
  local life = math.ceil((rate - tokens) / rate * 1000) + 1000
  redis.call('SET', KEYS[i], string.format('%.6f %.3f', tokens, now), 'PX', string.format('%d', life))
  local wait = 0
  if granted < want then wait = math.max(0, math.ceil((1 - tokens) / rate * 1000)) end
  reply[#reply + 1] = granted
  reply[#reply + 1] = math.floor(tokens)
  reply[#reply + 1] = wait
end
return reply
`;

/** Buckets in one Redis server. Connects in the background: until then, and while Redis is down, calls reject. */
export function redisRateStore({ url, prefix, timeout, onError }: RedisRateOptions): RateStore {
  const redis = connect(url, timeout);
  let told = false;
  redis.on('ready', () => {
    told = false;
  });
  redis.on('error', (error) => {
    if (!told) onError(error);
    told = true;
  });

  async function take(asks: readonly TokenAsk[]): Promise<TokenGrant[]> {
    const keys = asks.map(({ key }) => `${prefix}rate:${key}`);
    const numbers = asks.flatMap(({ rate, owed, want }) => [rate, owed, want]);
    let reply: number[];
    try {
      reply = (await redis.eval(SCRIPT, keys.length, ...keys, ...numbers)) as number[];
    } catch (error) {
      throw new StoreUnavailable((error as Error).message, { cause: error });
    }
    return asks.map((_, i) => ({
      granted: reply[i * 3]!,
      left: reply[i * 3 + 1]!,
      wait: reply[i * 3 + 2]!,
    }));
  }

  return {
    take,
    async close() {
      redis.disconnect();
      // A server that hangs would keep the socket half open.
      redis.stream?.destroy();
    },
  };
}
