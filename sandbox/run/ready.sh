#!/bin/bash
# ready.sh SECONDS: waits until PostgreSQL answers.
. /opt/odoo-agent/env.sh
end=$((SECONDS + ${1:?}))
until pg_isready -q -d postgres; do
  [ $SECONDS -lt $end ] || { echo "PostgreSQL did not start within $1 s" >&2; exit 1; }
  sleep 0.05
done
