#!/bin/bash
# state.sh MODULE DATABASE, as `db`: prints the state of the module and how often the kernel ended a process for want of
# memory, then drops the database.
. /opt/odoo-agent/env.sh
# Asked as `addon`: the code under test owns the tables and may have put functions behind them.
state=$(timeout 20 psql -X -At -U addon -d "$2" -c "select state from public.ir_module_module where name = '$1'" 2>/dev/null | head -c 40)
echo "state ${state:-unknown}"
for file in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
  [ -r "$file" ] && sed -n 's/^oom_kill /oom_kill /p' "$file"
done
timeout 20 psql -X -q -d postgres -c "DROP DATABASE IF EXISTS $2 WITH (FORCE)" >&2
