#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Starts the stand-in for Jicofo the way the real start script does: same variables, same defaults, same exit codes.

if [ "$1" = "--help" ]; then
    echo "Usage: $0"
    echo "Environment: JICOFO_MAX_MEMORY (3072m), JAVA_SYS_PROPS (java -D options)."
    exit 1
fi

default_config=/etc/jitsi/jicofo/jicofo.conf
case "$JAVA_SYS_PROPS" in
    *-Dconfig.file=*) ;;
    *)
        if [ ! -f "$default_config" ]; then
            echo "No configuration: set JAVA_SYS_PROPS=\"-Dconfig.file=$default_config\"." >&2
            exit 2
        fi
        JAVA_SYS_PROPS="$JAVA_SYS_PROPS -Dconfig.file=$default_config"
        ;;
esac

here=$(dirname "$(readlink -f "$0")")
classpath=$(printf '%s:' "$here"/jicofo*.jar "$here"/lib/*.jar)

options=(
    "-Xmx${JICOFO_MAX_MEMORY:-3072m}"
    -XX:+HeapDumpOnOutOfMemoryError -XX:HeapDumpPath=/tmp
    -Djdk.tls.ephemeralDHKeySize=2048
    # Only in the stand-in: start small and quickly, ten of these share one test machine.
    -Xms24m -XX:TieredStopAtLevel=1
)
if [ -f "$here/lib/logging.properties" ]; then
    options+=("-Djava.util.logging.config.file=$here/lib/logging.properties")
fi

# JAVA_SYS_PROPS and the arguments are split into words, as in the real script.
# shellcheck disable=SC2086,SC2068
exec java "${options[@]}" $JAVA_SYS_PROPS -cp "${classpath%:}" org.jitsi.jicofo.Main $@
