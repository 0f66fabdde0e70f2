#!/bin/sh
# A deployment is done when the model has been loaded, and has failed when it has not been within five minutes.
port=8000
[ "${BIRD_SERVICE:-web}" = worker ] && port=${BIRD_HEALTH_PORT:-8000}
deadline=$(($(date +%s) + 300))
while [ "$(date +%s)" -lt "$deadline" ]; do
    # With a queue, the web is ready even while no worker is: it is not ready alone that has no mode yet.
    if curl --silent --max-time 5 "http://127.0.0.1:$port/healthz" | grep -q '"mode"'; then
        exit 0
    fi
    sleep 2
done
echo "The app is not ready after five minutes. /var/log/web.stdout.log says why." >&2
exit 1
