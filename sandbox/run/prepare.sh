#!/bin/bash
# prepare.sh MODULE DATABASE, as `db`: clones the template that fits the module and prints its name.
set -euo pipefail
. /opt/odoo-agent/env.sh
template=$(python3 -I /opt/odoo-agent/closure.py "$1" "$SOURCES" "$(core_addons)")
psql -X -q -v ON_ERROR_STOP=1 -d postgres -c "CREATE DATABASE $2 TEMPLATE $template OWNER addon STRATEGY FILE_COPY"
echo "$template"
