#!/usr/bin/env bash
# Fetches the addons that `make bench-sandbox` measures with, and prints the options that name them to `odoo-agent bench sandbox`.
#
#   scripts/bench-addons.sh [DIR]
#
# DIR is kept between runs (default: $BENCH_DIR, else /var/tmp/odoo-agent-bench for root, ~/.cache/odoo-agent-bench for others).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

# Of different depth, all with tests that pass: on base only, on product, on mail, and on much of the applications.
addons=(
    partner-firstname==19.0.1.0.3
    product-state==19.0.1.0.1.4
    partner-identification==19.0.1.2.0.3
    sale-order-type==19.0.1.6.1
)

if [[ $EUID -eq 0 ]]; then dir=/var/tmp/odoo-agent-bench; else dir=${HOME:?}/.cache/odoo-agent-bench; fi
dir=${1:-${BENCH_DIR:-$dir}}
mkdir -p "$dir"
options=(--addons "$dir")
for addon in "${addons[@]}"; do
    folder=$("$here/fetch-addon.sh" "${addon%%==*}" "${addon##*==}" "$dir")
    options+=(--module "${folder##*/}")
done
echo "${options[@]}"
