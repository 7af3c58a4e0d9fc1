"""recorder.py: records what a run did, outside of its log: tests, lines, data files, values, what was tampered with.

It watches code objects of Odoo and of the addons under test with `sys.monitoring` (PEP 669), so that no function of Odoo is replaced
and no traceback shows it. Where Python has none (before 3.12), one tracing function stands in for it, at the price of time.

What it finds goes to the fork server (`channel.py`) when it finds it; the last message is sent when Odoo has come to its own end.
"""

import functools
import os
import select
import signal
import sys
import threading
import time
import types
import warnings

from channel import MESSAGE_BYTES, Sender
from tamper import Guard, watch_interpreter

SOURCES = "/mnt/extra/"
TOOL, NAME = 4, "odoo-agent"
VALUE_CHARS = 200
WRITTEN = 2000
# How often a line of a test file is an occasion to look for replaced assertions.
LOOKS = 5000
# Of wall clock; what it takes of the processor is bounded in smoke.py.
SMOKE_SECONDS = 30
# What may stand between the code that hands a value over and Odoo's own `create` and `write`: overrides that hand it on.
HANDING_ON = {"create", "write", "execute", "_cr_execute", "wrapper", "wrapped"}
WRITING = ("insert", "update", "delete")


def scalars():
    import datetime
    import decimal

    return (str, bytes, int, float, bool, type(None), datetime.date, datetime.datetime, datetime.timedelta, decimal.Decimal)


class Recorder:
    """One run."""

    def __init__(self, sender, modules, deadline):
        self._sender, self.modules, self._deadline = sender, modules, deadline
        self._prefixes = tuple(f"{SOURCES}{module}/" for module in modules)
        self._lines, self._lambdas, self._loaded, self._written, self._codes = {}, {}, set(), {}, {}
        self._starts, self._returns, self._kept = {}, {}, []
        self._collected, self._ended, self._current, self._outcome, self._ran = {}, set(), None, None, False
        self._said, self._finished_modules, self._looks = set(), set(), 0
        self.during = "loading"
        self._busy = threading.local()
        self._scalars = scalars()
        # What a callback answers so that it is not called again for this line.
        self._once = sys.monitoring.DISABLE if hasattr(sys, "monitoring") else None

    def path(self, filename):
        """The path of a file of the addons under test from their folder, or nothing."""
        return filename[len(SOURCES):] if filename.startswith(self._prefixes) else None

    # What is told

    def tell(self, **event):
        self._sender.tell(**event)

    def tamper(self, sentence):
        """Told at once: what is out cannot be taken back by what comes later."""
        if sentence not in self._said and len(self._said) < 200:
            self._said.add(sentence)
            self.tell(tampering=sentence[:500])

    def fault(self, what):
        self.tell(fault=str(what)[:500])

    # Arming

    def arm(self):
        """Called before any code under test is imported."""
        self.guard = Guard(self.path)
        self._watch_odoo()
        self._monitor()
        watch_interpreter(self.path, self.tamper, self._compiled)
        self.tell(started=self.modules)

    def _watch_odoo(self):
        import odoo.modules.loading
        import odoo.sql_db
        import odoo.tests.case
        import odoo.tests.common
        import odoo.tests.loader
        import odoo.tests.result
        import odoo.tools.convert
        import unittest
        from odoo.fields import Field
        from odoo.models import BaseModel

        result = odoo.tests.result.OdooTestResult
        self._on(odoo.tests.loader.make_suite, returned=self._suite_made)
        self._on(result.startTest, started=self._test_started)
        self._on(result.addSuccess, started=functools.partial(self._test_ended, "passed"))
        self._on(result.addFailure, started=functools.partial(self._test_ended, "failed"))
        self._on(result.addError, started=functools.partial(self._test_ended, "errored"))
        self._on(result.addSkip, started=functools.partial(self._test_ended, "skipped"))
        self._on(result.stopTest, started=self._test_stopped)
        case = odoo.tests.case.TestCase
        if "_callTestMethod" in vars(case):
            self._on(case._callTestMethod, returned=self._method_ran)
        for cls in (unittest.TestCase, case, odoo.tests.common.BaseCase):
            for name, value in vars(cls).items():
                if name.startswith("assert") and isinstance(value, types.FunctionType):
                    self._on(value, started=self._asserted)
        self._on(odoo.tools.convert.convert_file, returned=self._file_loaded)
        self._on(BaseModel.create, started=self._created)
        if hasattr(BaseModel.create, "__wrapped__"):
            self._on(BaseModel.create.__wrapped__, started=self._created)
        self._on(BaseModel.write, started=self._wrote)
        self._on(Field.__set__, started=self._assigned)
        self._on(odoo.sql_db.Cursor.execute, started=self._executed)
        self._loader = odoo.modules.loading.load_module_graph.__code__

    def _on(self, function, started=None, returned=None):
        code = getattr(function, "__code__", None)
        if code is None:
            return
        self._kept.append(code)
        if started:
            self._starts[id(code)] = started
        if returned:
            self._returns[id(code)] = returned

    def _monitor(self):
        monitoring = getattr(sys, "monitoring", None)
        if monitoring is None:
            sys.settrace(self._trace)
            threading.settrace(self._trace)
            return
        events = monitoring.events
        monitoring.use_tool_id(TOOL, NAME)
        self._callbacks = {events.PY_START: self._start, events.PY_RETURN: self._return, events.LINE: self._line}
        for event, callback in self._callbacks.items():
            monitoring.register_callback(TOOL, event, callback)
        for code in self._kept:
            wanted = (events.PY_START if id(code) in self._starts else 0) | (events.PY_RETURN if id(code) in self._returns else 0)
            monitoring.set_local_events(TOOL, code, wanted)

    def _compiled(self, code):
        """A module of an addon is about to be run."""
        if not self.path(code.co_filename) or not hasattr(sys, "monitoring"):
            return
        waiting = [code]
        while waiting:
            code = waiting.pop()
            self._codes[id(code)] = code
            # A lambda that stands in one line has no event for that line of its own.
            call = sys.monitoring.events.PY_START if code.co_name == "<lambda>" else 0
            sys.monitoring.set_local_events(TOOL, code, sys.monitoring.events.LINE | call)
            waiting.extend(const for const in code.co_consts if isinstance(const, types.CodeType))

    # Events

    def _start(self, code, _offset):
        if id(code) in self._codes:
            self._lambda_called(code)
            return self._once
        self._handle(self._starts.get(id(code)), 2)
        return None

    def _return(self, code, _offset, value):
        self._handle(self._returns.get(id(code)), 2, value)

    def _handle(self, handler, depth, *values):
        if handler is None or getattr(self._busy, "now", False):
            return
        self._busy.now = True
        try:
            handler(sys._getframe(depth), *values)
        except Exception as error:
            self.fault(f"{type(error).__name__} in the recorder")
        finally:
            self._busy.now = False

    def _line(self, code, line):
        if getattr(self._busy, "now", False):
            return None
        path = code.co_filename[len(SOURCES):]
        self._lines.setdefault(path, set()).add(line)
        if self._current is not None and "/tests/" in path and self._looks < LOOKS:
            # What is replaced for the length of one line of a test, and put back, is seen here.
            self._looks += 1
            for sentence in self.guard.changed(near=True):
                self.tamper(f"{sentence} while {self.during} ran")
            return None
        return self._once

    def _lambda_called(self, code):
        """Its line runs when it is made, too; only this says that it was called."""
        self._lambdas.setdefault(code.co_filename[len(SOURCES):], set()).add(code.co_firstlineno)

    def _trace(self, frame, event, _argument):
        """Before Python 3.12."""
        code = frame.f_code
        if event == "call":
            if code.co_name == "<lambda>" and code.co_filename.startswith(self._prefixes):
                self._lambda_called(code)
            self._handle_frame(self._starts.get(id(code)), frame)
        if id(code) not in self._returns and not code.co_filename.startswith(self._prefixes):
            return None
        raised = False

        def local(frame, event, value):
            nonlocal raised
            if event == "line":
                raised = False
                if code.co_filename.startswith(self._prefixes):
                    self._line(code, frame.f_lineno)
            elif event == "exception":
                raised = True
            elif event == "return" and not raised:
                self._handle_frame(self._returns.get(id(code)), frame, value)
            return local

        return local

    def _handle_frame(self, handler, frame, *values):
        if handler is not None and not getattr(self._busy, "now", False):
            self._busy.now = True
            try:
                handler(frame, *values)
            except Exception as error:
                self.fault(f"{type(error).__name__} in the recorder")
            finally:
                self._busy.now = False

    # Tests

    def _suite_made(self, _frame, suite):
        new = []
        for test in suite or ():
            key = _key(test)
            if key not in self._collected:
                self._collected[key] = test
                new.append(key)
        if new:
            self.tell(collected=new)
        self.check()

    def _test_started(self, frame):
        test = frame.f_locals["test"]
        self._current, self._outcome, self._ran = test, None, False
        self.during = _key(test)[1]
        self.check(test)

    def _method_ran(self, frame, _value):
        if frame.f_locals.get("self") is self._current:
            self._ran = True

    def _test_ended(self, outcome, frame):
        test = frame.f_locals["test"]
        test = getattr(test, "test_case", None) or test
        if not hasattr(test, "_testMethodName"):
            self._fixture(str(getattr(test, "description", "")), outcome)
        elif test is self._current:
            order = ["passed", "skipped", "failed", "errored"]
            self._outcome = max(self._outcome or "passed", outcome, key=order.index)
            if outcome == "passed" and not self._ran:
                self.tamper(f"{self.during} was called passed without having been run to its end")

    def _test_stopped(self, frame):
        test = frame.f_locals["test"]
        if test is not self._current:
            return
        module, name = key = _key(test)
        self.check(test)
        if key not in self._collected:
            self.tamper(f"{name} was run without having been collected")
        if self._outcome:
            self._ended.add(key)
            self.tell(test={"module": module, "name": name, "outcome": self._outcome})
        self._current, self.during = None, "loading"

    def _fixture(self, description, outcome):
        """`setUpClass (odoo.addons.m.tests.test_a.TestA)`: its tests are not run."""
        method, _, rest = description.partition(" (")
        path = rest.rstrip(")")
        module, cls = _module(path), path.rpartition(".")[2]
        if outcome != "skipped":
            self.tell(test={"module": module, "name": f"{cls}.{method}", "outcome": outcome})
        if method == "setUpClass":
            for key, test in self._collected.items():
                if key not in self._ended and f"{type(test).__module__}.{type(test).__qualname__}" == path:
                    self._ended.add(key)
                    self.tell(test={"module": key[0], "name": key[1], "outcome": "skipped"})

    def _asserted(self, frame):
        values = list(frame.f_locals.items())[:4]
        for name, value in values:
            found = None if name == "self" else self.guard.own_comparison(value)
            if found:
                self.tamper(f"{self.during} compares with an object whose class defines its own equality at {found}")

    def check(self, test=None):
        """Compares what judges with what it was."""
        for sentence in self.guard.changed():
            self.tamper(sentence)
        for sentence in self.guard.own_runner(test) if test is not None else ():
            self.tamper(sentence)
        monitoring = getattr(sys, "monitoring", None)
        if monitoring and monitoring.get_tool(TOOL) != NAME:
            self.tamper("the recorder was switched off")
        if monitoring and any(not monitoring.get_local_events(TOOL, code) for code in self._kept):
            self.tamper("the recorder was made blind")

    # Loading and values

    def _file_loaded(self, frame, _value):
        held = frame.f_locals
        path = held.get("pathname") or f"{held['module']}/{held['filename']}"
        path = path.removeprefix(SOURCES)
        if path.split("/")[0] in self.modules:
            self._loaded.add(path)

    def _created(self, frame):
        place = self._caller(frame)
        if not place:
            return
        held = frame.f_locals
        values = held["vals_list"]
        for one in values if isinstance(values, (list, tuple)) else [values]:
            if isinstance(one, dict):
                self._note(held["self"]._name, one, place)

    def _wrote(self, frame):
        held = frame.f_locals
        self_, values = held["self"], held["vals"]
        if frame.f_back is not None and self_._name == "ir.module.module" and isinstance(values, dict):
            self._loader_wrote(frame.f_back, values)
        place = self._caller(frame)
        if place and isinstance(values, dict):
            self._note(self_._name, values, place)

    def _loader_wrote(self, frame, values):
        """It is Odoo's own loader that says that a module is installed."""
        while frame is not None and frame.f_code.co_name == "write":
            frame = frame.f_back
        if frame is not None and frame.f_code is self._loader and values.get("state") == "installed":
            module = frame.f_locals["module_name"]
            self._finished_modules.add(module)
            if module in self.modules:
                self._loaded.add(f"{module}/__manifest__.py")

    def _assigned(self, frame):
        back = frame.f_back
        if back is not None and back.f_code.co_filename.startswith(self._prefixes):
            place = self._caller(frame)
            held = frame.f_locals
            if place:
                self._note(held["self"].model_name, {held["self"].name: held["value"]}, place)

    def _executed(self, frame):
        place = self._caller(frame)
        if not place:
            return
        held = frame.f_locals
        query, values = held["query"], held.get("params")
        if not isinstance(query, str):
            query, values = getattr(query, "code", ""), getattr(query, "params", None)
        query = " ".join(query.split()) if type(query) is str else ""
        if query.lower().startswith(WRITING):
            self._note("sql", {query[:VALUE_CHARS]: values}, place)

    def _caller(self, frame):
        """The file and line of the addon that called, if none but overrides that hand on stands between."""
        frame = frame.f_back
        for _ in range(12):
            if frame is None:
                return None
            code = frame.f_code
            if code.co_filename.startswith(self._prefixes):
                path = code.co_filename[len(SOURCES):]
                return None if "/tests/" in path else (path, frame.f_lineno)
            if code.co_name not in HANDING_ON:
                return None
            frame = frame.f_back
        return None

    def _note(self, name, values, place):
        for field, value in list(values.items()):
            entry = (self.during, name, str(field), self.shown(value), *place)
            if entry not in self._written and len(self._written) < WRITTEN:
                self._written[entry] = None

    def shown(self, value, depth=4):
        """A value as Python shows it, without calling code under test."""
        from odoo.models import BaseModel

        kind = type(value)
        if kind in self._scalars:
            text = repr(value[:VALUE_CHARS + 1] if kind in (str, bytes) else value)
        elif kind in (list, tuple, set, frozenset) and depth:
            brackets = {list: "[]", tuple: "()"}.get(kind, "{}")
            text = brackets[0] + ", ".join(self.shown(item, depth - 1) for item in list(value)[:50]) + brackets[1]
        elif kind is dict and depth:
            items = list(value.items())[:50]
            text = "{" + ", ".join(f"{self.shown(key, 1)}: {self.shown(item, depth - 1)}" for key, item in items) + "}"
        elif isinstance(value, BaseModel):
            text = f"{value._name}{value._ids!r}"
        elif isinstance(value, (str, int, float)):
            # A command, a translated or a marked-up text: of a class of its own, and so not asked itself.
            base = next(base for base in (str, int, float) if isinstance(value, base))
            text = base.__repr__(value)
        else:
            text = f"<{kind.__qualname__}>"
        return text[:VALUE_CHARS]

    # The end

    def finish(self, code, returned):
        """Odoo has come to its own end with this exit code; `returned` says whether loading gave something."""
        self._current, self.during = None, "loading"
        try:
            self.check()
            installed = self._check_modules()
            self._dump()
            if installed:
                self._smoke()
            self.check()
        except Exception as error:
            self.fault(f"{type(error).__name__}: {error}")
        self.tell(end={"code": code & 255, "returned": bool(returned)})
        self._sender.close()

    def _check_modules(self):
        """Whether all that is under test is installed; a state that Odoo's loader has not written is tampering."""
        import odoo.modules.registry
        from odoo.tools import config

        names = config["db_name"]
        name = names[0] if isinstance(names, list) else names
        registry = odoo.modules.registry.Registry.registries.get(name)
        if registry is None:
            return False
        with registry.cursor() as cr:
            cr.execute("SELECT name FROM ir_module_module WHERE state = 'installed' AND name IN %s", [tuple(self.modules)])
            installed = {row[0] for row in cr.fetchall()}
        for module in sorted(installed - self._finished_modules):
            self.tamper(f"the database says that {module} is installed, which Odoo's loader has not said")
        for module in sorted((self._finished_modules & installed) - set(registry._init_modules)):
            self.tamper(f"{module} is said to be installed, and the registry has not loaded it")
        return installed >= set(self.modules)

    def _dump(self):
        for path, lines in self._lines.items():
            self.tell(lines={path: sorted(lines)})
        for path, lines in self._lambdas.items():
            self.tell(lambdas={path: sorted(lines)})
        self.tell(loaded=sorted(self._loaded))
        self._tell_written()

    def _entries(self):
        return [dict(zip(("during", "odoo_model", "field", "value", "path", "line"), entry)) for entry in self._written]

    def _tell_written(self):
        entries = self._entries()
        for at in range(0, len(entries), 200):
            self.tell(written=entries[at:at + 200])

    def _smoke(self):
        """Tries what the addons bring in a process of its own, which nothing here has to survive."""
        budget = min(SMOKE_SECONDS, self._deadline - time.monotonic() - 5)
        if budget < 2:
            self.tell(left_out=["the smoke run: no time was left"])
            return
        reader, writer = os.pipe()
        with warnings.catch_warnings():
            # Python warns of a fork beside threads; the one that serves HTTP does nothing here.
            warnings.simplefilter("ignore")
            pid = os.fork()
        if pid == 0:
            os.close(reader)
            self._smoke_child(writer, budget)
        os.close(writer)
        pidfd = os.pidfd_open(pid)
        self._relay_smoke(reader, time.monotonic() + budget + 2)
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.waitpid(pid, 0)

    def _relay_smoke(self, reader, until):
        """Passes on what the smoke run says; what it began and did not end is what ended it."""
        import json

        held, begun, whole = b"", None, False
        while True:
            left = until - time.monotonic()
            if left <= 0 or not select.select([reader], [], [], left)[0]:
                break
            chunk = os.read(reader, 65536)
            if not chunk:
                break
            *lines, held = (held + chunk).split(b"\n")
            for line in lines:
                event = json.loads(line)
                begun = event["begun"] if "begun" in event else begun
                if "check" in event:
                    begun = None
                    self.tell(check=event["check"])
                for kind in ("lines", "lambdas", "written", "left_out"):
                    if kind in event and len(line) < MESSAGE_BYTES:
                        self.tell(**{kind: event[kind]})
                whole = whole or "whole" in event
        if begun:
            self.tell(check={**begun, "error": "the process of the smoke run ended or was ended during this", "meant": False})
        if not whole:
            self.tell(left_out=["whatever comes after the last check"])

    def _smoke_child(self, writer, budget):
        import json
        import logging

        try:
            self._sender.close()
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 1)
            os.dup2(null, 2)
            logging.disable(logging.CRITICAL)
            self._lines, self._lambdas, self._written = {}, {}, {}
            lock = threading.Lock()

            def say(**event):
                data = json.dumps(event).encode() + b"\n"
                with lock:
                    while data:
                        data = data[os.write(writer, data):]

            def flush():
                for path, lines in self._lines.items():
                    say(lines={path: sorted(lines)})
                for path, lines in self._lambdas.items():
                    say(lambdas={path: sorted(lines)})
                entries = self._entries()
                for at in range(0, len(entries), 200):
                    say(written=entries[at:at + 200])
                self._lines, self._lambdas, self._written = {}, {}, {}

            import smoke

            smoke.run(self, say, flush, budget)
            flush()
            say(whole=True)
        finally:
            os._exit(0)


def _key(test):
    return _module(type(test).__module__), f"{type(test).__qualname__}.{test._testMethodName}"


def _module(path):
    parts = path.split(".")
    return parts[2] if parts[:2] == ["odoo", "addons"] and len(parts) > 2 else parts[0]


def start(descriptor, number, modules, deadline):
    """Arms a recorder in this process."""
    recorder = Recorder(Sender(descriptor, number), modules, deadline)
    recorder.arm()
    return recorder
