#!/bin/bash
# shell.sh, as `db`: runs scripts of this folder, one a line of standard input: TOKEN, script and arguments with tabs between them.
# After what a script prints comes a line with the token and its exit code. It stays open, because starting a command in a
# container takes longer than most of them run.
while IFS=$'\t' read -r -a words; do
  printed=$(bash "/opt/odoo-agent/${words[1]}" "${words[@]:2}" 2>&1 </dev/null)
  code=$?
  printf '%s\n%s %s\n' "$printed" "${words[0]}" "$code"
done
