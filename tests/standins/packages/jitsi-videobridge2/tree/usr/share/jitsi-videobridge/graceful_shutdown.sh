#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Asks the bridge to end when the last participant has left, and waits for it. Needs curl, jq, and both REST switches
# (videobridge.apis.rest.enabled, videobridge.rest.shutdown.enabled).
#   -h URL   where the bridge's private HTTP API is (http://localhost:8080)
#   -s       say nothing
base=http://localhost:8080
quiet=
while getopts 'h:p:t:s' option; do
    case "$option" in
        h) base=$OPTARG ;;
        s) quiet=yes ;;
        *) ;;
    esac
done

say() {
    [ -n "$quiet" ] || echo "$@"
}

participants() {
    curl -s "$base/colibri/stats" | jq '.participants - .octo_endpoints'
}

pid=$(pgrep -f 'java.*jitsi-videobridge.jar' | head -n 1)
status=$(curl -s -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' \
    -d '{"graceful-shutdown": "true"}' "$base/colibri/shutdown")
if [ "$status" != 200 ]; then
    echo "The shutdown request was answered with HTTP $status." >&2
    exit 1
fi

say "Graceful shutdown has begun."
while left=$(participants) && [ "${left:-0}" -gt 0 ]; do
    say "$left participants are left."
    sleep 10
done
say "Waiting for process $pid to end."
while [ -n "$pid" ] && [ -d "/proc/$pid" ]; do
    sleep 1
done
say "The bridge has ended."
