# Sourced by the scripts of the image: where things are, and what differs between the series of Odoo.
DB_ROOT=/srv/db
SOURCES=/mnt/extra
# Debian keeps one folder a major version; the image has exactly one with a server in it.
for bin in /usr/lib/postgresql/*/bin; do [ -x "$bin/postgres" ] && PATH=$bin:$PATH; done
export PATH PGHOST=$DB_ROOT LC_ALL=C.UTF-8

# The command of a series: from 19.0 on the server is a subcommand that must be named.
odoo_command() {
  case ${1%%.*} in
    1[0-8]) echo "odoo" ;;
    *) echo "odoo server" ;;
  esac
}

# What keeps demo data out: the default from 19.0 on, where the old option only earns a warning.
odoo_options() {
  echo "--http-interface=127.0.0.1 --max-cron-threads=0 --stop-after-init"
  case ${1%%.*} in
    1[0-8]) echo "--without-demo=all" ;;
  esac
}

# The folder of Odoo's own addons, the same in Debian's package and in the official images.
core_addons() { echo /usr/lib/python3/dist-packages/odoo/addons; }
