"""core_tree.py SERIES: prints, as a tar, those sources of Odoo and its own addons that are worth indexing, as `odoo/…`.

Of translations only the entries that stand in code are kept: the rest is ten times as much and names no place.
"""

import io
import os
import pathlib
import subprocess
import sys
import tarfile

KEPT = (".py", ".xml", ".csv", ".js", ".md", ".rst", ".po")
LEFT_OUT = {"tests", "test", "node_modules", "__pycache__", "lib", "img", "fonts", "icons"}
MOST = 8 * 1024 * 1024

addons = subprocess.run(
    [sys.executable, "/opt/odoo-agent/series.py", sys.argv[1], "addons"], check=True, capture_output=True, text=True
).stdout.strip()
# The package `odoo` holds its addons; what it is called on the disk is another matter.
package = pathlib.Path(addons).parent


def of_code(text):
    head, *entries = text.replace(b"\r\n", b"\n").split(b"\n\n")
    kept = [entry for entry in entries if b"#: code:" in entry]
    return b"\n\n".join([head, *kept]) + b"\n" if kept else b""


with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
    for folder, folders, files in os.walk(package):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
        for name in sorted(files):
            path = os.path.join(folder, name)
            if not name.endswith(KEPT) or os.path.islink(path) or os.path.getsize(path) > MOST:
                continue
            with open(path, "rb") as file:
                text = file.read()
            if name.endswith(".po"):
                text = of_code(text)
                if not text:
                    continue
            entry = tarfile.TarInfo("odoo/" + os.path.relpath(path, package))
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
