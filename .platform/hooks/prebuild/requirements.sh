#!/bin/sh
# Before Elastic Beanstalk installs requirements.txt: with a queue, each of the two services has its own list of packages,
# and the web process's has no TensorFlow.
set -eu
if [ "${BIRD_SERVICE:-web}" = worker ]; then
    cp requirements-worker.txt requirements.txt
elif [ -n "${BIRD_QUEUE_URL:-}" ]; then
    cp requirements-web.txt requirements.txt
fi
