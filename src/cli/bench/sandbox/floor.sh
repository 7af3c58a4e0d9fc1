#!/bin/bash
# floor.sh prepare|run MODULE SERIES DATABASE, as `addon`: one fresh process of Odoo, which installs the addon (`prepare`), or finds
# it installed and does nothing but load its registry and run its tests (`run`).
set -euo pipefail
exec 2>&1
what=$1 module=$2 series=$3 database=$4 store=/tmp/data/filestore
export HOME=/tmp
cd /tmp
if [ "$what" = run ]; then
  mkdir -p "$store/prepared"
  cp -r "$store/prepared" "$store/$database"
  todo=(--test-enable --test-tags "/$module")
else
  mkdir -p "$store"
  if [ -d /opt/warm/data/filestore/t_base ]; then cp -r /opt/warm/data/filestore/t_base "$store/$database"; fi
  todo=(-i "$module")
fi
mapfile -t line < <(python3 -EsB /opt/odoo-agent/series.py "$series" server "$database" /tmp/data)
code=0
echo "@@ database $(date +%s.%N)"
"${line[@]}" "${todo[@]}" </dev/null || code=$?
echo "@@ end $(date +%s.%N)"
echo "@@ code $code"
if [ "$what" = run ]; then rm -rf "${store:?}/$database"; fi
