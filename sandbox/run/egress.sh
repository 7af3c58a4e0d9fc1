#!/bin/bash
# egress.sh PATTERN…: the main process of a container beside a sandbox, as a user of its own. Requests that come over the socket are
# passed on if one of the patterns matches their URL. The socket is all that the two containers share.
set -euo pipefail
printf '%s\n' "$@" >/tmp/allowed
tinyproxy -d -c /opt/odoo-agent/egress.conf &
socat -t 10 -T 120 UNIX-LISTEN:/srv/egress/proxy.sock,mode=0660,fork,max-children=64 TCP-CONNECT:127.0.0.1:8888 &
# One without the other is of no use.
wait -n
exit 1
