#!/bin/sh
# After a change of settings, wait until the app is ready, as after a deployment.
exec sh /var/app/current/.platform/hooks/postdeploy/ready.sh
