#!/bin/sh
# A deployment is done when the model has been loaded, and has failed when it has not been within five minutes.
for _ in $(seq 150); do
    # With a queue, the web is ready even while no worker is: it is not ready alone that has no mode yet.
    if curl --silent --max-time 5 http://127.0.0.1:8000/healthz | grep -q '"mode"'; then
        exit 0
    fi
    sleep 2
done
echo "The app is not ready after five minutes. /var/log/web.stdout.log says why." >&2
exit 1
