#!/bin/bash
# warm.sh VERSION: runs once while the image is built, as root. Leaves below /opt/warm what a run starts from:
#   pg/          a PostgreSQL cluster with the databases t_base and t_mail, owned by `db`
#   data/        Odoo's data directory with their filestores, owned by `addon`
#   t_*.modules  the modules that are installed in each
set -euo pipefail
version=${1:?usage: warm.sh VERSION}
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

as db initdb -D /opt/warm/pg --no-sync -A peer -U db -E UTF8 --locale=C.UTF-8 >/dev/null
cat >> /opt/warm/pg/postgresql.conf <<X
# A run lives for minutes and is thrown away: nothing has to survive a crash.
fsync = off
full_page_writes = off
synchronous_commit = off
wal_level = minimal
max_wal_senders = 0
min_wal_size = 32MB
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
lap "cluster"

fill() { # fill DATABASE MODULE TEMPLATE
  sql postgres "CREATE DATABASE $1 TEMPLATE $3 OWNER addon STRATEGY FILE_COPY"
  if [ -d "/opt/warm/data/filestore/$3" ]; then cp -a "/opt/warm/data/filestore/$3" "/opt/warm/data/filestore/$1"; fi
  local log=/tmp/warm_$1.log
  (cd /tmp && as addon $(odoo_command "$version") -c /dev/null -d "$1" --db_host="$DB_ROOT" --db_user=addon --data-dir=/opt/warm/data \
    --addons-path="$(core_addons)" -i "$2" --no-http $(odoo_options "$version")) >"$log" 2>&1 \
    || { tail -50 "$log"; echo "warm: installing $2 failed"; exit 1; }
  if grep -E ' (ERROR|CRITICAL) ' "$log"; then echo "warm: installing $2 printed errors"; exit 1; fi
  lap "$1"
}
fill t_base base template0
fill t_mail mail t_base

for name in t_base t_mail; do
  sql "$name" 'VACUUM ANALYZE'
  sql "$name" "select name from ir_module_module where state = 'installed' order by 1" > "/opt/warm/$name.modules"
  echo "warm: $name has $(wc -l < "/opt/warm/$name.modules") modules"
done
# Nobody connects to a template any more, so that cloning it can never fail for being in use.
sql postgres "ALTER DATABASE t_base OWNER TO db; ALTER DATABASE t_mail OWNER TO db"
sql postgres "ALTER DATABASE t_base ALLOW_CONNECTIONS false"
sql postgres "ALTER DATABASE t_mail ALLOW_CONNECTIONS false"
sql postgres CHECKPOINT
as db pg_ctl -D /opt/warm/pg -w -m fast stop >/dev/null
lap "stopped"

# Missing byte code costs five seconds a run, and the root file system is read-only by then.
python3 -m compileall -q -j 0 /usr/lib/python3/dist-packages "$(core_addons)" >/dev/null 2>&1 || true
rm -rf /tmp/* "$DB_ROOT"/.s.* /opt/warm/pg/pg_stat_tmp/* /opt/odoo-agent/warm.sh
chmod -R a+rX /opt/warm/data /opt/odoo-agent
lap "done, $(du -sh /opt/warm/pg | cut -f1) of databases"
