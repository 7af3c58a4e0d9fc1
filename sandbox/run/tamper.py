"""tamper.py: whether what judges a run is still what it was before any code under test was imported.

A `Guard` keeps the functions of the test runner, the assertions, the loader and of Python itself that a result depends on, and
compares them later. An audit hook, which no code can take away again, tells what reaches for the interpreter's internals.
"""

import builtins
import os
import sys
import threading
import types

# Functions of Python that a result depends on.
BUILTINS = [
    "abs", "all", "any", "bool", "bytes", "callable", "compile", "dict", "enumerate", "eval", "exec", "filter", "float", "frozenset",
    "getattr", "hasattr", "hash", "id", "int", "isinstance", "issubclass", "iter", "len", "list", "map", "max", "min", "next", "print",
    "range", "repr", "reversed", "round", "set", "setattr", "sorted", "str", "sum", "super", "tuple", "type", "zip",
    "AssertionError", "BaseException", "Exception", "SystemExit", "__build_class__", "__import__",
]
# Of a test class: what runs a test and says how it ended. A test that brings its own judges itself.
RUNNING = {
    "run", "debug", "__call__", "_callSetUp", "_callTestMethod", "_callTearDown", "_callCleanup", "_addError", "doCleanups", "doClassCleanups",
    "failureException", "subTest", "skipTest", "fail", "countTestCases", "_outcome", "defaultTestResult", "_tests_run_count",
}
# Methods by which an object says itself how it compares.
COMPARING = (
    "__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__bool__", "__len__", "__contains__", "__hash__", "__instancecheck__",
    "__subclasscheck__", "__round__", "__sub__", "__rsub__",
)
# Audit events of reaching into the interpreter, when code under test causes them itself.
REACHING = {
    "gc.get_objects", "gc.get_referrers", "gc.get_referents", "sys._getframe", "sys._current_frames", "sys._current_exceptions",
    "sys._getframemodulename", "sys.settrace", "sys.setprofile", "sys.addaudithook", "ctypes.dlopen", "ctypes.dlsym", "ctypes.dlsym/handle",
    "ctypes.addressof", "ctypes.cdata", "ctypes.cdata/buffer", "ctypes.call_function", "ctypes.string_at", "ctypes.wstring_at",
    "ctypes.PyObj_FromPtr", "code.__new__", "sys.monitoring.register_callback", "sys.unraisablehook", "cpython._PySys_ClearAuditHooks",
}
# Those that nothing but the recorder has a reason to cause, whoever calls.
NOBODY = {"sys.monitoring.register_callback"}


class Guard:
    """The functions that a result depends on, as they were."""

    def __init__(self, addons):
        # Gives the path of a file of the code under test within its addons, or nothing.
        self._addons = addons
        self._kept = list(_owned())
        self._near = [kept for kept in self._kept if kept[4]]
        self._types = {}

    def changed(self, near=False):
        """A sentence for each that is not what it was; `near` looks only at what runs and judges a test."""
        for label, owner, name, kept, _, code in self._near if near else self._kept:
            now = vars(owner).get(name)
            if now is not kept:
                yield f"{label} was replaced{self._by(now)}"
            elif code is not None and _function(now).__code__ is not code:
                yield f"the code of {label} was replaced"

    def _by(self, now):
        code = getattr(_function(now), "__code__", None)
        path = self._addons(code.co_filename) if isinstance(code, types.CodeType) else None
        return f" by {code.co_name} of {path}" if path else ""

    def own_runner(self, test):
        """A sentence for each part of the runner or assertion that a test brings itself."""
        for name in vars(test):
            if name.startswith("assert") or name in RUNNING - {"_outcome"}:
                yield f"{type(test).__qualname__} replaces its own {name} while it runs"
        for cls in type(test).__mro__:
            path = self._addons(getattr(sys.modules.get(cls.__module__), "__file__", None) or "")
            if path:
                for name in vars(cls):
                    if name in RUNNING or (name.startswith("assert") and _is_standard(name, cls)):
                        yield f"{cls.__qualname__} brings its own {name} in {path}"

    def own_comparison(self, value, depth=2):
        """Where the class of a value, or of one in it, says itself how it compares, in the code under test."""
        kind = type(value)
        if kind not in self._types:
            self._types[kind] = self._compares(kind)
        if self._types[kind]:
            return self._types[kind]
        if depth and kind in (list, tuple, set, frozenset, dict):
            held = list(value.values())[:50] if kind is dict else list(value)[:50]
            for item in held:
                found = self.own_comparison(item, depth - 1)
                if found:
                    return found
        return None

    def _compares(self, kind):
        for cls in (*kind.__mro__, *type(kind).__mro__):
            path = self._addons(getattr(sys.modules.get(cls.__module__), "__file__", None) or "")
            for name in COMPARING:
                said = vars(cls).get(name)
                code = getattr(_function(said), "__code__", None)
                at = self._addons(code.co_filename) if isinstance(code, types.CodeType) else None
                if at:
                    return f"{at}:{code.co_firstlineno}"
                # A dataclass compares by its fields, with code that Python makes.
                if path and said is not None and "__dataclass_fields__" not in vars(cls):
                    return path
        return None


def _is_standard(name, cls):
    """Whether this replaces an assertion that the classes above it have; a new one is an addon's own affair."""
    return any(name in vars(above) for above in cls.__mro__[1:])


def _function(value):
    if isinstance(value, (classmethod, staticmethod)):
        return value.__func__
    return value


def _owned():
    """(label, owner, name, value, whether it judges a test, code) of everything that is kept."""
    import odoo.modules.loading
    import odoo.modules.registry
    import odoo.service.server
    import odoo.sql_db
    import odoo.tests.case
    import odoo.tests.common
    import odoo.tests.loader
    import odoo.tests.result
    import odoo.tests.suite
    import odoo.tests.tag_selector
    import odoo.tools.convert
    import unittest.case
    import unittest.suite

    judging = [unittest.case, odoo.tests.case, odoo.tests.result, odoo.tests.suite, odoo.tests.loader, odoo.tests.tag_selector]
    classes = [unittest.suite.BaseTestSuite, *(getattr(odoo.tests.common, name) for name in (
        "BaseCase", "TransactionCase", "SingleTransactionCase", "HttpCase") if hasattr(odoo.tests.common, name))]
    loading = [odoo.modules.loading, odoo.tools.convert, odoo.service.server, sys.modules[__name__]]
    for module in [*judging, *loading]:
        yield from _of(module, module in judging)
        for cls in list(vars(module).values()):
            if isinstance(cls, type) and cls.__module__ == module.__name__ and not issubclass(cls, BaseException):
                yield from _of(cls, module in judging)
    for cls in classes:
        yield from _of(cls, True)
    yield from _of(odoo.modules.registry.Registry, False, {"new", "load", "_setup_models__"})
    yield from _of(odoo.sql_db.Cursor, False, {"commit", "rollback", "fetchall", "fetchone"})
    for name in BUILTINS:
        if hasattr(builtins, name):
            yield f"builtins.{name}", builtins, name, vars(builtins)[name], True, None
    for module, name in ((sys, "exit"), (os, "_exit"), (os, "kill"), (os, "abort"), (sys, "exc_info"), (sys, "_getframe")):
        yield f"{module.__name__}.{name}", module, name, vars(module)[name], True, None


def _of(owner, judging, names=None):
    """The functions of a module or class that are its own."""
    module = owner.__name__ if isinstance(owner, types.ModuleType) else owner.__module__
    label = module if isinstance(owner, types.ModuleType) else f"{module}.{owner.__qualname__}"
    for name, value in list(vars(owner).items()):
        if names is not None and name not in names:
            continue
        function = _function(value)
        if isinstance(function, types.FunctionType):
            yield f"{label}.{name}", owner, name, value, judging, function.__code__
        elif isinstance(owner, types.ModuleType) and isinstance(value, type) and value.__module__ == module:
            yield f"{label}.{name}", owner, name, value, judging, None
        elif name == "failureException":
            yield f"{label}.{name}", owner, name, value, judging, None


def watch_interpreter(addons, found, compiled):
    """From now on tells `found` what code under test reaches for, and `compiled` each code object that is run as a module.

    The hook stays until the process ends.
    """
    busy, own = set(), threading.get_ident

    def hook(event, args):
        if event == "exec":
            path = getattr(args[0], "co_filename", "")
            if path.startswith("/mnt/"):
                compiled(args[0])
            return
        if event not in WATCHED or own() in busy:
            return
        busy.add(own())
        try:
            caller = sys._getframe(1).f_code
            path = addons(caller.co_filename)
            if event == "object.__setattr__":
                what = f"{getattr(args[0], '__qualname__', type(args[0]).__name__)}.{args[1]}"
                # A class may change; the code of a function only changes by force.
                if path and args[1] in ("__code__", "__defaults__", "__kwdefaults__", "__class__", "__bases__"):
                    found(f"{path} sets {what}")
            elif event == "open":
                name = args[0].decode(errors="replace") if isinstance(args[0], bytes) else str(args[0])
                if path and name.startswith("/proc/") and name.endswith(("/mem", "/maps", "/environ")):
                    found(f"{path} opens {name}")
            elif path or event in NOBODY:
                found(f"{path or caller.co_filename} reaches into the interpreter ({event})")
                if event in NOBODY:
                    raise RuntimeError(f"{event} is not open to a run of tests")
        finally:
            busy.discard(own())

    sys.addaudithook(hook)


WATCHED = REACHING | {"object.__setattr__", "open"}
