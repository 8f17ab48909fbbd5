import { script } from './call.ts';

/**
 * The scripts of the dedupe store. The value of a confirmed id is its payload's checksum, a number below `CHECKSUMS`: Redis
 * shares such small numbers between all keys, unless it evicts by use (LRU, LFU). The value of a claim is its owner, which
 * is no number.
 *
 * KEYS are the ids, ARGV is [deadline, life in ms, owner, ...]. After the deadline the caller has given up: a command that
 * lay in the socket of a frozen server must not mark ids then. A release is right at any time: it frees only claims of its
 * owner.
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

/** Redis shares the numbers from 0 to 9999 between all keys (OBJ_SHARED_INTEGERS). */
export const CHECKSUMS = 10_000;
/** Replied instead of a checksum when another owner has claimed the id. */
export const PENDING = -1;

/** Replies [clock], then the index (from 0) and the checksum of each id that it could not claim. */
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
 * ARGV goes on with the life of a claim and the checksums. Another owner's value is overwritten and then restored, with its
 * life from the start. That is rare; to look first would cost every id a command.
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
