import type { RedisConfig } from '../../config/dedupe/types.ts';
import type { StreamPart, WindowChange, WindowStore } from '../../ports/window-store.ts';
import { type Arguments, bulk, listed, script } from './call.ts';
import { groupByTag, openKeyspace } from './keyspace.ts';

export type RedisWindowOptions = RedisConfig & {
  /** Called for connection errors, each once per outage, and for settings of a server that lose state. */
  onError(error: Error): void;
};

const clock = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now > tonumber(ARGV[1]) then return {now, -1} end
`;

/**
 * KEYS are hashes, one for each part; the field with the empty name is the part's mark. ARGV is [deadline], then for each
 * part [expected mark, new mark, life, length of the first list, length of the second, names and values to set, names to
 * delete]. Replies [clock], then 1 or 0 for each part.
 */
const changeScript = script(`${clock}
local reply = {now}
local at = 2
-- Lua takes only some thousands of arguments at once.
local function each(command, key, from, to)
  for i = from, to, 1000 do redis.call(command, key, unpack(ARGV, i, math.min(i + 999, to))) end
end
for i = 1, #KEYS do
  local key = KEYS[i]
  local expected, mark, life = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local set, gone = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  at = at + 5
  local held = redis.call('HGET', key, '') or ''
  if held == expected then
    each('HDEL', key, at + set, at + set + gone - 1)
    each('HSET', key, at, at + set - 1)
    redis.call('HSET', key, '', mark)
  end
  local good = held == expected or held == mark
  if good then redis.call('PEXPIRE', key, life) end
  reply[#reply + 1] = good and 1 or 0
  at = at + set + gone
end
return reply
`);

/** KEYS is one hash, ARGV is [deadline, cursor]; replies [clock, next cursor, mark, name, value, name, value...]. */
const loadScript = script(`${clock}
local found = redis.call('HSCAN', KEYS[1], ARGV[2], 'COUNT', 2000)
local reply = {now, found[1], redis.call('HGET', KEYS[1], '') or ''}
for i = 1, #found[2] do reply[i + 3] = found[2][i] end
return reply
`);

type Change = StreamPart & WindowChange;

/** State of streams in Redis, one hash for each part. Connects in the background; until then calls reject at once. */
export function redisWindowStore(options: RedisWindowOptions): WindowStore {
  const keys = openKeyspace(options, { scripts: [changeScript, loadScript], onError: options.onError });

  async function load(part: StreamPart) {
    const name = nameOf(part);
    const { tag } = groupByTag([name], (one) => one, keys)[0]!;
    const key = keys.tags[tag]!.prefix + name;
    let cursor = '0';
    let mark: string | null = null;
    const entries = new Map<string, string>();
    do {
      const reply: unknown[] = await keys.call(tag, loadScript, (deadline) =>
        listed([1, key, deadline, cursor]),
      );
      const [, next, now, ...fields] = reply.map(String) as [string, string, string, ...string[]];
      // The part changed between two steps: these entries belong to two states.
      if (mark !== null && now !== mark) return load(part);
      mark = now;
      cursor = next;
      for (let i = 0; i < fields.length; i += 2)
        if (fields[i] !== '') entries.set(fields[i]!, fields[i + 1]!);
    } while (cursor !== '0');
    return { mark: mark === '' ? null : mark, entries };
  }

  return {
    load,
    async change(changes) {
      const made = new Array<boolean>(changes.length).fill(false);
      await Promise.all(
        groupByTag(changes, nameOf, keys).map(async ({ tag, items, indexes }) => {
          const { prefix } = keys.tags[tag]!;
          const reply = await keys.call(tag, changeScript, (deadline) =>
            changeArguments(items, prefix, deadline),
          );
          for (const [i, index] of indexes.entries()) made[index] = reply[i + 1] === 1;
        }),
      );
      return made;
    },
    async close() {
      keys.close();
    },
  };
}

function nameOf({ stream, partition }: StreamPart): string {
  return `stream:${stream}/${partition}`;
}

function changeArguments(changes: readonly Change[], prefix: string, deadline: number): Arguments {
  let count = 2 + changes.length;
  let text = bulk(String(changes.length));
  for (const change of changes) text += bulk(prefix + nameOf(change));
  text += bulk(String(deadline));
  for (const { entries, expected, mark, life } of changes) {
    let set = '';
    let removed = '';
    let sets = 0;
    for (const [name, value] of entries) {
      if (value === null) removed += bulk(name);
      else {
        set += bulk(name) + bulk(value);
        sets++;
      }
    }
    const head = [expected ?? '', mark, life, sets * 2, entries.size - sets];
    for (const value of head) text += bulk(String(value));
    text += set + removed;
    count += head.length + sets + entries.size;
  }
  return { count, text, encoding: 'utf8' };
}
