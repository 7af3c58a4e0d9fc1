"""What differs between the series of Odoo, read from series.json.

series.py SERIES server: prints the command and the options that every run of that series has, one a line.
series.py SERIES addons: prints the folder of Odoo's own addons.
"""

import functools
import importlib
import json
import pathlib
import sys

TABLE = pathlib.Path("/opt/odoo-agent/series.json")
SOURCES = "/mnt/extra"
DB_ROOT = "/srv/db"
EVERYWHERE = ["--http-interface=127.0.0.1", "--max-cron-threads=0", "--stop-after-init"]


class Series:
    """One row of the table."""

    def __init__(self, name):
        self.name = name
        row = json.loads(TABLE.read_text())[name]
        self.server = row["server"]
        self.addons = row["addons"]
        self._options = row["options"]
        self._load = row["load"]
        self._listing = row["listing"]

    def options(self, database, data, sources=SOURCES):
        """The options of one run of the server, without what it is to do."""
        paths = ",".join(path for path in (self.addons, sources) if path)
        return [
            "-c", "/dev/null", "-d", database, f"--db_host={DB_ROOT}", "--db_user=addon",
            f"--data-dir={data}", f"--addons-path={paths}", *EVERYWHERE, *self._options,
        ]

    def load(self, module):
        """Imports an addon as Odoo does when it loads a registry, its hook after loading included."""
        owner, name = _found(self._load)
        getattr(owner, name)(module)

    def list_only(self, folder, names=None):
        """Makes Odoo see only the addons of this folder, or only those of these names, as new or changed.

        Those of Odoo itself are in every template as this image has them; comparing hundreds of manifests with their
        rows once more would change nothing and take most of a second.
        """
        for at in self._listing["at"]:
            owner, name = _found(at)
            whole = getattr(owner, name)
            narrow = _names if self._listing["of"] == "names" else _manifests
            setattr(owner, name, functools.partial(narrow, whole, folder, names))


def _names(_whole, folder, only):
    found = (path.parent.name for path in pathlib.Path(folder).glob("*/__manifest__.py"))
    return sorted(name for name in found if only is None or name in only)


def _manifests(_whole, folder, only):
    from odoo.modules.module import Manifest

    found = (Manifest.for_addon(name, display_warning=False) for name in _names(None, folder, only))
    return [manifest for manifest in found if manifest]


def _found(place):
    module, _, path = place.partition(":")
    owner = importlib.import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    return owner, name


if __name__ == "__main__":
    series = Series(sys.argv[1])
    if sys.argv[2] == "addons":
        print(series.addons)
    else:
        print("\n".join([*series.server, *series.options(*sys.argv[3:])]))
