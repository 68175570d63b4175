import { createHash } from 'node:crypto';

/**
 * What `SlidingWindow.take` does, in one step of Redis, by its clock: however many replicas ask at once, each sees what
 * those before it have counted. A hash for each key, a field for each part of the window. Takes the limit, the length of a part in
 * milliseconds and the number of parts; answers whether the request was admitted (1 or 0), how many remain, and the milliseconds
 * until there are more.
 *
 * A part that has yet to come was counted before Redis' clock was set back, and is forgotten; but for the next one, for a
 * clock may be off by a little at the turn of a part.
 */
export const TAKE = `
local limit, part, parts = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local newest = math.floor(now / part)
local fields = redis.call('HGETALL', KEYS[1])
local counted, gone, total = {}, {}, 0
for i = 1, #fields, 2 do
  local at, count = tonumber(fields[i]), tonumber(fields[i + 1])
  if at < newest - parts or at > newest + 1 then
    gone[#gone + 1] = fields[i]
  else
    counted[#counted + 1] = { at, count }
    total = total + count
  end
end
if #gone > 0 then redis.call('HDEL', KEYS[1], unpack(gone)) end
local admitted = total < limit
if admitted then
  redis.call('HINCRBY', KEYS[1], string.format('%d', newest), 1)
  redis.call('PEXPIRE', KEYS[1], part * (parts + 1))
  counted[#counted + 1] = { newest, 1 }
  total = total + 1
end
table.sort(counted, function(one, other) return one[1] < other[1] end)
local left, wait = math.max(1, total - limit + 1), 1
for _, each in ipairs(counted) do
  wait = (each[1] + parts + 1) * part - now
  left = left - each[2]
  if left <= 0 then break end
end
return { admitted and 1 or 0, math.max(0, limit - total), wait }
`;

/** By which Redis knows it once it has seen it. */
export const TAKE_SHA1 = createHash('sha1').update(TAKE).digest('hex');
