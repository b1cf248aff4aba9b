#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Make this host an exchange: kamailio with a certificate of an authority of its own. The argument is its address.
set -e
cd /srv/pbx
echo "$1" > address
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj '/CN=Authority of an exchange' -keyout ca.key -out ca.crt 2> /dev/null
openssl req -newkey rsa:2048 -nodes -subj '/CN=pbx.lab.test' -keyout pbx.key -out pbx.csr 2> /dev/null
printf 'subjectAltName=DNS:pbx.lab.test\nextendedKeyUsage=serverAuth\n' > pbx.ext
openssl x509 -req -in pbx.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile pbx.ext -out pbx.crt 2> /dev/null
chgrp kamailio pbx.key
chmod 640 pbx.key
sed "s/@ADDRESS@/$1/g" kamailio.cfg > /etc/kamailio/kamailio.cfg
cp tls.cfg /etc/kamailio/tls.cfg
systemctl restart kamailio
