#!/usr/bin/env bash
# Makes the sources that `make bench-knowledge` indexes, and prints the options that name them to `odoo-agent bench knowledge`; nothing without QUERIES.
#
#   scripts/bench-sources.sh [QUERIES [DIR]]
#
# QUERIES holds *.jsonl, past_errors.jsonl and prepare.py, which makes the tree out of Odoo's package; that is copied out of the sandbox image.
# DIR is kept between runs (default: $BENCH_DIR, else /var/tmp/odoo-agent-bench for root, ~/.cache/odoo-agent-bench for others).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
queries=${1:-}
[[ -n $queries && -f $queries/prepare.py ]] || exit 0

if [[ $EUID -eq 0 ]]; then dir=/var/tmp/odoo-agent-bench; else dir=${HOME:?}/.cache/odoo-agent-bench; fi
tree=${2:-${BENCH_DIR:-$dir}}/retrieval
if [[ ! -d $tree/done ]]; then
    rm -rf "$tree"
    mkdir -p "$tree"
    binary=$here/../target/release/odoo-agent
    image=$("$binary" image --odoo-version 19.0 2>/dev/null | tail -n 1)
    container=$(docker create "$image")
    trap 'docker rm "$container" >/dev/null' EXIT
    # As an archive: a copy to the disk refuses links that lead out of the folder, and fonts have such.
    docker cp "$container:/usr/lib/python3/dist-packages/odoo" - | tar -xf - -C "$tree"
    python3 "$queries/prepare.py" "$tree" "$tree/odoo" >&2
    rm -rf "$tree/odoo"
    mkdir "$tree/done"
fi
echo "--queries $queries --core $tree/core --oca $tree/oca --errors $queries/past_errors.jsonl"
