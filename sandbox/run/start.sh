#!/bin/bash
# The main process of a sandbox, as `db`: serves a cluster in memory until the container is removed. The templates stay in the
# image: a clone reads them from there, so that they cost neither memory nor time before they are needed.
set -euo pipefail
. /opt/odoo-agent/env.sh
warm=/opt/warm/pg cluster=$DB_ROOT/pg
install -d -m 0700 "$cluster" "$cluster/base"
for entry in "$warm"/*; do
  [ "${entry##*/}" = base ] || cp -a "$entry" "$cluster/"
done
# 5 is always `postgres`, the one database that is connected to and may be written.
for database in "$warm"/base/*; do
  if [ "${database##*/}" = 5 ]; then cp -a "$database" "$cluster/base/"; else ln -s "$database" "$cluster/base/"; fi
done
exec postgres -D "$cluster"
