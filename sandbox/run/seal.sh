#!/bin/bash
# seal.sh DATABASE, as `db`: from now on the database can only be cloned, so that no later run can change it.
set -euo pipefail
. /opt/odoo-agent/env.sh
exec psql -X -q -v ON_ERROR_STOP=1 -d postgres -c "ALTER DATABASE $1 OWNER TO db" -c "ALTER DATABASE $1 ALLOW_CONNECTIONS false"
