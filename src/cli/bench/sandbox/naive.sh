#!/bin/bash
# naive.sh MODULE SERIES, sources as tar on standard input: what `docker run … odoo -i MODULE --test-enable` does, from nothing.
# A line `@@ NAME SECONDS` says when each step was done. PostgreSQL has its defaults, as `docker run postgres` has them.
set -euo pipefail
exec 2>&1
mark() { echo "@@ $1 $(date +%s.%N)"; }
mark start
. /opt/odoo-agent/env.sh
export PGHOST=/tmp
mkdir /tmp/extra
tar -xf - -C /tmp/extra
initdb -D /tmp/pg -U odoo -A trust -E UTF8 --locale=C.UTF-8 >/dev/null
mark cluster
pg_ctl -D /tmp/pg -w -l /tmp/pg.log -o "-c unix_socket_directories=/tmp -c listen_addresses=" start >/dev/null
mark postgres
createdb -U odoo naive
mark database
core=$(python3 /opt/odoo-agent/series.py "$2" addons)
code=0
odoo server -c /dev/null -d naive --db_host=/tmp --db_user=odoo --data-dir=/tmp/data --addons-path="$core,/tmp/extra" \
  -i "$1" --test-enable --test-tags "/$1" --stop-after-init </dev/null || code=$?
mark end
echo "@@ code $code"
