#!/bin/bash
# core.sh SERIES, as `addon`: prints, as a tar, those sources of Odoo's own addons that say what they define. Tests, translations, libraries
# and styles for browsers are left out, and so are Python files that cannot hold an Odoo model. What every Odoo model has from Odoo itself
# comes as the folder `orm`.
set -euo pipefail
cd "$(python3 /opt/odoo-agent/series.py "$1" addons)"
files() {
  find . -mindepth 2 \( -path '*/static' -o -path '*/tests' -o -path '*/i18n' -o -path '*/migrations' -o -path '*/template' \) -prune -o -type f "$@"
}
{
  # grep answers 1, and xargs 123, where one of its batches holds nothing.
  files -name '*.py' -print0 | xargs -0 grep -lZE '_name|_inherit|.name. *:' -- || [ $? = 123 ]
  files \( -name '*.xml' -o -name '*.csv' \) -size -2048k -print0
  find . -mindepth 4 -path './*/static/src/*' \( -name '*.js' -o -name '*.xml' \) -size -2048k -print0
  # The base of all models is one file up to 18.0, and a folder after that.
  find ../models.py ../orm -name 'models*.py' -print0 2>/dev/null || true
} | tar -cPf - --no-recursion --transform='s,^\.\./\(orm/\)\?,orm/,' --null --files-from=-
