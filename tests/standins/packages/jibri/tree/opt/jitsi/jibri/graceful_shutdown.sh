#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
PORT=$(hocon -f /etc/jitsi/jibri/jibri.conf get jibri.api.http.internal-api-port 2> /dev/null || echo 3333)
curl -sX POST "http://127.0.0.1:$PORT/jibri/api/internal/v1.0/gracefulShutdown"
