"""smoke.py: tries what the addons under test bring: views, actions, menus, reports, scheduled actions, fields, defaults, constraints.

It runs after the tests in a process of its own that the recorder forks, on a cursor that is never committed. Every check has a savepoint that is
rolled back, and a few seconds. A check is told before it begins, so that one that ends the process is known.
"""

import datetime
import os
import re
import signal
import sys
import time
import types
from contextlib import contextmanager

CHECK_SECONDS = 8
# Of processor time, so that a busy machine leaves no more out than an idle one.
RUN_SECONDS = 10
ERROR_CHARS = 600
# Where a value that is made up must look like something: by the whole name of the field, and by a word in it.
NAMES = {"model": "res.partner", "res_model": "res.partner", "model_name": "res.partner", "lang": "en_US", "tz": "UTC"}
TEXTS = {"email": "smoke@example.com", "url": "https://example.com", "website": "https://example.com", "phone": "+32 2 290 34 90", "color": "#000000"}
DATE, MOMENT = datetime.date(2026, 1, 15), datetime.datetime(2026, 1, 15, 10, 0, 0)
PIXEL = b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
MAGIC = {"id", "create_uid", "create_date", "write_uid", "write_date", "display_name", "parent_path"}
# Methods that the framework calls, or that have a check of their own kind.
FRAMEWORK = {"init", "create", "write", "unlink", "copy", "copy_data", "read", "search", "default_get", "name_get", "name_search", "name_create", "export_data"}
RECORD = re.compile(r"([a-z_.]+)\((?:\d+, ?)+\d*\)")
ADDRESS = re.compile(r"0x[0-9a-fA-F]{4,}")


class TimedOut(BaseException):
    """A check took too long. Not an `Exception`, so that the code that is checked does not catch it."""


class Smoke:
    """One smoke run."""

    def __init__(self, recorder, say, budget):
        self.recorder, self.say, self.until = recorder, say, time.monotonic() + budget
        self.env, self.left_out, self.names = None, [], set()
        self.paths, self.made, self.added, self.suffix = {}, {}, {}, ""

    # The frame of a check

    def check(self, name, action, path=None, needs=None, low_rights=False):
        """Tries one thing, once there is a record of the Odoo model that it needs. Gives whether it went well."""
        if (name, low_rights) in self.names:
            return False
        self.names.add((name, low_rights))
        left = self.until - time.monotonic()
        if left <= 0.1 or time.process_time() > RUN_SECONDS:
            self.left_out.append(name)
            return False
        self.recorder.during = "smoke"
        if needs in self.env and not self.env[needs]._abstract:
            self.own(needs)
        said = {"name": name, "low_rights": low_rights, "path": path}
        self.say(begun=said)
        self.recorder.during = name
        error = None
        try:
            with self.undone():
                signal.setitimer(signal.ITIMER_REAL, min(CHECK_SECONDS, left))
                try:
                    action()
                    self.env.flush_all()
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
        except TimedOut:
            self.left_out.append(name)
            self.say(check={**said, "error": f"it took longer than {CHECK_SECONDS} s", "meant": True})
            return False
        except BaseException as raised:
            error = raised
        self.recorder.during = "smoke"
        self.say(check={**said, "error": error and told(error), "meant": error is not None and is_meant(error)})
        return error is None

    @contextmanager
    def undone(self):
        """Takes everything back at the end."""
        cr = self.env.cr
        savepoint = cr.savepoint(flush=False)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            cr.clear()
            try:
                savepoint.rollback()
                savepoint._close(rollback=False) if hasattr(savepoint, "_close") else savepoint.close(rollback=False)
            except Exception:
                self.connect()
            reset = getattr(self.env.registry, "reset_changes", None)
            if reset and (self.env.registry.registry_invalidated or self.env.registry.cache_invalidated):
                reset()

    def connect(self):
        """A transaction that ends with this process."""
        import odoo.api
        import odoo.modules.registry
        from odoo.tools import config

        names = config["db_name"]
        registry = odoo.modules.registry.Registry(names[0] if isinstance(names, list) else names)
        self.env = odoo.api.Environment(registry.cursor(), odoo.api.SUPERUSER_ID, {})
        self.made = {}

    def prepare(self):
        import odoo.sql_db

        # The connections of the process that forked this one are its own.
        self._foreign = (odoo.sql_db._Pool, getattr(odoo.sql_db, "_Pool_readonly", None))
        odoo.sql_db._Pool = odoo.sql_db._Pool_readonly = None
        os.environ["PGOPTIONS"] = "-c lock_timeout=2s -c statement_timeout=5s"
        odoo.sql_db.Cursor.commit = lambda cr: cr.flush()
        odoo.sql_db.Cursor.rollback = lambda cr: cr.clear()

        def too_long(_signal, _frame):
            raise TimedOut

        signal.signal(signal.SIGALRM, too_long)
        self.connect()

    # What there is

    def read_sources(self):
        """The ids that the data files define, and the Odoo models that the Python files define or extend."""
        from lxml import etree
        from odoo.models import MetaModel

        for path in self.recorder._loaded:
            if path.endswith(".xml"):
                module = path.split("/")[0]
                try:
                    tree = etree.parse(f"/mnt/extra/{path}")
                except Exception:
                    continue
                for node in tree.iter("record", "template", "menuitem", "asset"):
                    if node.get("id"):
                        self.paths.setdefault(node.get("id") if "." in node.get("id") else f"{module}.{node.get('id')}", path)
        known = getattr(MetaModel, "_module_to_models__", None) or MetaModel.module_to_models
        self.classes = {}
        for module in self.recorder.modules:
            for cls in known.get(module, []):
                inherit = cls.__dict__.get("_inherit") or []
                names = [cls._name] if cls.__dict__.get("_name") or getattr(cls, "_name", None) else [inherit] if isinstance(inherit, str) else inherit
                path = self.recorder.path(getattr(sys.modules.get(cls.__module__), "__file__", None) or "")
                for name in names:
                    if name in self.env:
                        self.classes.setdefault(name, []).append((cls, path))
        for name, classes in self.classes.items():
            self.added[name] = [field for cls, _ in classes for field in defined_fields(cls) if field not in MAGIC]
        self.records = {}
        self.env.cr.execute(
            "SELECT module || '.' || name, model, res_id FROM ir_model_data WHERE module IN %s ORDER BY 1", [tuple(self.recorder.modules)])
        for xmlid, model, record in self.env.cr.fetchall():
            self.records.setdefault(model, []).append((xmlid, record))

    def of(self, model):
        """(external id, record, path of its file) of each record of this Odoo model that the addons bring."""
        if model in self.env:
            for xmlid, record in self.records.get(model, []):
                record = self.env[model].browse(record)
                if record.exists():
                    yield xmlid, record, self.paths.get(xmlid)

    # Made-up records

    def value(self, field, depth):
        """A value for a field, or `None` if none can be made up."""
        kind, name = field.type, field.name
        if kind in ("char", "text"):
            text = NAMES.get(name) or next((text for word, text in TEXTS.items() if word in name), f"Smoke {name}{self.suffix}")
            return text[:getattr(field, "size", None) or 64]
        if kind in ("integer", "float", "monetary"):
            return 1
        if kind == "selection":
            values = [value for value in field.get_values(self.env) if value]
            return values[0] if values else None
        if kind in ("many2one", "many2many"):
            other = self.record(field.comodel_name, depth - 1) if depth else self.env[field.comodel_name].search([], limit=1)
            return None if not other else other.id if kind == "many2one" else [(6, 0, other.ids)]
        return {"boolean": True, "html": "<p>Smoke</p>", "date": DATE, "datetime": MOMENT, "binary": PIXEL, "image": PIXEL}.get(kind)

    def values(self, model, depth=2, full=False, kept=False):
        """The values of a new record of an Odoo model: what it does not have by default and must have; `full`: and what the addons add to it."""
        model = self.env[model]
        added = self.added.get(model._name, ()) if full else ()
        wanted = [name for name, field in model._fields.items() if field.required or name in (model._rec_name, "name") or name in added]
        default = model.default_get([name for name in wanted if name not in MAGIC])
        values = {}
        for name in wanted:
            field = model._fields[name]
            if name in MAGIC or name in default or name in model._inherits.values() or field.type == "one2many":
                continue
            if not field.inherited and (field.related or (field.compute and (field.readonly or not field.required))):
                continue
            if field.type == "boolean" and not field.required:
                continue
            # The record that is kept has the plain texts; no other may be like it where a text has to be unique.
            self.suffix = "" if kept else " again"
            made = self.value(field, depth if field.required else 0)
            if field.type in ("integer", "float", "monetary") and not field.required:
                # No two of them alike, so that what ends up where can be told apart.
                made = wanted.index(name) + 1
            if made is not None:
                values[name] = made
        return values

    def record(self, model, depth=2):
        """A record of an Odoo model to try things with: one that is there, else one that is made up."""
        model = self.env[model]
        if model._abstract:
            return model
        found = None if model._transient else model.search([], limit=1)
        return found or (model.create(self.values(model._name, depth)) if depth >= 0 else model)

    def own(self, model):
        """The record that the checks of an Odoo model use: made up, and kept until the end of the smoke run; else one that is there."""
        if model not in self.made:
            self.made[model] = 0
            savepoint = self.env.cr.savepoint(flush=False)
            for full in (True, False):
                signal.setitimer(signal.ITIMER_REAL, CHECK_SECONDS)
                try:
                    record = self.env[model].create(self.values(model, full=full, kept=True))
                    self.env.flush_all()
                    self.made[model] = record.id
                    break
                except BaseException:
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    self.env.cr.clear()
                    savepoint.rollback()
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            if not self.made[model]:
                try:
                    self.made[model] = self.env[model].search([], limit=1).id or 0
                except Exception:
                    self.env.cr.clear()
                    savepoint.rollback()
        return self.env[model].browse(self.made[model] or ())

    # What is tried

    def data(self):
        """Views, actions, menus, reports, scheduled actions, templates."""
        for xmlid, view, path in self.of("ir.ui.view"):
            if view.type == "qweb":
                self.check(f"template {xmlid}", lambda view=view: self.compile(view), path)
            elif view.model in self.env:
                self.check(f"view {xmlid}", lambda view=view: self.open(view), path, view.model)
        for xmlid, view, path in self.of("ir.ui.view"):
            if view.type in ("form", "list", "tree", "kanban") and view.model in self.env:
                for method in self.buttons(view):
                    self.check(f"button {xmlid} {method}", lambda view=view, method=method: self.press(view, method), path, view.model)
        for xmlid, action, path in self.of("ir.actions.act_window"):
            self.check(f"action {xmlid}", lambda action=action: self.act(action), path)
        for xmlid, menu, path in self.of("ir.ui.menu"):
            self.check(f"menu {xmlid}", lambda menu=menu: (menu.complete_name, menu.action and menu.action.read(["name"])), path)
        for xmlid, action, path in self.of("ir.actions.server"):
            self.check(f"server action {xmlid}", lambda action=action: self.serve(action), path, action.model_id.model)
        for xmlid, cron, path in self.of("ir.cron"):
            self.check(f"cron {xmlid}", lambda cron=cron: cron.with_user(cron.user_id).ir_actions_server_id.run(), path)
        for xmlid, report, path in self.of("ir.actions.report"):
            self.check(f"report {xmlid}", lambda report=report: self.print(report), path, report.model)
        for xmlid, template, path in self.of("mail.template"):
            self.check(f"mail template {xmlid}", lambda template=template: self.mail(template), path, template.model)
        for xmlid, rule, path in self.of("ir.rule"):
            self.check(f"record rule {xmlid}", lambda rule=rule: self.rule(rule), path)

    def compile(self, view):
        view._get_combined_arch() if hasattr(view, "_get_combined_arch") else view.read_combined(["arch"])
        self.env["ir.qweb"]._compile(view.id)

    def open(self, view, env=None):
        """A view as the web client opens it."""
        from lxml import etree
        from odoo.tests import Form

        root = view
        while root.inherit_id and root.mode != "primary":
            root = root.inherit_id
        model = (env or self.env)[root.model]
        kind = root.type
        arch = etree.fromstring(model.get_views([(root.id, kind)], {"toolbar": True})["views"][kind]["arch"])
        if kind == "search":
            self.filter(model, arch)
        elif kind == "form":
            if not (model._abstract or env):
                Form(model, view=root.id)
                own = self.own(root.model)
                Form(own, view=root.id) if own and not model._transient else None
            elif env:
                self.read(model, arch)
        else:
            self.read(model, arch)

    def buttons(self, view):
        """The methods that the buttons of a view itself call on its own records."""
        from lxml import etree

        try:
            arch = etree.fromstring(view.arch_db)
        except Exception:
            return []
        found = (node.get("name") for node in arch.iter("button") if node.get("type") == "object" and not any(
            up.tag == "field" and len(up) for up in node.iterancestors()))
        return dict.fromkeys(name for name in found if name)

    def press(self, view, method):
        getattr(self.own(view.model), method)()

    def read(self, model, arch):
        fields = {node.get("name"): {} for node in arch.iter("field") if not any(up.tag == "field" for up in node.iterancestors())}
        if hasattr(model, "web_search_read") and not model._abstract:
            model.web_search_read([], {name: {} for name in fields if name in model._fields}, limit=5)

    def filter(self, model, arch):
        """Each filter of a search view, as the client evaluates it."""
        from odoo.tools.safe_eval import safe_eval

        for node in arch.iter("filter"):
            if node.get("domain"):
                model.search(safe_eval(node.get("domain"), self.scope()), limit=1)
            context = safe_eval(node.get("context") or "{}", self.scope())
            if context.get("group_by"):
                groups = context["group_by"]
                groups = [groups] if isinstance(groups, str) else groups
                if any(group.split(":")[0].partition(".")[2] or model._fields[group.split(":")[0]].type.startswith("propert") for group in groups):
                    continue
                # The client asks for months where a filter does not say how long a group of a date is.
                dates = [group for group in groups if ":" not in group and model._fields[group].type in ("date", "datetime")]
                groups = [f"{group}:month" if group in dates else group for group in groups]
                model.formatted_read_group([], groups, ["__count"]) if hasattr(model, "formatted_read_group") else model.read_group([], [], groups)
        for node in arch.iter("field"):
            field = model._fields.get(node.get("name"))
            if node.get("filter_domain"):
                model.search(safe_eval(node.get("filter_domain"), {**self.scope(), "self": "1", "raw_value": 1}), limit=1)
            elif field is not None and field.type in ("char", "text", "many2one"):
                model.search([(field.name, "ilike", "smoke")], limit=1)

    def scope(self):
        from odoo.tools.safe_eval import datetime as dt, dateutil, time as clock

        return {
            "uid": self.env.uid, "active_id": 1, "active_ids": [1], "active_model": "res.partner", "context": {}, "time": clock, "datetime": dt,
            "relativedelta": dateutil.relativedelta.relativedelta, "context_today": lambda: DATE, "current_date": "2026-01-15",
            "allowed_company_ids": self.env.companies.ids, "company_id": self.env.company.id, "ref": lambda xmlid: self.env.ref(xmlid).id,
        }

    def act(self, action):
        from odoo.tools.safe_eval import safe_eval

        model = self.env[action.res_model]
        model = model.with_context(**safe_eval(action.context or "{}", self.scope()))
        views = [(view or False, kind) for view, kind in action.views]
        model.get_views([*views, (action.search_view_id.id or False, "search")], {"load_filters": True, "toolbar": True})
        if not model._abstract:
            try:
                domain = safe_eval(action.domain or "[]", self.scope())
            except ValueError as error:
                # Only the client knows the names that a context brings.
                if "NameError" not in str(error):
                    raise
                domain = []
            model.search(domain, limit=5).read(["display_name"])

    def serve(self, action):
        own = self.own(action.model_id.model) if action.model_id.model in self.env and not self.env[action.model_id.model]._abstract else None
        held = {"active_model": action.model_id.model, "active_id": own.id, "active_ids": own.ids} if own else {}
        action.with_context(**held).run()

    def print(self, report):
        own = self.own(report.model) if report.model in self.env and not self.env[report.model]._abstract else None
        reports = self.env["ir.actions.report"]
        if own:
            reports._render_qweb_html(report.report_name, own.ids)

    def mail(self, template):
        own = self.own(template.model)
        for field in ("subject", "body_html", "email_to", "email_from"):
            template._render_field(field, own.ids)

    def rule(self, rule):
        if rule.domain_force:
            from odoo.tools.safe_eval import safe_eval

            domain = safe_eval(rule.domain_force, rule._eval_context())
            self.env[rule.model_id.model].search(domain, limit=1)

    def models(self):
        """Records of the Odoo models that the addons define or extend."""
        for name, classes in self.classes.items():
            model, path = self.env[name], classes[0][1]
            if model._abstract:
                continue
            self.check(f"defaults {name}", lambda name=name: self.env[name].default_get(list(self.env[name]._fields)), path)
            self.check(f"create {name}", lambda name=name: self.env[name].create(self.values(name)), path)
            if self.added.get(name):
                self.check(f"fill {name}", lambda name=name: self.env[name].create(self.values(name, full=True)), path)
            for cls, path in classes:
                self.fields(name, cls, path)
            if not model._transient:
                self.check(f"read {name}", lambda name=name: self.env[name].search([], limit=3).read(), path)
                self.check(f"name_search {name}", lambda name=name: self.env[name].name_search("smoke", limit=3), path)
                self.check(f"copy {name}", lambda name=name: self.own(name).copy(), path, name)
                self.check(f"unlink {name}", lambda name=name: self.own(name).unlink(), path, name)
            for cls, path in classes:
                self.methods(name, cls, path)

    def fields(self, name, cls, path):
        for field in defined_fields(cls):
            own = self.env[name]._fields.get(field)
            if own is None or field in MAGIC:
                continue
            self.check(f"field {name}.{field}", lambda name=name, own=own: self.try_field(name, own), path, name)

    def try_field(self, name, field):
        record = self.own(name)
        if field.compute:
            if field.store and record:
                self.env.add_to_compute(field, record)
            record.invalidate_recordset([field.name])
        record[:1][field.name]
        self.env[name].fields_get([field.name])
        if not record or field.readonly or (field.compute and not field.inverse) or field.related:
            return
        made = self.value(field, 1)
        if made is not None:
            record.write({field.name: made})
            record[field.name]

    def methods(self, name, cls, path):
        """Constraints, onchanges, and what else can be called on a record without an argument."""
        for method, value in sorted(vars(cls).items()):
            if not isinstance(value, types.FunctionType) or method.startswith("__") or method in FRAMEWORK:
                continue
            kind = "constraint" if hasattr(value, "_constrains") else "onchange" if hasattr(value, "_onchange") else "call"
            if kind == "call" and (needs_more(value) or method in ("_register_hook", "_auto_init", "_setup_complete") or hasattr(value, "_ondelete")):
                continue
            self.check(f"{kind} {name}.{method}", lambda name=name, method=method, kind=kind: self.call(name, method, kind), path, name)

    def call(self, name, method, kind):
        own = self.own(name)
        if kind == "onchange":
            own = self.env[name].new(origin=own) if own else self.env[name].new({})
        getattr(own, method)()

    def low_rights(self):
        """What an internal user without any other right sees."""
        group = self.env.ref("base.group_user")
        savepoint = self.env.cr.savepoint(flush=False)
        try:
            groups = "group_ids" if "group_ids" in self.env["res.users"]._fields else "groups_id"
            user = self.env["res.users"].with_context(no_reset_password=True).create(
                {"name": "Smoke", "login": "smoke", "email": "smoke@example.com", groups: [(6, 0, group.ids)]})
            self.env.flush_all()
        except Exception:
            self.env.cr.clear()
            savepoint.rollback()
            return
        user_id = user.id

        def env():
            return self.env(user=user_id, su=False)

        for xmlid, view, path in self.of("ir.ui.view"):
            if view.type != "qweb" and view.model in self.env:
                self.check(f"view {xmlid}", lambda view=view: self.open(view, env()), path, low_rights=True)
        for name, classes in self.classes.items():
            model = self.env[name]
            if not (model._abstract or model._transient):
                self.check(f"read {name}", lambda name=name: env()[name].search([], limit=3).read(), classes[0][1], low_rights=True)
                self.check(f"defaults {name}", lambda name=name: env()[name].default_get(list(env()[name]._fields)), classes[0][1], low_rights=True)


def defined_fields(cls):
    """The names of the fields that a class of an addon defines or extends."""
    return [field.name for field in getattr(cls, "_field_definitions", [])] or [
        name for name, value in vars(cls).items() if hasattr(value, "column_type")]


def needs_more(function):
    """Whether a method cannot be called with a record alone."""
    code = function.__code__
    required = code.co_argcount - len(function.__defaults__ or ())
    return required != 1 or bool(code.co_kwonlyargcount > len(function.__kwdefaults__ or ()))


def told(error):
    """An exception in one line, without what differs from run to run."""
    import psycopg2

    try:
        text = str(error)
    except Exception:
        text = ""
    if isinstance(error, psycopg2.Error):
        # What follows is the row, with its times.
        text = text.partition("\n")[0]
    return RECORD.sub(r"\1(…)", ADDRESS.sub("0x…", f"{type(error).__name__}: {text}"))[:ERROR_CHARS]


def is_meant(error):
    """Whether users are meant to see this. A view that is not valid is none of that, although Odoo uses the same exception."""
    import psycopg2.errors
    from odoo import exceptions

    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is not None and last.tb_frame.f_code.co_filename.endswith(("ir_ui_view.py", "ir_qweb.py", "convert.py")):
        return False
    meant = tuple(getattr(exceptions, name) for name in ("UserError", "RedirectWarning", "AccessDenied") if hasattr(exceptions, name))
    made_up = (psycopg2.errors.UniqueViolation, psycopg2.errors.CheckViolation, psycopg2.errors.ExclusionViolation)
    return isinstance(error, meant + made_up)


def run(recorder, say, flush, budget):
    """Tries everything, most telling first."""
    smoke = Smoke(recorder, say, budget)
    smoke.prepare()
    smoke.read_sources()
    # Always there, so that no check at all means that there was no smoke run.
    smoke.check("registry", lambda: smoke.env["ir.module.module"].search_count([]))
    try:
        for part in (smoke.data, smoke.models, smoke.low_rights):
            part()
            flush()
    finally:
        if smoke.left_out:
            say(left_out=smoke.left_out[:500])
