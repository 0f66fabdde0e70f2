#!/bin/sh
# A deployment is done when the model is loaded. It fails if that takes more than five minutes.
port=8000
[ "${BIRD_SERVICE:-web}" = worker ] && port=${BIRD_HEALTH_PORT:-8000}
deadline=$(($(date +%s) + 300))
while [ "$(date +%s)" -lt "$deadline" ]; do
    # A web process that has no worker yet answers 503, but is ready. While it is starting, its answer has no mode.
    if curl --silent --max-time 5 "http://127.0.0.1:$port/healthz" | grep -q '"mode"'; then
        exit 0
    fi
    sleep 2
done
echo "The app is not ready after five minutes. /var/log/web.stdout.log says why." >&2
exit 1
