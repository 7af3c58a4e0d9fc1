#!/bin/bash
# Replaces the sources under test by the tar on standard input. Runs as root without capabilities: what it writes is
# root's, so the code under test cannot change what it is judged by.
set -euo pipefail
. /opt/odoo-agent/env.sh
umask 022
find "$SOURCES" -mindepth 1 -delete
exec tar -xf - -C "$SOURCES" --no-same-owner
