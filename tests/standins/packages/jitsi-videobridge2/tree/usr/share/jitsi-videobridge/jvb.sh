#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Starts the stand-in for Jitsi Videobridge the way the real start script does: same variables, same defaults.

here=$(dirname "$(readlink -f "$0")")
if [ -f "$here/lib/videobridge.rc" ]; then
    . "$here/lib/videobridge.rc"
fi

options=(
    "-Xmx${VIDEOBRIDGE_MAX_MEMORY:-3072m}"
    "-XX:+Use${VIDEOBRIDGE_GC_TYPE:-G1GC}"
    -XX:+HeapDumpOnOutOfMemoryError -XX:HeapDumpPath=/tmp
    -Djdk.tls.ephemeralDHKeySize=2048
    # Only in the stand-in: start small and quickly, ten of these share one test machine.
    -Xms24m -XX:TieredStopAtLevel=1
)
if [ -f "$here/lib/logging.properties" ]; then
    options+=("-Djava.util.logging.config.file=$here/lib/logging.properties")
fi

# These variables and the arguments are split into words, as in the real script.
# shellcheck disable=SC2086,SC2068
exec java "${options[@]}" $VIDEOBRIDGE_DEBUG_OPTIONS $JAVA_SYS_PROPS \
    -cp "$here/jitsi-videobridge.jar:$here/lib/*" org.jitsi.videobridge.MainKt $@
