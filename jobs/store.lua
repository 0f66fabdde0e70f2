-- What the job store does in Redis. Redis runs each call as one step, so that no other client can interfere.
--
-- store.py puts the constants in front of this file. ARGV: the name of a function at the end of it, and its arguments.
-- All times are of Redis's clock, in seconds. Which job a call is about is known only when it runs, so the names of keys
-- stand here; a job store is always a single server. The braces would put all keys into one hash slot. Some have kept
-- their original names, "line" and "pace" among them, so that processes of several releases can share a store.

-- Sorted sets of job IDs: those that no worker has started, by the time at which they were added; those that workers
-- have taken, by the end of their leases. Hash: the job that was taken with each token.
local WAITING, RUNNING, TAKEN = '{birds}:line', '{birds}:running', '{birds}:taken'
-- Sorted set: each worker as JSON, by the time of its last heartbeat.
local WORKERS = '{birds}:workers'
-- Hash: "seconds", the mean for a photo, all workers together; "own_seconds", that of one; "last", when one was done.
local PACE = '{birds}:pace'
-- Hashes: the rounds of the two classes, and what else the order needs; what has happened so far, and how often a second.
local ROUNDS, COUNTS = '{birds}:rounds', '{birds}:counts'

-- Hash: the time at which a job "entered", its "class", its "client" as long as it has not left the line, the number of its
-- "tries", the "token" of the last one, whether it is "done", whether its answer was fetched ("answered"), its "thumbnail", its "region", and whether a worker was not
-- sure and had no picture ("unsure").
local function job(id) return '{birds}:job:' .. id end
-- What the network is given, and what it may need for a closer look, until the job is done or lost.
local function pixels(id) return '{birds}:pixels:' .. id end
local function picture(id) return '{birds}:picture:' .. id end
-- An answer: the key, and the name of the channel on which it is published, are Celery's.
local RESULT = 'celery-task-meta-'
-- Sorted sets for each class, "person" or "batch": the jobs that wait, by turn; the last round of each client.
local function turns(class) return '{birds}:turns:' .. class end
local function last_turns(class) return '{birds}:last_turns:' .. class end
-- Hash for each class: how many jobs of each client wait.
local function shares(class) return '{birds}:shares:' .. class end

local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000

-- Counters, and how often something happens a second, as an exponential average.

local function count(event, number) redis.call('HINCRBYFLOAT', COUNTS, event, number or 1) end

local function rate(event)
  local known, at = unpack(redis.call('HMGET', COUNTS, event .. '_rate', event .. '_at'))
  return (known or 0) * math.exp(((at or now) - now) / RATE_WINDOW)
end

local function count_with_rate(event, number)
  redis.call('HSET', COUNTS, event .. '_rate', rate(event) + number / RATE_WINDOW, event .. '_at', now)
  count(event, number)
end

-- The order of those that wait. A turn is a number, and the smallest leaves first: its round, and then who came first.
-- A round has one job of each client: start-time fair queueing with jobs of equal cost (Goyal, Vin and Cheng, SIGCOMM
-- 1996). A number in Lua is exact up to 2^53.

local ORDER = 2 ^ 20

local function round_of(class) return tonumber(redis.call('HGET', ROUNDS, class) or 0) end

local function rounds_ahead(class, client)
  local last = tonumber(redis.call('ZSCORE', last_turns(class), client) or 0)
  return math.max(last - round_of(class), 0)
end

local function share(class, client) return tonumber(redis.call('HGET', shares(class), client) or 0) end

local function enter(id, class, client)
  local round = round_of(class) + rounds_ahead(class, client) + 1
  local turn = round * ORDER + redis.call('HINCRBY', ROUNDS, 'order', 1) % ORDER
  redis.call('ZADD', turns(class), turn, id)
  redis.call('ZADD', last_turns(class), round, client)
  redis.call('HINCRBY', shares(class), client, 1)
  redis.call('HSET', job(id), 'client', client)
end

-- What follows from a job having left: its client has a place again, and a round may begin.
local function has_left(id, class, round)
  local client = redis.call('HGET', job(id), 'client')
  if client then
    redis.call('HDEL', job(id), 'client')
    redis.call('HINCRBY', shares(class), client, -1)
  end
  if redis.call('EXISTS', turns(class)) == 0 then
    redis.call('DEL', last_turns(class), shares(class))
    redis.call('HDEL', ROUNDS, class)
  elseif round > round_of(class) then
    redis.call('HSET', ROUNDS, class, round)
    redis.call('ZREMRANGEBYSCORE', last_turns(class), '-inf', round)
  end
end

local function pop(class)
  local id, turn = unpack(redis.call('ZPOPMIN', turns(class)))
  has_left(id, class, math.floor(turn / ORDER))
  return id
end

local function leave_turns(id)
  for _, class in ipairs({'person', 'batch'}) do
    if redis.call('ZREM', turns(class), id) == 1 then
      has_left(id, class, 0)
      return true
    end
  end
end

-- The oldest job, once it has waited as long as anybody should: whoever comes later goes before it no more.
local function pop_old()
  local id, entered = unpack(redis.call('ZRANGE', WAITING, 0, 0, 'WITHSCORES'))
  if id and now - entered > ACCEPTABLE_WAIT and leave_turns(id) then return id end
end

local function pop_by_turns()
  local has_people = redis.call('EXISTS', turns('person')) == 1
  if redis.call('EXISTS', turns('batch')) == 0 then return has_people and pop('person') end
  if not has_people then return pop('batch') end
  local is_batch = redis.call('HINCRBY', ROUNDS, 'popped', 1) % BATCH_TURN == 0
  return pop(is_batch and 'batch' or 'person')
end

local function pop_next() return pop_old() or pop_by_turns() end

local function leave(id)
  leave_turns(id)
  redis.call('ZREM', WAITING, id)
end

-- Whether nobody asks for the answer any more. A job that was tried once is worth a second try for longer.
local function is_too_old(entered, tries) return now - entered > (tries and LOST_AFTER or LONGEST_WAIT) end

-- A job that a worker has taken. It has a lease, and the token with which the worker took it leads to it.

local function begin(id, token)
  local entered, done, tries = unpack(redis.call('HMGET', job(id), 'entered', 'done', 'tries'))
  if not entered or done or is_too_old(entered, tries) then return 0 end
  if not tries then
    count('started')
    count('wait_seconds', now - entered)
  end
  redis.call('ZADD', RUNNING, now + LEASE, id)
  redis.call('HSET', TAKEN, token, id)
  redis.call('HSET', job(id), 'token', token)
  return redis.call('HINCRBY', job(id), 'tries', 1)
end

local function let_go(id)
  local token = redis.call('HGET', job(id), 'token')
  if token then redis.call('HDEL', TAKEN, token) end
  return redis.call('ZREM', RUNNING, id) == 1
end

local function hand_back(id)
  if not let_go(id) then return false end
  local entered, done, class = unpack(redis.call('HMGET', job(id), 'entered', 'done', 'class'))
  if not entered or done then return false end
  redis.call('ZADD', WAITING, entered, id)
  redis.call('ZADD', turns(class or 'person'), 0, id)
  return true
end

-- The queue as a whole.

local function state()
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', WAITING, '-inf', now - LONGEST_WAIT)) do
    local entered, tries = unpack(redis.call('HMGET', job(id), 'entered', 'tries'))
    if not entered or is_too_old(entered, tries) then leave(id) end
  end
  redis.call('ZREMRANGEBYSCORE', WORKERS, '-inf', now - HEARTBEAT_TIMEOUT)
  local seconds = redis.call('HGET', PACE, 'seconds') or tostring(INITIAL_SERVICE_TIME)
  return {redis.call('ZCARD', WAITING), seconds, redis.call('ZRANGE', WORKERS, 0, -1)}
end

local function has_room(found, limit)
  local waiting, seconds = found[1], found[2]
  return waiting <= tonumber(limit) and waiting * seconds <= ACCEPTABLE_WAIT
end

local function processes(workers)
  local sum = 0
  for _, worker in ipairs(workers) do sum = sum + (cjson.decode(worker).processes or 1) end
  return sum
end

-- The least version of messages that all workers read.
local function version(workers)
  local least = math.huge
  for _, worker in ipairs(workers) do least = math.min(least, cjson.decode(worker).version or 1) end
  return least
end

-- Whether the broker may have lost tokens: jobs wait, and at this moment a worker that could take them does not.
local function may_lack_tokens(workers)
  local oldest = redis.call('ZRANGE', WAITING, 0, 0, 'WITHSCORES')[2]
  if not oldest or now - oldest < TOKEN_LOST_AFTER then return false end
  if redis.call('ZCARD', RUNNING) >= processes(workers) then return false end
  local noticed = redis.call('HGET', ROUNDS, 'tokens_sent')
  if noticed and now - noticed < TOKEN_LOST_AFTER then return false end
  redis.call('HSET', ROUNDS, 'tokens_sent', now)
  return true
end

local call = {}

-- The state: how many jobs wait, the mean service time, and the workers.
function call.state() return state() end

-- Refuse a photo if there is no room for it. The state, and 1 if there is room, else 0.
function call.check(limit)
  local found = state()
  local has = has_room(found, limit)
  if not has then count_with_rate('refused', 1) end
  found[4] = has and 1 or 0
  return found
end

-- Add a job if there are workers and room for it: in all, for batches, and for its client.
-- The state before that; 'added', 'full', or 'share' if only its client has too many; and the version of messages that
-- all workers read.
function call.add(id, limit, class, client, most_of_client, most_of_batches, content, refused_elsewhere)
  local found = state()
  if tonumber(refused_elsewhere) > 0 then count_with_rate('refused', tonumber(refused_elsewhere)) end
  found[4], found[5] = 'full', 1
  if #found[3] == 0 then return found end
  local is_full = class == 'batch' and redis.call('ZCARD', turns('batch')) >= tonumber(most_of_batches)
  local has_share = client == '' or share(class, client) < tonumber(most_of_client)
  if is_full or not has_share or not has_room(found, limit) then
    count_with_rate('refused', 1)
    if not is_full and has_room(found, limit) then found[4] = 'share' end
    return found
  end
  found[4], found[5] = 'added', version(found[3])
  redis.call('ZADD', WAITING, now, id)
  if found[5] > 1 then enter(id, class, client) end -- or the broker decides whose turn it is, and it never leaves here
  redis.call('HSET', job(id), 'entered', now, 'class', class)
  redis.call('EXPIRE', job(id), ANSWER_LIFETIME)
  redis.call('SET', pixels(id), content, 'EX', LOST_AFTER)
  count_with_rate('added', 1)
  return found
end

-- Take the job whose turn it is; or again that which was taken with the same token, whose worker is gone then.
-- The ID, the number of the try, and the pixels; nothing if no job waits.
function call.take(token)
  local again = redis.call('HGET', TAKEN, token)
  if again and hand_back(again) then count('handed_again') end
  local id = pop_next()
  while id do
    local tries = redis.call('ZREM', WAITING, id) == 1 and begin(id, token) or 0
    if tries > 0 then return {id, tries, redis.call('GET', pixels(id)) or ''} end
    id = pop_next()
  end
end

-- Take the job that a web process of the release before has sent with its pixels.
-- The number of the try; 0 if nobody waits for the answer, or another worker has the job.
function call.take_this(id, content)
  if redis.call('ZSCORE', RUNNING, id) and redis.call('HGET', job(id), 'token') ~= id then return 0 end
  leave(id)
  local tries = begin(id, id)
  if tries > 0 then redis.call('SET', pixels(id), content, 'EX', LOST_AFTER) end
  return tries
end

-- Go on with a job.
function call.renew(id) redis.call('ZADD', RUNNING, 'XX', now + LEASE, id) end

-- Give a job back, for another try, unless another worker has it by now.
function call.give_back(id, tries)
  if redis.call('HGET', job(id), 'tries') == tries and hand_back(id) then count('handed_again') end
end

-- Mark a job as done, with its answer where the client waits for it, and update the mean service times: of all workers
-- together, and of one. Unless another worker has answered it. Should the store have lost the job, it gets its answer.
function call.finish(id, outcome, seconds, result)
  leave(id)
  let_go(id)
  redis.call('DEL', picture(id), pixels(id))
  local entered, done, answered = unpack(redis.call('HMGET', job(id), 'entered', 'done', 'answered'))
  if done then return end
  redis.call('SET', RESULT .. id, result, 'EX', ANSWER_LIFETIME)
  redis.call('PUBLISH', RESULT .. id, result)
  if not entered then return end
  redis.call('HSET', job(id), 'done', 1)
  if not answered then redis.call('EXPIRE', job(id), ANSWER_LIFETIME) end
  local last, pace, own = unpack(redis.call('HMGET', PACE, 'last', 'seconds', 'own_seconds'))
  pace = tonumber(pace or INITIAL_SERVICE_TIME)
  pace = pace + (now - math.max(last or 0, entered) - pace) / SERVICE_TIME_WINDOW
  own = tonumber(own or seconds)
  own = own + (seconds - own) / SERVICE_TIME_WINDOW
  redis.call('HSET', PACE, 'last', now, 'seconds', pace, 'own_seconds', own)
  count(outcome)
  count('service_seconds', seconds)
end

-- Remove a job that nobody waits for.
function call.drop(id)
  leave(id)
  let_go(id)
  redis.call('DEL', job(id), picture(id), pixels(id))
end

-- Keep the picture of a job that is not done. 0 if it comes too late: a worker has asked for it already.
function call.keep_picture(id, jpeg)
  local entered, done, unsure = unpack(redis.call('HMGET', job(id), 'entered', 'done', 'unsure'))
  if unsure then return 0 end
  if entered and not done then redis.call('SET', picture(id), jpeg, 'EX', LOST_AFTER) end
  return 1
end

-- The picture. If there is none yet, the job remembers that a worker has asked for it.
function call.picture(id)
  local found = redis.call('GET', picture(id))
  if not found and redis.call('HEXISTS', job(id), 'entered') == 1 then redis.call('HSET', job(id), 'unsure', 1) end
  return found
end

-- How many seconds ago a job was added, how many are ahead of it or nil, how often it was tried or nil, and the mean
-- service time or nil; nothing if the job is unknown.
function call.position(id)
  local entered, tries, class = unpack(redis.call('HMGET', job(id), 'entered', 'tries', 'class'))
  if not entered then return end
  local ahead = redis.call('ZRANK', WAITING, id)
  local turn = ahead and redis.call('ZRANK', turns(class or 'person'), id)
  if turn then ahead = turn + (class == 'batch' and redis.call('ZCARD', turns('person')) or 0) end
  return {tostring(now - entered), ahead, tries, redis.call('HGET', PACE, 'seconds')}
end

-- Record that a worker takes jobs, and give back the jobs of those that are gone.
-- How many jobs wait, if the broker may not have a token for each of them; else 0.
function call.heartbeat(worker)
  redis.call('ZADD', WORKERS, now, worker)
  redis.call('ZREMRANGEBYSCORE', WORKERS, '-inf', now - HEARTBEAT_TIMEOUT)
  local are_some_restored = false
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', RUNNING, '-inf', now)) do
    if hand_back(id) then
      count('handed_again')
      are_some_restored = true
    end
  end
  if not are_some_restored and not may_lack_tokens(redis.call('ZRANGE', WORKERS, 0, -1)) then return 0 end
  return redis.call('ZCARD', turns('person')) + redis.call('ZCARD', turns('batch'))
end

-- What /metrics says of the queue: counts as a flat list of names and numbers, two rates, the worker processes, the
-- seconds that one of them takes for a photo, and the age of the oldest job that waits.
function call.figures()
  local found = state()
  local oldest = redis.call('ZRANGE', WAITING, 0, 0, 'WITHSCORES')[2]
  return {
    redis.call('HGETALL', COUNTS), tostring(rate('added')), tostring(rate('refused')), processes(found[3]),
    redis.call('HGET', PACE, 'own_seconds') or '0', tostring(oldest and now - oldest or 0)
  }
end

return call[ARGV[1]](unpack(ARGV, 2))
