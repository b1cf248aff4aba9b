#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Starts the stand-in for Jigasi the way the real start script does: same variables, same defaults.

here=$(dirname "$(readlink -f "$0")")
options=("-Xmx${JIGASI_MAX_MEMORY:-3072m}" "-Djava.library.path=$here/lib")
if [ -f "$here/lib/logging.properties" ]; then
    options+=("-Djava.util.logging.config.file=$here/lib/logging.properties")
fi
# Only in the stand-in: start small and quickly, ten of these share one test machine.
options+=(-Xms24m -XX:TieredStopAtLevel=1)

# This variable and the arguments are split into words, as in the real script.
# shellcheck disable=SC2086,SC2068
exec java "${options[@]}" $JAVA_SYS_PROPS -cp "$here/jigasi.jar:$here/lib/*" org.jitsi.jigasi.Main $@
