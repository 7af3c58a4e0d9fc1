#!/bin/bash
# lint.sh SERIES, as `addon`: has the linter mend a copy of the sources in the tar on standard input. Prints a tar of what it found before
# that, `findings.json`, and of every file that it rewrote, below `after/`. Nothing in the sources is run, and no settings in them count.
# Exits with 64 if the tar cannot be unpacked and with 69 if the image has no linter.
set -euo pipefail
odl=/opt/linter/odl
[ -x "$odl" ] || exit 69
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/after"
tar -xf - -C "$folder/after" --no-same-owner || exit 64
# Sources come read-only.
chmod -R u+rwX "$folder/after"
: >"$folder/settings.toml"
# What Odoo of this series rejects or ignores. Matters of style would bury the one line that mends.
rules=U,E0001,F8101,C8106,W8105,W8111,MOD001,XML001,XML011,XML014
lint() { HOME=$folder "$odl" check --config "$folder/settings.toml" --version "$1" --select "$rules" --exit-zero "${@:2}" .; }
cd "$folder/after"
lint "$1" --output-format json >"$folder/findings.json" 2>/dev/null
lint "$1" --fix >/dev/null 2>&1
cd "$folder"
# The tar gave every file a time long past.
find after -type f -newermt 2021-01-01 -print0 >changed
tar -cf - --null findings.json -T changed 2>/dev/null
