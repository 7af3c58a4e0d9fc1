#!/bin/bash
# prepare.sh MODULE DATABASE, as `db`: clones the template that fits the module and prints its name.
# Exits with 64 if it could never be tested.
set -euo pipefail
. /opt/odoo-agent/env.sh
# Odoo's own folder always comes first: what was sent would not be what is tested.
if [ -d "$(core_addons)/$1" ]; then echo "$1 is an addon of Odoo itself, which would be tested in its place" >&2; exit 64; fi
template=$(python3 -I /opt/odoo-agent/closure.py "$1" "$SOURCES" "$(core_addons)")
psql -X -q -v ON_ERROR_STOP=1 -d postgres -c "CREATE DATABASE $2 TEMPLATE $template OWNER addon STRATEGY FILE_COPY"
echo "$template"
