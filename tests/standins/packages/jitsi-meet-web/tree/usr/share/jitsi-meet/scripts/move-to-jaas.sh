#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The real script talks to a service on the Internet; the stand-in does not.
echo "$0: a stand-in, nothing was done." >&2
exit 1
