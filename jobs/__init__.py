"""The job queue of a split deployment: web processes send pixels to workers, and workers send answers back.

The jobs are in the job store, a Redis, until they are answered. For each, Celery carries a token through a broker
(Redis, RabbitMQ or Amazon SQS), and the worker that gets one takes the job whose turn it is. So nothing is lost with a
token, and the broker has no say in the order. Neither side imports the other: the client imports no TensorFlow, the
worker nothing of ``web``.
"""

TASK = "identify"  # name of the only Celery task
QUEUE = "birds"  # name of the queue at the broker

#: Of each job: a photo that kills the process working on it must not kill all of them. A try counts as soon as the job
#: is handed out, even if the worker never learns of it because the connection breaks at that moment.
MAX_TRIES = 2
TIME_LIMIT = 20  # seconds that one try may take; then the pool process that works on it is killed
LEASE = 5  # seconds after which a job is handed to another worker if its own has not renewed the lease
#: Seconds after which the broker gives a token to another worker if the first has not acknowledged it. Longer than a
#: try, or the job of every slow photo would be taken twice.
REDELIVERY = TIME_LIMIT + 5
LONGEST_WAIT = 120  # seconds in the queue; a job that no worker has started by then is dropped
#: Seconds. A job that is expected to wait longer is refused, and one that has waited longer goes before all others.
#: That makes twice as many at most, and the rest of ``LONGEST_WAIT`` is for workers that are lost meanwhile.
ACCEPTABLE_WAIT = LONGEST_WAIT / 3
ANSWER_LIFETIME = 3600  # seconds for which an answer is kept for a client that was given a job ID
#: Connections to the Redis, at most: enough for each thread to have its own. On a busy processor, threads that waited
#: for one another would take that for a Redis that does not answer.
REDIS_CONNECTIONS = 10_000

# Reasons for an UnavailableError, as /healthz gives them.
NO_WORKER = "no worker is there"
NO_BROKER = "the broker of BIRD_QUEUE_URL does not answer"
NO_REDIS = "the Redis of BIRD_RESULT_URL does not answer"
