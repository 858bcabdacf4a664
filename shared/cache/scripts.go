package cache

import "github.com/redis/go-redis/v9"

// States of the lease script.
const (
	leaseRefused = 0 // another reader has it, or the watermark is too old to fill under
	leaseValue   = 1 // there is a value
	leaseGranted = 2
)

// KEYS: entity, wm. ARGV: field, lease field, token (empty: take no lease), lease time ms, MaxStaleness ms.
// Reply: state, value, epoch, now ms, t, d. Numbers from a hash are returned as strings: Lua's numbers are doubles.
var leaseScript = redis.NewScript(`
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local w = redis.call('HMGET', KEYS[2], 't', 'e', 'd')
local t = w[1] and tonumber(w[1])
if not (t and w[2] and w[3]) then return {0, '', '', now, '0', '0'} end
local age = now - t
if age < 0 or age > tonumber(ARGV[5]) then return {0, '', w[2], now, w[1], w[3]} end
local v = redis.call('HMGET', KEYS[1], ARGV[1], ARGV[2])
if v[1] and string.sub(v[1], 1, #w[2]) == w[2] then
	return {1, string.sub(v[1], #w[2] + 1), w[2], now, w[1], w[3]}
end
if ARGV[3] == '' then return {0, '', w[2], now, w[1], w[3]} end
if v[2] then
	local bar = string.find(v[2], '|', 1, true)
	local ends = bar and tonumber(string.sub(v[2], bar + 1))
	if ends and ends > now and ends <= now + tonumber(ARGV[4]) then return {0, '', w[2], now, w[1], w[3]} end
end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3] .. '|' .. string.format('%.0f', now + tonumber(ARGV[4])))
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return {2, '', w[2], now, w[1], w[3]}
`)

// KEYS: entity, wm. ARGV: field, lease field, token, epoch, epoch and value, ttl ms. Reply: 1 filled, 0 refused.
// The TTL is the key's. A fill never makes it longer, since the key may hold a value of another version of the program.
var fillScript = redis.NewScript(`
local l = redis.call('HGET', KEYS[1], ARGV[2])
if not l or string.sub(l, 1, #ARGV[3] + 1) ~= ARGV[3] .. '|' then return 0 end
if redis.call('HGET', KEYS[2], 'e') ~= ARGV[4] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[2])
local left = redis.call('PTTL', KEYS[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[5])
if left < 0 or left > tonumber(ARGV[6]) then redis.call('PEXPIRE', KEYS[1], ARGV[6]) end
return 1
`)

// KEYS: wm, lock. ARGV: token, lock time ms, SyncAge ms. Reply: nil if another process is syncing, only now ms if another
// has just synced, otherwise now ms, s, e, c.
var beginScript = redis.NewScript(`
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local w = redis.call('HMGET', KEYS[1], 's', 'e', 'c', 't')
local t = w[4] and tonumber(w[4])
local age = t and now - t
if age and age >= 0 and age < tonumber(ARGV[3]) then return {string.format('%.0f', now)} end
if not redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return false end
return {string.format('%.0f', now), w[1] or '', w[2] or '', w[3] or ''}
`)

// KEYS: wm, lock, entities. ARGV: token, the s that was read, new s, t, e, c, the database's clock in ms less clockMargin.
// Reply: 1 applied, 0 another sync was faster. The field d is the database's clock at t or a little before: the sync
// read that clock before this script reads Redis's, so the time since t is subtracted, and some more.
var applyScript = redis.NewScript(`
if (redis.call('HGET', KEYS[1], 's') or '') ~= ARGV[2] then return 0 end
for i = 3, #KEYS do redis.call('DEL', KEYS[i]) end
local clock = redis.call('TIME')
local d = ARGV[7] - (clock[1] * 1000 + math.floor(clock[2] / 1000) - ARGV[4])
redis.call('HSET', KEYS[1], 's', ARGV[3], 't', ARGV[4], 'e', ARGV[5], 'c', ARGV[6], 'd', string.format('%.0f', d))
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return 1
`)
