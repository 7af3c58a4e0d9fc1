#!/usr/bin/env python3
"""The main job on real input: OCA addons that break on Odoo 19.0, from the log of a real Odoo to a proven fix.

Run it with `make demo`. It fetches four addons from PyPI, has real Odoo print what is wrong with each, posts those logs
to the webhook of a running odoo-agent, and follows each job to its end. Nothing here knows an answer.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
AGENT = pathlib.Path(os.environ.get("DEMO_AGENT", ROOT / "target/debug/odoo-agent"))
WORK = pathlib.Path(os.environ.get("DEMO_DIR", "/var/tmp/odoo-agent-demo" if os.geteuid() == 0 else pathlib.Path.home() / ".cache/odoo-agent-demo"))
# What is fetched: the release of an older series, whose 19.0 release is the known answer.
ADDONS = [
    ("base-menu-visibility-restriction", "18.0.1.0.0.4"),
    ("sequence-reset-period", "16.0.1.0.0.10"),
    ("partner-priority", "15.0.1.0.0.7"),
    ("base-optional-quick-create", "18.0.1.0.1.4"),
]
COLOR = sys.stdout.isatty()


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOR else text


def say(text=""):
    print(text, flush=True)


def title(text):
    say()
    say(paint("1", f"== {text}"))


def run(*command, **options):
    return subprocess.run([str(part) for part in command], check=True, **options)


def fetch(name, version):
    """One addon into its own copy, its manifest raised to 19.0 as everyone who ports it does first."""
    cache = WORK / "fetched" / f"{name}-{version}"
    if not cache.is_dir():
        partial = cache.with_name(cache.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        run(ROOT / "scripts/fetch-addon.sh", name, version, partial, stdout=subprocess.DEVNULL)
        partial.rename(cache)
        say(f"   {name} {version}: fetched from PyPI")
    else:
        say(f"   {name} {version}: fetched before")
    module = next(folder.name for folder in cache.iterdir() if (folder / "__manifest__.py").is_file())
    shutil.copytree(cache / module, WORK / "addons" / module)
    manifest = WORK / "addons" / module / "__manifest__.py"
    series = version.split(".")[0]
    manifest.write_text(re.sub(rf"""(["']version["']:\s*["']){series}\.0\.""", r"\g<1>19.0.", manifest.read_text()))
    return module


def odoo_log(module):
    """What a real Odoo 19.0 prints when it installs the addon and runs its tests."""
    log = WORK / "logs" / f"{module}.log"
    with open(log, "wb") as out:
        subprocess.run([AGENT, "test", "--addons", WORK / "addons", "--module", module], stdout=out, check=False)
    text = log.read_bytes()
    lines = [line for line in text.decode(errors="replace").splitlines() if re.search(r"(Error|Exception|no longer supported)\b", line)]
    say(f"   {module}: {len(text)} bytes of log; {lines[-1][:110] if lines else 'no error?'}")
    return text


class Agent:
    """A running `odoo-agent up`, spoken to over HTTP like any other client would."""

    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        settings = WORK / "odoo-agent.toml"
        data = WORK / "data"
        settings.write_text(
            f'data_dir = "{data}"\n[api]\nbind = "127.0.0.1:{port}"\n[telemetry]\nfilter = "warn"\n'
            f'[tenants.default]\naddons = ["{WORK / "addons"}"]\n'
        )
        self.settings = settings
        self.process = subprocess.Popen([AGENT, "--config", settings, "up"])
        key = data / "api-key"
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/readyz", timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    sys.exit("odoo-agent up did not come up; its log is above")
                time.sleep(0.2)
        self.key = key.read_text().strip()

    def call(self, path, body=None, content_type="text/plain"):
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": content_type}
        return urllib.request.urlopen(urllib.request.Request(self.url + path, data=body, headers=headers), timeout=3600)

    def json(self, path, body=None):
        with self.call(path, body) as answer:
            return json.load(answer)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def follow(agent, module, log):
    started = time.monotonic()
    event = agent.json("/v1/ingest/odoo", log)["events"][0]
    step("received", f"202, event {event}")
    while (read := agent.json(f"/v1/ingest/{event}"))["state"] != "read":
        time.sleep(0.05)
    runs = [error["run"] for error in read["errors"] if error.get("run")]
    if not runs:
        sys.exit(f"the log of {module} led to no job: {read}")
    with agent.call(f"/v1/jobs/{runs[0]}/events") as steps:
        for line in steps:
            if line.startswith(b"data:"):
                told = json.loads(line[5:])
                step(told["step"], told["message"])
    result = agent.json(f"/v1/jobs/{runs[0]}")["result"]
    result["seconds"] = time.monotonic() - started
    return result


def step(name, text):
    say(f"   {paint('36', f'{name:<11}')} {text[:150]}")


def show(result):
    proof = result.get("verification") or {}
    for when in ("before", "after"):
        seen = proof.get(when) or {}
        if seen:
            errors = "; ".join(error["title"][:100] for error in seen["errors"]) or "no error"
            say(f"   {when + ':':<8} installed={seen['installed']} tests={seen['tests']} failing={len(seen['failed_tests'])} — {errors}")
    for line in (result.get("patch") or "").splitlines():
        code = {"+": "32", "-": "31", "@": "36"}.get(line[:1], "0")
        say("   " + paint(code, line))
    for loss in result.get("losses") or []:
        say(f"   loses: {loss['place']['path']}:{loss['place']['line']}: {loss['what']}")
    for doubt in result.get("reservations") or []:
        say(f"   not sure: {doubt}")
    if result["outcome"] != "fixed":
        say(f"   why: {result['why']}")
        say(f"   ticket {result['ticket']['id']}: {result['ticket']['title'][:120]}")


def main():
    began = time.monotonic()
    for folder in ("addons", "logs", "data"):
        # A second run starts from the same broken sources and an empty memory, so that it shows the same work.
        shutil.rmtree(WORK / folder, ignore_errors=True)
    for folder in ("addons", "logs", "fetched"):
        (WORK / folder).mkdir(parents=True, exist_ok=True)

    title("Addons of older series, from PyPI, put on Odoo 19.0")
    modules = [fetch(name, version) for name, version in ADDONS]

    title("The sandbox image (minutes the first time)")
    run(AGENT, "image", stdout=sys.stderr)

    title("What real Odoo 19.0 says about them")
    logs = {module: odoo_log(module) for module in modules}

    title("odoo-agent up: private NATS and PostgreSQL, API, worker")
    agent = Agent()
    results = {}
    try:
        say(f"   {agent.url} is ready after {time.monotonic() - began:.0f} s")
        for module, log in logs.items():
            title(f"{module}: the log goes in through the webhook")
            results[module] = follow(agent, module, log)
            show(results[module])
    finally:
        agent.stop()

    title("Result")
    for module, result in results.items():
        word = {"fixed": paint("32", "fixed"), "proposed": paint("33", "proposed")}.get(result["outcome"], paint("33", "ticket"))
        source = result["source"] or "-"
        say(f"   {module:<34} {word:<14} {result['error']['class']:<24} {source[:44]:<44} {result['seconds']:5.1f} s  ${result['cost']['usd']:.4f}")
    fixed = {result["error"]["class"] for result in results.values() if result["outcome"] == "fixed"}
    tickets = [module for module, result in results.items() if result["outcome"] != "fixed"]
    say(f"   in {time.monotonic() - began:.0f} s; logs and addons are in {WORK}")
    if len(fixed) < 3 or not tickets:
        sys.exit("expected at least three classes of error fixed, and one ticket or proposal")


if __name__ == "__main__":
    main()
