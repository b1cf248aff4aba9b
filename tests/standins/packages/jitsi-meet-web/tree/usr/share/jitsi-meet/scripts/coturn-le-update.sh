#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Gives coturn its own copy of the web server's certificate, readable for its user only.
set -e
host=$1
conf=/etc/turnserver.conf
certs=/etc/coturn/certs
if [ -z "$host" ]; then
    echo "Usage: $0 HOST" >&2
    exit 10
fi
if [ ! -f "$conf" ] || ! grep -q "jitsi-meet coturn config" "$conf"; then
    exit 0
fi
install -d -m 700 -o turnserver -g turnserver /etc/coturn "$certs"
install -m 400 -o turnserver "/etc/jitsi/meet/$host.crt" "$certs/$host.fullchain.pem"
install -m 400 -o turnserver "/etc/jitsi/meet/$host.key" "$certs/$host.privkey.pem"
sed -i -e "s|^cert.*|cert=$certs/$host.fullchain.pem|" -e "s|^pkey.*|pkey=$certs/$host.privkey.pem|" "$conf"
service coturn restart
