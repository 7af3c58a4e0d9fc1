"""catalog.py SERIES: prints, as JSON, the addons of Odoo itself with what they depend on, and the template databases."""

import ast
import json
import pathlib
import sys

from series import Series

WARM = pathlib.Path("/opt/warm")


def names(value):
    """The strings of a list that should hold nothing else."""
    return [name for name in value if isinstance(name, str)] if isinstance(value, (list, tuple, set)) else []


def read(file):
    """What one manifest says about other addons."""
    manifest = ast.literal_eval(file.read_text(encoding="utf-8").lstrip("\ufeff"))
    depends = names(manifest.get("depends")) or ([] if file.parent.name == "base" else ["base"])
    auto = manifest.get("auto_install", False)
    triggers = names(auto) if isinstance(auto, (list, tuple, set)) else depends if auto else None
    return {
        "depends": sorted(depends),
        "auto_install": None if triggers is None else sorted(triggers),
        "installable": bool(manifest.get("installable", True)),
    }


def main(series):
    core = {file.parent.name: read(file) for file in sorted(pathlib.Path(series.addons).glob("*/__manifest__.py"))}
    templates = {file.stem: file.read_text().split() for file in sorted(WARM.glob("*.modules"))}
    print(json.dumps({"series": series.name, "core": core, "templates": templates}, sort_keys=True))


if __name__ == "__main__":
    main(Series(sys.argv[1]))
