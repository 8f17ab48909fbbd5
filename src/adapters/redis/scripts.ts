import { script } from './call.ts';

/**
 * The scripts of the dedupe store. Values: a confirmed id holds its payload's checksum, less than `PRINTS`: Redis
 * has such small numbers once for all keys, unless it evicts by use (LRU, LFU). A claim holds its owner, which is no number.
 *
 * KEYS are the ids, ARGV is [deadline, life in ms, owner, ...]. After the deadline whoever called has
 * given up: a command that lay in the socket of a frozen server must not mark ids then.
 * A late release is still right: it frees nothing but what its owner holds.
 */
const clock = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local call, KEYS, ARGV = redis.call, KEYS, ARGV
local life, owner = ARGV[2], ARGV[3]
`;
const unlessLate = `${clock}
if now > tonumber(ARGV[1]) then return {now, -1} end
`;

/** Numbers from 0 of which Redis has one each for all keys (OBJ_SHARED_INTEGERS). */
export const PRINTS = 10_000;
/** In place of a checksum: somebody else has claimed the id. */
export const PENDING = -1;

/** Replies with position (from 0) and checksum of those not claimed, one after the other. */
export const claimScript = script(`${unlessLate}
local reply = {now}
for i = 1, #KEYS do
  local key = KEYS[i]
  if not call('SET', key, owner, 'NX', 'PX', life) then
    local held = call('GET', key)
    if held == owner then
      call('SET', key, owner, 'PX', life)
    else
      reply[#reply + 1] = i - 1
      reply[#reply + 1] = tonumber(held) or ${PENDING}
    end
  end
end
return reply
`);

/**
 * ARGV goes on with the life of a claim and the checksums. What was somebody else's is so again: that is rare, and to
 * look first would cost every id a command. It only lives on for as long as if it were new.
 */
export const confirmScript = script(`${unlessLate}
local lease = ARGV[4]
for i = 1, #KEYS do
  local key = KEYS[i]
  local held = call('SET', key, ARGV[i + 4], 'PX', life, 'GET')
  if held and held ~= owner then
    call('SET', key, held, 'PX', tonumber(held) and life or lease)
  end
end
return {now}
`);

export const releaseScript = script(`${clock}
for i = 1, #KEYS do
  if call('GET', KEYS[i]) == owner then call('DEL', KEYS[i]) end
end
return {now}
`);
