"""closure.py MODULE PATH...: prints the richest template database that holds nothing the module does not declare.

A template that holds more than the declared dependencies would hide a missing `depends`.
"""

import ast
import pathlib
import sys

WARM = pathlib.Path("/opt/warm")
BASE = "t_base"
MAX_MANIFEST = 1 << 20


def manifests(paths):
    """The manifest of every addon below the paths; the first path that has an addon wins. Unreadable ones are left out."""
    found = {}
    for path in paths:
        for file in sorted(pathlib.Path(path).glob("*/__manifest__.py")):
            if file.parent.name in found:
                continue
            try:
                if file.stat().st_size <= MAX_MANIFEST:
                    manifest = ast.literal_eval(file.read_text(encoding="utf-8", errors="replace").lstrip("\ufeff"))
                    if isinstance(manifest, dict):
                        found[file.parent.name] = manifest
            except (SyntaxError, ValueError, TypeError, OSError, MemoryError, RecursionError):
                continue
    return found


def names(value):
    """The strings of a list that should hold nothing else."""
    return [name for name in value if isinstance(name, str)] if isinstance(value, (list, tuple, set)) else []


def closure(start, known):
    """The modules, what they depend on, and what Odoo then installs by itself."""
    todo, closed = list(start), set()
    while True:
        while todo:
            name = todo.pop()
            if name not in closed:
                closed.add(name)
                todo += names(known.get(name, {}).get("depends")) or (["base"] if name != "base" else [])
        for name, manifest in known.items():
            auto = manifest.get("auto_install")
            if name in closed or not auto:
                continue
            triggers = names(auto) or names(manifest.get("depends"))
            if triggers and closed.issuperset(triggers):
                todo.append(name)
        if not todo:
            return closed


def main(module, paths):
    templates = {file.stem: set(file.read_text().split()) for file in WARM.glob("*.modules")}
    sources, core = paths[0], paths[1:]
    known = manifests(core)
    # A local addon that Odoo would install by itself is not part of what the module declares.
    known |= {name: manifest | {"auto_install": False} for name, manifest in manifests([sources]).items()}
    declared = closure({module} | templates[BASE], known)
    fitting = [name for name, modules in templates.items() if name == BASE or modules <= declared - {module}]
    print(max(fitting, key=lambda name: (len(templates[name]), name)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
