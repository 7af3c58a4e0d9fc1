# Sourced by the scripts of the image: where things are. What differs between the series of Odoo stands in series.json.
DB_ROOT=/srv/db
SOURCES=/mnt/extra
# Debian keeps one folder a major version; the image has exactly one with a server in it.
for bin in /usr/lib/postgresql/*/bin; do [ -x "$bin/postgres" ] && PATH=$bin:$PATH; done
export PATH PGHOST=$DB_ROOT LC_ALL=C.UTF-8
