#!/bin/sh
# The same after a change of settings.
exec sh /var/app/current/.platform/hooks/postdeploy/ready.sh
