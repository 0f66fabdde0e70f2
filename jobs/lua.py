"""The Lua scripts of the job store. Redis runs each as one step, so that no other client can interfere.

All times are of Redis's clock, in seconds. ``store.py`` describes the keys.
"""

_NOW = "local time = redis.call('TIME'); local now = time[1] + time[2] / 1000000; "

_STATE = (
    _NOW
    + """
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[1])
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[2])
    local mean_service_time = redis.call('HGET', KEYS[3], 'seconds')
    local state = {redis.call('ZCARD', KEYS[1]), mean_service_time, redis.call('ZRANGE', KEYS[2], 0, -1), 0}
    """
)

#: KEYS waiting, workers, service time; ARGV longest wait, heartbeat timeout.
#: Returns how many jobs wait, the mean service time or nil, the workers, and 0.
STATE = _STATE + "return state"

#: Adds a job if there are workers and room for it.
#: KEYS waiting, workers, service time, job; ARGV longest wait, heartbeat timeout, ID of the job, how many may wait,
#: lifetime of the job, initial service time.
#: Returns what ``STATE`` returns, before the job was added, but 1 at the end if it was.
ADD = (
    _STATE
    + """
    local seconds = state[1] * (mean_service_time or ARGV[6])
    if state[1] <= tonumber(ARGV[4]) and seconds <= tonumber(ARGV[1]) and #state[3] > 0 then
        redis.call('ZADD', KEYS[1], now, ARGV[3])
        redis.call('HSET', KEYS[4], 'entered', now)
        redis.call('EXPIRE', KEYS[4], ARGV[5])
        state[4] = 1
    end
    return state
    """
)

#: Takes a job out of the queue for a worker.
#: KEYS waiting, job; ARGV ID of the job, longest wait.
#: Returns which try this is; 0 if the job is unknown, done, or was not started in time.
BEGIN = (
    _NOW
    + """
    redis.call('ZREM', KEYS[1], ARGV[1])
    local entered, done, tries = unpack(redis.call('HMGET', KEYS[2], 'entered', 'done', 'tries'))
    if not entered or done or (not tries and now - entered > tonumber(ARGV[2])) then return 0 end
    return redis.call('HINCRBY', KEYS[2], 'tries', 1)
    """
)

#: Marks a job as done, and updates the mean service time by the time since the last one was done.
#: KEYS service time, job, waiting, picture; ARGV lifetime of the job, window of the mean, initial service time, ID of
#: the job.
FINISH = (
    _NOW
    + """
    redis.call('ZREM', KEYS[3], ARGV[4])
    redis.call('DEL', KEYS[4])
    local entered, answered = unpack(redis.call('HMGET', KEYS[2], 'entered', 'answered'))
    if not entered then return end
    redis.call('HSET', KEYS[2], 'done', 1)
    if not answered then redis.call('EXPIRE', KEYS[2], ARGV[1]) end
    local last, seconds = unpack(redis.call('HMGET', KEYS[1], 'last', 'seconds'))
    seconds = tonumber(seconds or ARGV[3])
    seconds = seconds + (now - math.max(last or 0, entered) - seconds) / ARGV[2]
    redis.call('HSET', KEYS[1], 'last', now, 'seconds', tostring(seconds))
    """
)

#: Keeps the picture of a job that is not done.
#: KEYS job, picture; ARGV JPEG file, lifetime.
#: Returns 0 if it comes too late: a worker has asked for it already.
KEEP_PICTURE = """
    local entered, done, unsure = unpack(redis.call('HMGET', KEYS[1], 'entered', 'done', 'unsure'))
    if unsure then return 0 end
    if entered and not done then redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2]) end
    return 1
    """

#: KEYS job, picture.
#: Returns the picture. If there is none yet, the job remembers that a worker has asked for it.
PICTURE = """
    local picture = redis.call('GET', KEYS[2])
    if not picture and redis.call('HEXISTS', KEYS[1], 'entered') == 1 then redis.call('HSET', KEYS[1], 'unsure', 1) end
    return picture
    """

#: KEYS waiting, job, service time; ARGV ID of the job.
#: Returns how many seconds ago the job was added, how many jobs are ahead of it or nil, how often it was tried or nil,
#: and the mean service time or nil; nothing if the job is unknown.
POSITION = (
    _NOW
    + """
    local entered, tries = unpack(redis.call('HMGET', KEYS[2], 'entered', 'tries'))
    if not entered then return end
    local mean_service_time = redis.call('HGET', KEYS[3], 'seconds')
    return {tostring(now - entered), redis.call('ZRANK', KEYS[1], ARGV[1]), tries, mean_service_time}
    """
)

#: KEYS workers; ARGV what the worker says about itself.
HEARTBEAT = _NOW + "redis.call('ZADD', KEYS[1], now, ARGV[1])"
