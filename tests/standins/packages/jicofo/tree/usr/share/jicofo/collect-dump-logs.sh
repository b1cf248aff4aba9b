#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Packs what a bug report needs into the current folder. The stand-in collects its logs only.
set -e
archive="jicofo-dumps-$(date +%Y-%m-%d-%H%M).tgz"
tar czf "$archive" /var/log/jitsi/jicofo*
echo "$archive"
