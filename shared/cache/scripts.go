package cache

import "github.com/redis/go-redis/v9"

// States of the lease script.
const (
	leaseRefused = 0 // another reader has it, or the watermark is too old to fill under
	leaseValue   = 1 // there is a value
	leaseGranted = 2
)

// KEYS: entity, wm. ARGV: field, lease field, token (empty: take no lease), lease time ms, MaxStaleness ms.
// Reply: state, value, epoch, now ms, t, d, m. Numbers from a hash are returned as strings: Lua's numbers are doubles. An
// entity of another type is not ours and makes room.
var leaseScript = redis.NewScript(`
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local w = redis.pcall('HMGET', KEYS[2], 't', 'e', 'd', 'm')
local t = w[1] and tonumber(w[1])
if not (t and w[2] and w[3] and w[4]) then return {0, '', '', now, '0', '0', ''} end
local age = now - t
if age < 0 or age > tonumber(ARGV[5]) then return {0, '', w[2], now, w[1], w[3], w[4]} end
local v = redis.pcall('HMGET', KEYS[1], ARGV[1], ARGV[2])
if v.err then
	redis.call('DEL', KEYS[1])
	v = {false, false}
end
if v[1] and string.sub(v[1], 1, #w[2]) == w[2] then
	return {1, string.sub(v[1], #w[2] + 1), w[2], now, w[1], w[3], w[4]}
end
if ARGV[3] == '' then return {0, '', w[2], now, w[1], w[3], w[4]} end
if v[2] then
	local bar = string.find(v[2], '|', 1, true)
	local ends = bar and tonumber(string.sub(v[2], bar + 1))
	if ends and ends > now and ends <= now + tonumber(ARGV[4]) then return {0, '', w[2], now, w[1], w[3], w[4]} end
end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3] .. '|' .. string.format('%.0f', now + tonumber(ARGV[4])))
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return {2, '', w[2], now, w[1], w[3], w[4]}
`)

// KEYS: entity, wm. ARGV: field, lease field, token, epoch, epoch and value, ttl ms. Reply: 1 filled, 0 refused.
// The TTL is the key's. A fill never makes it longer, since the key may hold a value of another version of the program.
var fillScript = redis.NewScript(`
local l = redis.pcall('HGET', KEYS[1], ARGV[2])
if type(l) ~= 'string' or string.sub(l, 1, #ARGV[3] + 1) ~= ARGV[3] .. '|' then return 0 end
if redis.pcall('HGET', KEYS[2], 'e') ~= ARGV[4] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[2])
local left = redis.call('PTTL', KEYS[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[5])
if left < 0 or left > tonumber(ARGV[6]) then redis.call('PEXPIRE', KEYS[1], ARGV[6]) end
return 1
`)

// forget is part of two scripts. It deletes the fields of one server's tag (see serverTag) from an entity, and all of them
// without a tag. An entity of another type is not ours and makes room.
const forget = `
local function forget(key, server)
	local fields = redis.pcall('HKEYS', key)
	if fields.err or server == '' then return redis.call('DEL', key) end
	for _, field in ipairs(fields) do
		if string.sub(field, -16, -9) == server then redis.call('HDEL', key, field) end
	end
end
`

// KEYS: entities. ARGV: the server's tag. Reply: the number of keys.
var deleteScript = redis.NewScript(forget + `
for _, key in ipairs(KEYS) do forget(key, ARGV[1]) end
return #KEYS
`)

// KEYS: wm, lock. ARGV: token, lock time ms, SyncAge ms. Reply: nil if another process is syncing, only now ms if another
// has just synced, otherwise now ms, s, e, n. A watermark of another type, and a lock that no sync has set, are not ours and
// make room.
var beginScript = redis.NewScript(`
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local w = redis.pcall('HMGET', KEYS[1], 's', 'e', 'n', 't')
if w.err then
	redis.call('DEL', KEYS[1])
	w = {false, false, false, false}
end
local t = w[4] and tonumber(w[4])
local age = t and now - t
if age and age >= 0 and age < tonumber(ARGV[3]) then return {string.format('%.0f', now)} end
if not redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then
	local left = redis.call('PTTL', KEYS[2])
	if left >= 0 and left <= tonumber(ARGV[2]) then return false end
	redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
end
return {string.format('%.0f', now), w[1] or '', w[2] or '', w[3] or ''}
`)

// KEYS: any of the node. Reply: now ms.
var clockScript = redis.NewScript(clockSource)

const clockSource = `
local clock = redis.call('TIME')
return clock[1] * 1000 + math.floor(clock[2] / 1000)
`

// KEYS: wm, lock, databases, entities. ARGV: token, the s that was read, new s, t, e, d, m, n, ttl ms, tag of the database.
// m authenticates t, e and d, and n authenticates s and e. Reply: none if another sync was faster, otherwise which
// databases use this Redis and the t of each. Without a sync the watermark ends with the last value.
var applyScript = redis.NewScript(forget + `
local s = redis.pcall('HGET', KEYS[1], 's')
if (s or '') ~= ARGV[2] then return {} end
for i = 4, #KEYS do forget(KEYS[i], string.sub(ARGV[10], 1, 8)) end
redis.call('HSET', KEYS[1], 's', ARGV[3], 't', ARGV[4], 'e', ARGV[5], 'd', ARGV[6], 'm', ARGV[7], 'n', ARGV[8])
redis.call('PEXPIRE', KEYS[1], ARGV[9])
if redis.pcall('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
local all = redis.pcall('HGETALL', KEYS[3])
if all.err then
	redis.call('DEL', KEYS[3])
	all = {}
end
for i = 1, #all, 2 do
	local ms = tonumber(all[i + 1])
	if not (ms and math.abs(ARGV[4] - ms) <= tonumber(ARGV[9])) then redis.call('HDEL', KEYS[3], all[i]) end
end
redis.call('HSET', KEYS[3], ARGV[10], ARGV[4])
redis.call('PEXPIRE', KEYS[3], ARGV[9])
all[#all + 1], all[#all + 2] = ARGV[10], ARGV[4]
return all
`)
