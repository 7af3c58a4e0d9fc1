#!/bin/bash
# test.sh VERSION MODULE DATABASE TEMPLATE SECONDS, as `addon`: installs the module and runs its tests.
# The exit code is Odoo's; 124 or 137 if the time was up.
set -u
. /opt/odoo-agent/env.sh
version=$1 module=$2 database=$3 template=$4 seconds=$5
data=/tmp/data
mkdir -p "$data/filestore"
if [ -d "/opt/warm/data/filestore/$template" ]; then cp -a "/opt/warm/data/filestore/$template" "$data/filestore/$database"; fi
cd /tmp
export HOME=/tmp PYTHONDONTWRITEBYTECODE=1
exec timeout --kill-after=5 "$seconds" $(odoo_command "$version") -c /dev/null -d "$database" --db_host="$DB_ROOT" --db_user=addon \
  --data-dir="$data" --addons-path="$(core_addons),$SOURCES" -i "$module" --test-enable --test-tags "/$module" $(odoo_options "$version") 2>&1
