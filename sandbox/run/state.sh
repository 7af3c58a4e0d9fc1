#!/bin/bash
# state.sh DATABASE keep|drop MODULE…, as `db`: prints which of the modules are not installed and how often the kernel ended a
# process for want of memory, then drops the database.
. /opt/odoo-agent/env.sh
database=$1 fate=$2
shift 2
names=$(printf "'%s'," "$@")
# Asked as `addon`: the code under test owns the tables and may have put functions behind them.
installed=$(timeout 20 psql -X -At -U addon -d "$database" \
  -c "select name from public.ir_module_module where state = 'installed' and name in (${names%,})" 2>/dev/null | head -c 65536)
for module in "$@"; do
  grep -qxF -- "$module" <<<"$installed" || echo "missing $module"
done
for file in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
  [ -r "$file" ] && sed -n 's/^oom_kill /oom_kill /p' "$file"
done
# What `addon` can leave behind outside its own database: sessions, settings of its role, large objects.
tidy=(-c "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'addon'"
  -c "DELETE FROM pg_db_role_setting WHERE setrole = 'addon'::regrole" -c "DROP OWNED BY addon"
  -c "VACUUM pg_largeobject" -c "VACUUM pg_largeobject_metadata")
[ "$fate" = keep ] || tidy+=(-c "DROP DATABASE IF EXISTS $database WITH (FORCE)")
timeout 60 psql -X -q -v ON_ERROR_STOP=1 -d postgres "${tidy[@]}" >/dev/null && echo "end"
