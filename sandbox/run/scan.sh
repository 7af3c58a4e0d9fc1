#!/bin/bash
# scan.sh, as `addon`: prints, as JSON, what a scanner finds in the Python files of the tar on standard input. Nothing in them is run,
# and no comment in them switches the scanner off.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
tar -xf - -C "$folder" --no-same-owner || exit 64
cd "$folder"
# Its own list of what to leave out goes by parts of names; nothing is left out here.
HOME=$folder bandit -q --ignore-nosec --exit-zero -x /nonexistent -f json -r . 2>/dev/null
