#!/bin/sh
# Before Elastic Beanstalk installs requirements.txt: an instance gets only the packages that it needs. TensorFlow is not
# among them if the network runs elsewhere, or was compiled.
set -eu
if [ "${BIRD_SERVICE:-web}" != worker ] && [ -n "${BIRD_QUEUE_URL:-}" ]; then
    cp requirements-web.txt requirements.txt
elif [ "$(python3 deploy/needed_packages.py)" = requirements-serve.txt ]; then
    cp requirements-serve.txt requirements.txt
elif [ "${BIRD_SERVICE:-web}" = worker ]; then
    cp requirements-worker.txt requirements.txt
fi
if [ "${BIRD_SERVICE:-web}" != worker ]; then
    case "${BIRD_FEEDBACK:-0}" in
    1 | true) cat requirements-feedback.txt >>requirements.txt ;;
    esac
fi
case "${BIRD_QUEUE_URL:-}" in
sqs://*) cat requirements-sqs.txt >>requirements.txt ;;
esac
