//! The references of data files.

use roxmltree::{Document, Node, ParsingOptions};

use super::{Check, Kind, Place, arch};
use crate::odoo::source::Rows;

/// Resolves what an XML file refers to.
pub(super) fn xml(check: &Check<'_, '_>, path: &str, text: &str) {
    let options = ParsingOptions { nodes_limit: 200_000, ..ParsingOptions::default() };
    let Ok(document) = Document::parse_with_options(text, options) else { return };
    let file = File { check: *check, document: &document, path };
    for node in document.descendants().filter(Node::is_element) {
        match node.tag_name().name() {
            "record" => file.record(node),
            "menuitem" => file.menu(node),
            "template" => file.template(node),
            "function" | "delete" => {
                if let Some(model) = node.attribute("model") {
                    check.odoo_model(file.place(node), model);
                }
            }
            _ => {}
        }
    }
}

struct File<'f, 'd, 'a> {
    check: Check<'f, 'a>,
    document: &'f Document<'d>,
    path: &'f str,
}

impl<'f> File<'f, '_, '_> {
    fn place(&self, node: Node<'_, '_>) -> Place<'f> {
        Place { path: self.path, line: self.document.text_pos_at(node.range().start).row }
    }

    fn record(&self, node: Node<'_, '_>) {
        let Some(odoo_model) = node.attribute("model") else { return };
        self.check.odoo_model(self.place(node), odoo_model);
        let fields: Vec<_> = node.children().filter(|child| child.tag_name().name() == "field").collect();
        for field in &fields {
            self.field(odoo_model, *field);
        }
        let text =
            |name: &str| fields.iter().find(|field| field.attribute("name") == Some(name)).and_then(roxmltree::Node::text).map(str::trim);
        let field = |name: &str| fields.iter().find(|field| field.attribute("name") == Some(name)).copied();
        match odoo_model {
            "ir.ui.view" => {
                if let Some(view) = field("arch") {
                    let parent = field("inherit_id").and_then(|field| field.attribute("ref"));
                    let known = text("model").map(str::to_owned).or_else(|| self.check.model_of_view(parent?));
                    arch::view(&self.check, self.document, self.path, view, known.as_deref(), parent);
                }
            }
            "ir.actions.act_window" => {
                if let (Some(model), Some(place)) = (text("res_model"), field("res_model")) {
                    self.check.odoo_model(self.place(place), model);
                    if let (Some(domain), Some(at)) = (text("domain"), field("domain")) {
                        self.check.domain_text(self.place(at), model, domain);
                    }
                }
            }
            "ir.actions.report" => {
                if let (Some(model), Some(place)) = (text("model"), field("model")) {
                    self.check.odoo_model(self.place(place), model);
                }
            }
            "ir.rule" => {
                let model = field("model_id").and_then(|field| field.attribute("ref")).and_then(|id| self.check.model_of_id(id));
                if let (Some(model), Some(domain), Some(at)) = (model, text("domain_force"), field("domain_force")) {
                    self.check.domain_text(self.place(at), &model, domain);
                }
            }
            _ => {}
        }
        if odoo_model == "ir.ui.view"
            && let (Some(model), Some(place)) = (text("model"), field("model"))
        {
            self.check.odoo_model(self.place(place), model);
        }
    }

    fn field(&self, odoo_model: &str, field: Node<'_, '_>) {
        let place = self.place(field);
        let Some(name) = field.attribute("name") else { return };
        if self.check.world.model(odoo_model).exists {
            self.check.field(place, odoo_model, name, false);
        }
        if let Some(id) = field.attribute("ref") {
            let kind = match self.check.world.comodel(odoo_model, name).as_deref() {
                Some("res.groups") => Kind::Group,
                Some("ir.ui.view") => Kind::Template,
                _ => Kind::Record,
            };
            self.check.external_id(place, id, kind);
        }
        if let Some(eval) = field.attribute("eval") {
            refs(eval).for_each(|id| self.check.external_id(place, id, Kind::Record));
        }
        if let (Some(search), Some(comodel)) = (field.attribute("search"), self.check.world.comodel(odoo_model, name)) {
            self.check.domain_text(place, &comodel, search);
        }
        let is_plain = !field.has_attribute("eval") && !field.has_attribute("ref") && field.children().all(|child| child.is_text());
        if let Some(value) = field.text().map(str::trim).filter(|_| is_plain && !field.has_attribute("type")) {
            self.check.selection(place, odoo_model, name, value);
        }
    }

    fn menu(&self, node: Node<'_, '_>) {
        let place = self.place(node);
        for (name, kind) in [("action", Kind::Record), ("parent", Kind::Record)] {
            if let Some(id) = node.attribute(name) {
                self.check.external_id(place, id, kind);
            }
        }
        if let Some(groups) = node.attribute("groups") {
            self.check.groups(place, groups);
        }
    }

    fn template(&self, node: Node<'_, '_>) {
        if let Some(id) = node.attribute("inherit_id") {
            self.check.external_id(self.place(node), id, Kind::Template);
        }
        if let Some(groups) = node.attribute("groups") {
            self.check.groups(self.place(node), groups);
        }
        arch::template(&self.check, self.document, self.path, node);
    }
}

impl Check<'_, '_> {
    /// The Odoo model that a view shows.
    pub(super) fn model_of_view(&self, id: &str) -> Option<String> {
        let mut id = self.full(id);
        for _ in 0..12 {
            let view = self.world.index.view(&id)?;
            match (&view.odoo_model, &view.inherit) {
                (Some(model), _) => return Some(model.clone()),
                (None, Some(parent)) => id.clone_from(parent),
                (None, None) => return None,
            }
        }
        None
    }

    /// The Odoo model of `model_…`, where only one is called so.
    pub(super) fn model_of_id(&self, id: &str) -> Option<String> {
        let name = id.rsplit('.').next()?.strip_prefix("model_")?;
        let models = self.world.index.odoo_models(&self.world.scope);
        let mut found = models.into_iter().filter(|model| model.replace('.', "_") == name);
        found.next().filter(|_| found.next().is_none()).map(str::to_owned)
    }

    /// An external id with its addon's name.
    pub(super) fn full(&self, id: &str) -> String {
        if id.contains('.') { id.to_owned() } else { format!("{}.{id}", self.world.module) }
    }
}

/// The ids in `ref('…')`.
pub(super) fn refs(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("ref(").filter_map(move |(at, _)| {
        let before = text[..at].chars().next_back();
        let rest = text[at + 4..].trim_start();
        let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            return None;
        }
        rest[1..].split(quote).next()
    })
}

/// Resolves what a CSV file refers to.
pub(super) fn csv(check: &Check<'_, '_>, path: &str, text: &str) {
    let Some(odoo_model) = path.rsplit('/').next().and_then(|file| file.strip_suffix(".csv")) else { return };
    let odoo_model = odoo_model.split('-').next().unwrap_or(odoo_model);
    // A file that is no data of Odoo is one that code reads.
    if !odoo_model.contains('.') || !is_data(check, path) {
        return;
    }
    check.odoo_model(Place { path, line: 1 }, odoo_model);
    if !check.world.model(odoo_model).exists {
        return;
    }
    let rows = Rows::of(text);
    for (n, column) in rows.head.iter().enumerate() {
        let (name, is_id) = match column.split_once([':', '/']) {
            Some((name, "id")) => (name, true),
            Some((name, _)) => (name, false),
            None => (column.strip_suffix(".id").unwrap_or(column), false),
        };
        let name = name.split('@').next().unwrap_or(name);
        if name != "id" && !name.is_empty() {
            check.field(Place { path, line: 1 }, odoo_model, name, false);
        }
        if !is_id {
            continue;
        }
        let kind = if check.world.comodel(odoo_model, name).as_deref() == Some("res.groups") { Kind::Group } else { Kind::Record };
        for row in &rows.rows {
            for id in row.get(Some(n)).split(',').map(str::trim).filter(|id| !id.is_empty()) {
                check.external_id(Place { path, line: row.first }, id, kind);
            }
        }
    }
}

/// Whether the manifest has a file loaded.
fn is_data(check: &Check<'_, '_>, path: &str) -> bool {
    let within = path.split_once('/').map_or(path, |(_, within)| within);
    let manifest = check.addon.manifest();
    manifest.is_some_and(|manifest| ["data", "demo"].iter().any(|key| manifest.texts(key).contains(&within)))
}
