#!/bin/bash
# Replaces the sources under test by the tar on standard input. Runs as root without capabilities: what it writes is
# root's, so the code under test cannot change what it is judged by. Exits with 64 if the tar cannot be unpacked.
set -euo pipefail
. /opt/odoo-agent/env.sh
umask 022
find "$SOURCES" -mindepth 1 -delete
tar -xf - -C "$SOURCES" --no-same-owner || exit 64
