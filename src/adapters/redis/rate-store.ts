import type { RedisConfig } from '../../config/dedupe/types.ts';
import type { RateStore, TokenAsk, TokenGrant } from '../../ports/rate-store.ts';
import { type Arguments, listed, script } from './call.ts';
import { groupByTag, openKeyspace } from './keyspace.ts';

export type RedisRateOptions = RedisConfig & {
  /** Called for connection errors, each once per outage, and for settings of a server that lose buckets. */
  onError(error: Error): void;
};

/**
 * KEYS are buckets. ARGV is [deadline], then [rate, owed, want] for each bucket. The reply is [clock], then [granted, left,
 * wait in ms] for each. A bucket's value is its number of tokens and the time of that number, in ms of the server's clock.
 * It expires when the bucket is full again.
 */
const takeScript = script(`
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
if now > tonumber(ARGV[1]) then return {math.floor(now), -1} end
local reply = {math.floor(now)}
for i = 1, #KEYS do
  local rate, owed, want = tonumber(ARGV[i * 3 - 1]), tonumber(ARGV[i * 3]), tonumber(ARGV[i * 3 + 1])
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
`);

/** Token buckets in Redis. Connects in the background. While Redis is away calls reject at once. */
export function redisRateStore(options: RedisRateOptions): RateStore {
  const keys = openKeyspace(options, { scripts: [takeScript], onError: options.onError });

  async function take(asks: readonly TokenAsk[]): Promise<TokenGrant[]> {
    const grants = new Array<TokenGrant>(asks.length);
    await Promise.all(
      groupByTag(asks, ({ key }) => key, keys).map(async ({ tag, items, indexes }) => {
        const { prefix } = keys.tags[tag]!;
        const reply = await keys.call(tag, takeScript, (deadline) => argumentsOf(items, prefix, deadline));
        for (const [i, index] of indexes.entries()) {
          const [granted, left, wait] = reply.slice(i * 3 + 1, i * 3 + 4) as [number, number, number];
          grants[index] = { granted, left, wait };
        }
      }),
    );
    return grants;
  }

  return {
    take,
    async close() {
      keys.close();
    },
  };
}

function argumentsOf(asks: readonly TokenAsk[], prefix: string, deadline: number): Arguments {
  return listed([
    asks.length,
    ...asks.map(({ key }) => `${prefix}rate:${key}`),
    deadline,
    ...asks.flatMap(({ rate, owed, want }) => [rate, owed, want]),
  ]);
}
