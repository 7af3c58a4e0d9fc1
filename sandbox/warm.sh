#!/bin/bash
# warm.sh SERIES: runs once while the image is built, as root. Leaves below /opt/warm what a run starts from:
#   pg/          a PostgreSQL cluster with the template databases, owned by `db`
#   data/        Odoo's data directory with their filestores, owned by `addon`
#   t_*.modules  the modules that are installed in each
#   catalog.json those, and what every addon of Odoo itself depends on
set -euo pipefail
series=${1:?usage: warm.sh SERIES}
. /opt/odoo-agent/env.sh
# Two users: the code under test runs as `addon` and can reach neither the cluster's files nor its templates.
for user in addon:64001 db:64002; do
  groupadd --gid "${user#*:}" "${user%:*}"
  useradd --uid "${user#*:}" --gid "${user#*:}" --home-dir /tmp --no-create-home --shell /usr/sbin/nologin "${user%:*}"
done
install -d -m 0755 /opt/warm /mnt/extra
install -d -m 0700 -o db -g db /opt/warm/pg
install -d -m 0755 -o addon -g addon /opt/warm/data
install -d -m 0755 -o db -g db "$DB_ROOT"
chmod 0755 /opt/odoo-agent/*.sh

as() { local user=$1; shift; setpriv --reuid="$user" --regid="$user" --clear-groups env HOME=/tmp "$@"; }
lap() { echo "warm: $1 ($SECONDS s)"; }
sql() { as db psql -X -q -v ON_ERROR_STOP=1 -d "$1" -At -c "$2"; }

as db initdb -D /opt/warm/pg --no-sync --wal-segsize=1 -A peer -U db -E UTF8 --locale=C.UTF-8 >/dev/null
cat >> /opt/warm/pg/postgresql.conf <<X
# A run lives for minutes and is thrown away: nothing has to survive a crash.
fsync = off
full_page_writes = off
synchronous_commit = off
wal_level = minimal
max_wal_senders = 0
min_wal_size = 2MB
max_wal_size = 256MB
checkpoint_timeout = 1h
unix_socket_directories = '$DB_ROOT'
listen_addresses = ''
autovacuum = off
jit = off
shared_buffers = 128MB
dynamic_shared_memory_type = mmap
log_min_messages = fatal
log_min_error_statement = panic
X
# `db` may act for `addon`, never the other way round.
echo 'local all all peer map=sandbox' > /opt/warm/pg/pg_hba.conf
printf 'sandbox db db\nsandbox db addon\nsandbox addon addon\n' > /opt/warm/pg/pg_ident.conf
as db pg_ctl -D /opt/warm/pg -w -l /tmp/pg.log start >/dev/null || { cat /tmp/pg.log; exit 1; }
as db createuser addon
# Odoo asks for `postgres` when it starts; nothing has to be able to reach the other one, which every new cluster has.
sql postgres 'REVOKE CONNECT ON DATABASE template1 FROM PUBLIC'
lap "cluster"

fill() { # fill DATABASE MODULES TEMPLATE
  sql postgres "CREATE DATABASE $1 TEMPLATE $3 OWNER addon STRATEGY FILE_COPY"
  if [ -d "/opt/warm/data/filestore/$3" ]; then cp -a "/opt/warm/data/filestore/$3" "/opt/warm/data/filestore/$1"; fi
  local log=/tmp/warm_$1.log line
  mapfile -t line < <(python3 /opt/odoo-agent/series.py "$series" server "$1" /opt/warm/data "")
  (cd /tmp && as addon "${line[@]}" -i "$2" --no-http) >"$log" 2>&1 || { tail -50 "$log"; echo "warm: installing $2 failed"; exit 1; }
  if grep -E ' (ERROR|CRITICAL) ' "$log"; then echo "warm: installing $2 printed errors"; exit 1; fi
  templates+=("$1")
  lap "$1"
}
# What addons are built on most; one more costs some 40 MB and some seconds here. What else is asked for often gets a template later
# (see template.sh).
templates=()
fill t_base base template0
fill t_mail mail t_base
fill t_contacts contacts t_mail
fill t_product product t_mail
fill t_account account t_product
fill t_sale sale_management t_account
fill t_stock stock t_product
fill t_purchase purchase t_account
fill t_crm crm t_contacts
fill t_hr hr t_mail
fill t_project project t_mail
fill t_website website t_mail
fill t_sale_stock sale_stock t_sale
fill t_purchase_stock purchase_stock t_purchase
fill t_mrp mrp t_stock
fill t_apps crm,purchase_stock,project,hr t_sale_stock

for name in "${templates[@]}"; do
  sql "$name" 'VACUUM ANALYZE'
  sql "$name" "select name from ir_module_module where state = 'installed' order by 1" > "/opt/warm/$name.modules"
  echo "warm: $name has $(wc -l < "/opt/warm/$name.modules") modules"
  as db bash /opt/odoo-agent/seal.sh "$name"
done
as db psql -X -q -d postgres -c CHECKPOINT
as db pg_ctl -D /opt/warm/pg -w -m fast stop >/dev/null
lap "stopped"

# Missing byte code costs five seconds a run, and the root file system is read-only by then.
python3 -m compileall -q -j 0 /usr/lib/python3/dist-packages "$(python3 /opt/odoo-agent/series.py "$series" addons)" >/dev/null 2>&1 || true
PYTHONDONTWRITEBYTECODE=1 python3 /opt/odoo-agent/catalog.py "$series" > /opt/warm/catalog.json
rm -rf /tmp/* "$DB_ROOT"/.s.* /opt/warm/pg/pg_stat_tmp/* /opt/odoo-agent/warm.sh
chmod -R a+rX /opt/warm/data /opt/odoo-agent
lap "done, $(du -sh /opt/warm/pg | cut -f1) of databases"
