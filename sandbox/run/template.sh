#!/bin/bash
# Makes one more template database, in a container whose file system becomes an image. Step by step, each as the user it needs:
#   template.sh serve                              as `db`: the main process; the cluster is the image's own
#   template.sh install SERIES NAME FROM MODULES   as `addon`: installs the modules, with commas between them
#   template.sh finish SERIES NAME                 as root: writes down what is there
#   template.sh stop NAME                          as `db`: nobody changes it any more
set -euo pipefail
. /opt/odoo-agent/env.sh
step=$1
shift
case $step in
  serve)
    exec postgres -D /opt/warm/pg
    ;;
  install)
    series=$1 name=$2 from=$3 modules=$4
    data=/opt/warm/data
    if [ -d "$data/filestore/$from" ]; then cp -a "$data/filestore/$from" "$data/filestore/$name"; fi
    mapfile -t line < <(python3 /opt/odoo-agent/series.py "$series" server "$name" "$data" "")
    cd /tmp
    HOME=/tmp "${line[@]}" -i "$modules" --no-http >/tmp/template.log 2>&1 || { tail -n 30 /tmp/template.log; exit 1; }
    if grep -E ' (ERROR|CRITICAL) ' /tmp/template.log; then exit 1; fi
    rm -rf /tmp/template.log
    psql -X -At -U addon -d "$name" -c "select name from ir_module_module where state = 'installed' order by 1"
    ;;
  finish)
    cat > "/opt/warm/$2.modules"
    PYTHONDONTWRITEBYTECODE=1 python3 /opt/odoo-agent/catalog.py "$1" > /opt/warm/catalog.json
    ;;
  stop)
    psql -X -q -d "$1" -c 'VACUUM ANALYZE'
    bash /opt/odoo-agent/seal.sh "$1"
    psql -X -q -d postgres -c CHECKPOINT
    exec pg_ctl -D /opt/warm/pg -m fast --no-wait stop
    ;;
esac
