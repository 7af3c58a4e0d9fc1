#!/bin/bash
# egress_relay.sh SECONDS, as `db`, so that the code under test cannot put something else in its place: makes the proxy's socket a port
# of the loopback interface. Comes back when the proxy has refused what it must refuse.
set -euo pipefail
setsid socat -t 10 -T 120 TCP-LISTEN:3128,bind=127.0.0.1,reuseaddr,fork,max-children=64 UNIX-CONNECT:/srv/egress/proxy.sock \
  </dev/null >/dev/null 2>&1 &
answer() {
  exec 3<>/dev/tcp/127.0.0.1/3128 && printf 'GET http://refused.invalid/ HTTP/1.0\r\n\r\n' >&3 && timeout 5 head -n 1 <&3
}
end=$((SECONDS + ${1:?}))
until first=$( (answer) 2>/dev/null) && [[ $first == HTTP/*\ 403\ * ]]; do
  [ $SECONDS -lt $end ] || { echo "the proxy did not refuse a name that is not allowed; it said: $first" >&2; exit 1; }
  sleep 0.05
done
