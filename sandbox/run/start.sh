#!/bin/bash
# The main process of a sandbox, as `db`: copies the cluster into memory and serves it until the container is removed.
set -euo pipefail
. /opt/odoo-agent/env.sh
cp -a /opt/warm/pg "$DB_ROOT/pg"
exec postgres -D "$DB_ROOT/pg"
