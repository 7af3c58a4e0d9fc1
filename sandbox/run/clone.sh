#!/bin/bash
# clone.sh DATABASE TEMPLATE, as `db`: makes a database for a run.
set -euo pipefail
. /opt/odoo-agent/env.sh
exec psql -X -q -v ON_ERROR_STOP=1 -d postgres -c "CREATE DATABASE $1 TEMPLATE $2 OWNER addon STRATEGY FILE_COPY"
