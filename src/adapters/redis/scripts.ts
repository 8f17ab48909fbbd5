import { script } from './call.ts';

/**
 * The scripts of the dedupe store. Values: a confirmed id holds the decimal checksum of its payload, which
 * Redis keeps as an integer without further memory; a claim holds `owner:checksum`.
 *
 * KEYS are the ids, ARGV is [deadline, life in ms, 'owner:', checksums...]. After the deadline whoever called has
 * given up: a command that lay in the socket of a frozen server must not mark ids then.
 * A late release is still right: it frees nothing but what its owner holds.
 */
const clock = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local owner = ARGV[3]
`;
const unlessLate = `${clock}
if now > tonumber(ARGV[1]) then return {now, -1} end
`;

/** Replies with `position * 4 + outcome` of those not claimed, positions from 0; see `outcomes`. */
export const claimScript = script(`${unlessLate}
local reply = {now}
for i = 1, #KEYS do
  local mine = owner .. ARGV[i + 3]
  if not redis.call('SET', KEYS[i], mine, 'NX', 'PX', ARGV[2]) then
    local held = redis.call('GET', KEYS[i])
    local outcome
    if held == ARGV[i + 3] then
      outcome = 1
    elseif tonumber(held) then
      outcome = 2
    elseif string.sub(held, 1, #owner) ~= owner then
      outcome = 3
    end
    if outcome then
      reply[#reply + 1] = (i - 1) * 4 + outcome
    else
      redis.call('SET', KEYS[i], mine, 'PX', ARGV[2])
    end
  end
end
return reply
`);

/** What the claim script's numbers mean, modulo 4. */
export const outcomes = ['claimed', 'duplicate', 'changed', 'pending'] as const;

export const confirmScript = script(`${unlessLate}
for i = 1, #KEYS do
  local held = redis.call('GET', KEYS[i])
  if not held or string.sub(held, 1, #owner) == owner then
    redis.call('SET', KEYS[i], ARGV[i + 3], 'PX', ARGV[2])
  end
end
return {now}
`);

export const releaseScript = script(`${clock}
for i = 1, #KEYS do
  local held = redis.call('GET', KEYS[i])
  if held and string.sub(held, 1, #owner) == owner then redis.call('DEL', KEYS[i]) end
end
return {now}
`);
