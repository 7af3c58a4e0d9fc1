#!/usr/bin/env bash
# Fetches an OCA addon from PyPI and unpacks its folder.
#
#   scripts/fetch-addon.sh NAME VERSION DEST     puts odoo-addon-NAME==VERSION into DEST/<technical name>
#
# Prints the folder. An addon that is there in this version is left alone. Tests fetch rather than carry other people's code.
set -euo pipefail
umask 022
export LC_ALL=C PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

die() {
    echo "fetch-addon: $*" >&2
    exit 1
}

[[ $# -eq 3 ]] || die 'usage: scripts/fetch-addon.sh NAME VERSION DEST, such as: base-time-window 18.0.1.1.1 addons'
name=${1#odoo-addon-} version=$2 dest=$3
[[ $name =~ ^[A-Za-z0-9][A-Za-z0-9_.-]*$ ]] || die "$name is no name of a package"
[[ $version =~ ^[0-9][0-9A-Za-z.+]*$ ]] || die "$version is no version"

# The module is named as the package, with underscores; the archive has the last word.
stamp=".${name//-/_}.version"
mkdir -p "$dest"
if [[ -f $dest/$stamp && $(<"$dest/$stamp") == "$version "* ]]; then
    folder=$(cut -d' ' -f2 "$dest/$stamp")
    if [[ -d $dest/$folder ]]; then
        echo "$dest/$folder"
        exit 0
    fi
fi

# Beside the destination, so that the last step is a rename and nobody ever sees half an addon.
work=$(mktemp -d "$dest/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
if python3 -m pip --version >/dev/null 2>&1; then
    pip=(python3 -m pip)
else
    python3 -m venv "$work/venv" >/dev/null || die 'python3 has neither pip nor venv: run make setup'
    pip=("$work/venv/bin/python" -m pip)
fi
# A wheel is only unpacked; for a source archive pip runs its build backend to learn its name, so it comes second.
get() { "${pip[@]}" -q download --no-deps --ignore-requires-python "$@" -d "$work/archive" "odoo-addon-$name==$version"; }
get --only-binary=:all: 2>"$work/wheel.log" || get --no-binary=:all: 2>"$work/sdist.log" || {
    tail -n 3 "$work/wheel.log" "$work/sdist.log" >&2
    die "pip could not fetch odoo-addon-$name==$version: is the version right, and PyPI reachable?"
}

python3 - "$work" "${name//-/_}" <<'PY' || die "the archive of odoo-addon-$name==$version could not be read"
import glob, os, posixpath, sys, tarfile, zipfile

work, addon = sys.argv[1:]
(archive,) = glob.glob(os.path.join(glob.escape(work), "archive", "*"))
if archive.endswith((".whl", ".zip")):
    box = zipfile.ZipFile(archive)
    members = {n: (lambda n=n: box.read(n)) for n in box.namelist() if not n.endswith("/")}
else:
    box = tarfile.open(archive)
    members = {m.name: (lambda m=m: box.extractfile(m).read()) for m in box.getmembers() if m.isfile()}

# A wheel has odoo/addons/NAME/…; a source archive has the same below PACKAGE-VERSION/, or the addon itself right there.
roots = {posixpath.dirname(n) for n in members if posixpath.basename(n) in ("__manifest__.py", "__openerp__.py")}
if not roots:
    sys.exit("no addon in " + os.path.basename(archive))
root = min(roots, key=lambda path: (path.count("/"), path))
folder = posixpath.basename(root) if posixpath.basename(root).isidentifier() else addon
for name, read in members.items():
    within = posixpath.relpath(name, root or ".")
    # Translations and pictures of the store page are weight without use here.
    if within.startswith("..") or posixpath.isabs(within) or within.startswith("i18n/") or within.startswith("static/description/"):
        continue
    path = os.path.join(work, "out", folder, *within.split("/"))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(read())
PY
folder=$(basename "$(echo "$work"/out/*)")
rm -rf "${dest:?}/$folder"
mv "$work/out/$folder" "$dest/$folder"
echo "$version $folder" >"$dest/$stamp"
echo "$dest/$folder"
