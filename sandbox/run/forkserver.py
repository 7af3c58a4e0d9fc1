"""forkserver.py SERIES, as `addon`: keeps Odoo imported and forks one process a run.

Commands come on standard input, one JSON object a line:

  {"do": "load", "modules": [NAME…]}   imports addons of Odoo itself, in this order
  {"do": "run", "database": NAME, "from": NAME, "keep": BOOL, "install": [NAME…], "alone": BOOL, "tags": TEXT or null,
   "seconds": N, "idle": N, "bytes": N}     `from` is the template whose filestore the run starts with; what is kept is one,
   too. `alone`: Odoo sees no other addon of the sources, so that it installs none of them by itself

Answers go to standard output as frames: four bytes of length, big endian, then one byte of kind and the payload. `L` is log of
the run, `R` one message of its recorder (`recorder.py`), `J` one JSON object that ends a command: {"ready": …}, {"loaded": …} or
{"done": "exit"|"deadline"|"idle"|"flood", "code": N, "record": "whole"|"cut"|"forged" or null}. A run without tests has no recorder.

Only Odoo's own code is ever imported here; what is under test runs in the forked process alone. That process has the same user,
so this one makes itself opaque to it (no ptrace, no look into /proc), is the reaper of all it leaves behind, and talks to the
outside over descriptors that it does not hand on.
"""

import ctypes
import fcntl
import functools
import gc
import json
import os
import select
import signal
import struct
import subprocess
import sys
import time
import traceback

import recorder
from channel import Receiver
from series import SOURCES, Series

DATA = "/tmp/data"
WARM = "/opt/warm/data/filestore"
# What a run left in its filestore and later runs start with, as tar. Kept here, where no run can change it.
KEPT = {}
KEPT_BYTES = 64 * 1024 * 1024
WRITABLE = ["/tmp", "/var/tmp", "/dev/shm"]
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 1, 4, 36
libc = ctypes.CDLL(None, use_errno=True)


def prctl(option, value):
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def send(kind, payload):
    """Writes one frame."""
    data = struct.pack(">IB", len(payload) + 1, kind) + payload
    while data:
        data = data[os.write(1, data):]


def tell(**said):
    send(ord("J"), json.dumps(said).encode())


def boot(series):
    """Imports what every run needs, tests included."""
    from odoo.tools import config

    # Without the sources: they are not there yet, and some series refuse an empty folder.
    config.parse_config(series.options("none", DATA, sources=None))
    import odoo.cli.server  # noqa: F401
    import odoo.http  # noqa: F401
    import odoo.modules.loading  # noqa: F401
    import odoo.modules.registry  # noqa: F401
    import odoo.service.server  # noqa: F401
    import odoo.tests.common  # noqa: F401
    import odoo.tests.loader  # noqa: F401
    import odoo.tests.suite  # noqa: F401
    from odoo.modules.module import initialize_sys_path

    initialize_sys_path()
    # What is imported is frozen before each fork, and a run is short: most collections would find nothing.
    gc.set_threshold(50_000, 20, 20)
    # Odoo has made its data folder; each run gets its own.
    empty()
    freeze()


def freeze():
    """What is imported stays; no collection in a run has to look at it again, or copies it by looking."""
    gc.collect()
    gc.freeze()


def run(series, order):
    """Forks, relays what the process prints, and sees to it that nothing of it is left."""
    reader, writer = os.pipe()
    # What the recorder says is known by a number that only this run has.
    heard_by, spoken_by = os.pipe()
    number = [os.urandom(16)]
    pid = os.fork()
    if pid == 0:
        child(series, order, writer, spoken_by, number)
    os.close(writer)
    os.close(spoken_by)
    record = Receiver(heard_by, number.pop(), functools.partial(send, ord("R")))
    ended, code = relay(reader, os.pidfd_open(pid), pid, order, record)
    os.close(reader)
    reap()
    record.drain()
    os.close(heard_by)
    if record.state == "cut":
        send(ord("L"), b"The recorder of this run said more than is taken, or was ended half way: its record is not complete.\n")
    if order["keep"]:
        keep(order["database"])
    tell(done=ended, code=code, record=record.state if order["tags"] else None)
    empty()


def relay(reader, pidfd, pid, order, record):
    """Passes log and record on until the process ends or meets a limit. Gives how it ended, and its exit code."""
    deadline, idle, room = time.monotonic() + order["seconds"], order["idle"], order["bytes"]
    heard, ended, code = time.monotonic(), None, None
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    poll.register(pidfd, select.POLLIN)
    poll.register(record.reader, select.POLLIN)
    talking, drained = True, None
    while talking:
        now = time.monotonic()
        if drained and now >= drained:
            # It ended, and somebody else holds its log open: whatever that is, it is not the run.
            break
        if code is None and ended is None:
            ended = "deadline" if now >= deadline else "idle" if now >= heard + idle else None
            if ended:
                kill_all()
        wait = (drained or min(deadline, heard + idle)) - now
        for descriptor, _ in poll.poll(max(0.0, wait) * 1000 + 1):
            if descriptor == pidfd:
                poll.unregister(pidfd)
                os.close(pidfd)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                # What it started may hold the log open; nothing of it may outlive the run.
                kill_all()
                drained = time.monotonic() + 2
                continue
            if descriptor == record.reader:
                heard = time.monotonic()
                if not record.take():
                    poll.unregister(record.reader)
                continue
            if drained is None:
                # Log comes line by line; waking everybody on its way for each would take time from the run.
                time.sleep(0.02)
            chunk = os.read(reader, 65536)
            talking = bool(chunk)
            heard = time.monotonic()
            send(ord("L"), chunk[:room]) if chunk and room else None
            if len(chunk) > room and ended is None:
                ended = "flood"
                kill_all()
            room = max(0, room - len(chunk))
    if code is None:
        # It closed its log and goes on: it has until the deadline to end.
        limit = min(deadline, time.monotonic() + idle)
        if not quietly(pidfd, record, limit):
            ended = ended or "idle"
            kill_all()
        os.close(pidfd)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return ended or "exit", code if code >= 0 else 128 - code


def quietly(pidfd, record, limit):
    """Waits for the end of a process without a log. Gives whether it came in time."""
    told = [record.reader]
    while True:
        ready = select.select([pidfd, *told], [], [], max(0.0, limit - time.monotonic()))[0]
        if pidfd in ready or not ready:
            return bool(ready)
        if not record.take():
            told = []


def kill_all():
    """Ends every process of this user but this one; the kernel does it in one step, so no fork gets away."""
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        pass


def reap():
    """Ends and reaps whatever is left of a run."""
    kill_all()
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            break


def empty():
    """Removes what a run left: files, even in folders that it closed to itself, and shared memory, which outlives processes.

    If anything stays, so must no run come after it: this process ends, and the container with it.
    """
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "timeout": 30}
    mine = [*WRITABLE, "-mindepth", "1", "-user", "addon"]
    try:
        # Before it goes into a folder, find has it opened; links are never followed.
        subprocess.run(["find", *mine, "-type", "d", "!", "-perm", "-700", "-exec", "chmod", "u+rwx", "{}", ";"], **quiet)
        subprocess.run(["find", *mine, "-delete"], **quiet)
        if open("/proc/sysvipc/shm").read().count("\n") > 1:
            subprocess.run(["ipcrm", "--all=shm"], **quiet)
    except subprocess.TimeoutExpired:
        os._exit(1)
    left = [entry.path for folder in WRITABLE for entry in os.scandir(folder) if entry.stat(follow_symlinks=False).st_uid == os.getuid()]
    if left:
        os._exit(1)


def keep(database):
    """Keeps the filestore of a run for those that start from its database."""
    folder = f"{DATA}/filestore/{database}"
    if not os.path.isdir(folder):
        return
    packed = subprocess.run(["tar", "-C", folder, "-cf", "-", "."], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False).stdout
    if len(packed) <= KEPT_BYTES:
        KEPT[database] = packed
    else:
        send(ord("L"), f"The filestore of the dependencies has {len(packed)} bytes; the runs start without it.\n".encode())


def child(series, order, writer, spoken_by, number):
    """One run: the server as its command line starts it."""
    try:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        prctl(PR_SET_DUMPABLE, 1)
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        spoken_by = fcntl.fcntl(spoken_by, fcntl.F_DUPFD_CLOEXEC, 64)
        os.closerange(3, 64)
        # If memory runs out it is this process that goes, not the database.
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
        os.environ["HOME"] = "/tmp"
        os.chdir("/tmp")
        code = serve(series, order, spoken_by, number)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    leave(code)


def leave(code):
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code & 255)


def serve(series, order, spoken_by, number):
    database = order["database"]
    if os.path.lexists(DATA):
        raise RuntimeError(f"{DATA} is there before the run")
    filestore = f"{DATA}/filestore/{database}"
    os.makedirs(f"{DATA}/filestore", exist_ok=True)
    if order["from"] in KEPT:
        os.makedirs(filestore)
        subprocess.run(["tar", "-C", filestore, "-xf", "-"], input=KEPT[order["from"]], check=True)
    elif os.path.isdir(f"{WARM}/{order['from']}"):
        subprocess.run(["cp", "-r", f"{WARM}/{order['from']}", filestore], check=True)
    import odoo.cli.server
    import odoo.service.server as service

    series.list_only(SOURCES, order["install"] if order["alone"] else None)
    preload, result = service.preload_registries, []

    def preloaded(names):
        result.append(preload(names))
        return result[-1]

    def stopped(_self):
        # Stopping politely waits half a second for a server that nobody talks to any more.
        code = result[-1] if result else 1
        if order["tags"]:
            recorded.finish(code, result)
        leave(code)

    service.preload_registries = preloaded
    service.ThreadedServer.stop = stopped
    if order["tags"]:
        # Taken out, so that no frame that code under test could walk up to holds it.
        recorded = recorder.start(spoken_by, number.pop(), order["install"], time.monotonic() + order["seconds"])
    options = series.options(database, DATA) + ["-i", ",".join(order["install"])]
    if order["tags"]:
        options += ["--test-enable", "--test-tags", order["tags"]]
    sys.argv = [*series.server, *options]
    odoo.cli.server.main(options)
    return 0


def main():
    prctl(PR_SET_DUMPABLE, 0)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    series = Series(sys.argv[1])
    boot(series)
    tell(ready=series.name)
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "load":
            for module in order["modules"]:
                series.load(module)
            if order["modules"]:
                freeze()
            tell(loaded=len(order["modules"]))
        elif order["do"] == "run":
            run(series, order)


if __name__ == "__main__":
    main()
