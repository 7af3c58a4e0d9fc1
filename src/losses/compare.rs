//! The facts before a patch held against those after it.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Fact, Facts, Item, Kind, Role};
use super::judge::{Judge, shown};
use crate::domain::{Location, Loss, LossKind};
use crate::rules::known::{field_renaming, telling_field};

/// From here on two facts are one, said otherwise.
const NEAR: f64 = 0.5;
/// Starts the content of a condition that was not understood, so that only its names can be compared.
pub(super) const RAW: &str = "raw ";

/// The most pairs of facts that are compared by likeness.
const MANY: usize = 100_000;

/// A fact that is gone, with what took its place.
struct Change<'f> {
    was: &'f Fact,
    is: Option<&'f Fact>,
}

/// What the facts after a patch lack of those before it.
pub(super) fn losses(before: &Facts, after: &Facts, judge: &Judge<'_>) -> Vec<Loss> {
    let (gone, new) = differences(&before.facts, &after.facts);
    let changes = matched(&gone, &new, judge);
    let vanished = Vanished::of(before, after);
    let mut found = Vec::new();
    let has_new_term = |unit: &str| new.iter().any(|fact| fact.kind == Kind::Term && fact.unit == unit) || is_told(before, after, unit);
    // Whether a record is among several is asked as it was asked whether it is the one.
    let members: Vec<&Change<'_>> = changes.iter().filter(|change| change.is.is_some_and(|is| is_membership(change.was, is))).collect();
    let is_member = |unit: &str, old: &str, new: &str| {
        members.iter().any(|change| change.was.unit == unit && change.was.key == old && change.is.is_some_and(|is| is.key == new))
    };
    let gone_wholes: BTreeSet<String> =
        changes.iter().filter(|change| change.is.is_none()).filter_map(|change| whole(change.was)).collect();
    for Change { was, is } in &changes {
        match is {
            Some(is) if is_membership(was, is) => {}
            Some(is) => {
                let lost = changed(was, is, judge, &vanished);
                found.extend(lost.filter(|lost| lost.kind != LossKind::Scope || !has_new_term(&was.unit)));
            }
            // Of what is gone as a whole its parts are not told.
            None if part_of(was).is_some_and(|name| gone_wholes.contains(&name)) => {}
            None => found.extend(dropped(was, &new, &vanished)),
        }
    }
    let told: BTreeSet<(String, u32)> = found.iter().filter_map(|loss| Some((loss.place.path.clone(), loss.place.line?))).collect();
    for (item, path) in vanished.unpaired(judge) {
        if !told.contains(&(path.to_owned(), item.line)) {
            found.push(of_item(item, path));
        }
    }
    for (item, by, unit, path) in vanished.paired(judge) {
        if let Some((kind, how)) = judge.rename(item.role, &item.text, &by.text, item.model.as_deref())
            && !told.contains(&(path.to_owned(), item.line))
            && !is_member(unit, &item.text, &by.text)
            // With a condition that says which records are meant, another Odoo model is no wider one.
            && !(item.role == Role::Model && has_new_term(unit))
        {
            found.push(loss(kind, path, item.line, how));
        }
    }
    found
}

/// Whether two terms of domains ask in the same way for a record that a field leads to, first as the only one and then as one of several.
fn is_membership(was: &Fact, is: &Fact) -> bool {
    let one = was.key.strip_suffix("_id");
    let listed = || field_renaming(was.model.as_deref(), &was.key, &is.key).is_some();
    let same = was.kind == Kind::Term && is.kind == Kind::Term && was.content == is.content && matches!(operator(was), "=" | "in");
    same && one.is_some() && one == is.key.strip_suffix("_ids") && listed()
}

/// Whether a unit asks for the field that tells the records of an Odoo model from those that its new name has besides.
fn is_told(before: &Facts, after: &Facts, unit: &str) -> bool {
    let of_unit = before.units.iter().filter(|found| found.name == unit).flat_map(|found| &found.items);
    let fields = of_unit.filter(|item| matches!(item.role, Role::Model | Role::Text)).filter_map(|item| telling_field(&item.text));
    let asks = |field: &str| after.facts.iter().any(|fact| fact.kind == Kind::Term && fact.unit == unit && fact.key == field);
    fields.into_iter().any(asks)
}

/// The name of a field or function, by which its parts name it.
fn whole(fact: &Fact) -> Option<String> {
    match fact.kind {
        Kind::Field => Some(format!("{}.{}", fact.unit, fact.key)),
        Kind::Function if fact.unit.ends_with(':') => Some(format!("{}{}", fact.unit, fact.key)),
        Kind::Function => Some(format!("{}.{}", fact.unit, fact.key)),
        _ => None,
    }
}

/// The name of the field or function that a fact is a part of.
fn part_of(fact: &Fact) -> Option<String> {
    match fact.kind {
        Kind::Property => Some(format!("{}.{}", fact.unit, fact.key.rsplit_once('.')?.0)),
        Kind::Decorator => Some(fact.unit.clone()),
        _ => None,
    }
}

pub(super) fn loss(kind: LossKind, path: &str, line: u32, what: String) -> Loss {
    Loss { kind, place: Location { path: path.to_owned(), line: Some(line) }, what }
}

/// The facts of either side that the other lacks.
fn differences<'f>(before: &'f [Fact], after: &'f [Fact]) -> (Vec<&'f Fact>, Vec<&'f Fact>) {
    type Name<'f> = (Kind, &'f str, &'f str);
    fn name(fact: &Fact) -> Name<'_> {
        (fact.kind, fact.key.as_str(), fact.content.as_str())
    }
    let mut count: BTreeMap<Name<'_>, i64> = BTreeMap::new();
    for fact in after {
        *count.entry(name(fact)).or_default() += 1;
    }
    // Where a fact stands more often before than after, the one is gone whose unit has none left.
    let mut in_unit: BTreeMap<(&str, Name<'_>), i64> = BTreeMap::new();
    for fact in after {
        *in_unit.entry((fact.unit.as_str(), name(fact))).or_default() += 1;
    }
    let take = |count: &mut BTreeMap<Name<'f>, i64>, name: Name<'f>| match count.get_mut(&name) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    };
    let mut open = Vec::new();
    for fact in before {
        match in_unit.get_mut(&(fact.unit.as_str(), name(fact))) {
            Some(left) if *left > 0 => {
                *left -= 1;
                take(&mut count, name(fact));
            }
            _ => open.push(fact),
        }
    }
    let gone = open.into_iter().filter(|fact| !take(&mut count, name(fact))).collect();
    let mut left = count;
    let new = after.iter().rev().filter(|fact| take(&mut left, name(fact))).collect::<Vec<_>>();
    (gone, new.into_iter().rev().collect())
}

/// Finds for each fact that is gone the new one that took its place.
fn matched<'f>(gone: &[&'f Fact], new: &[&'f Fact], judge: &Judge<'_>) -> Vec<Change<'f>> {
    let mut by: Vec<Option<usize>> = vec![None; gone.len()];
    let mut used = vec![false; new.len()];
    // What is rewritten from top to bottom is not paired by likeness, which would take long and tell nothing.
    let levels = if gone.len() * new.len() > MANY { 2 } else { 5 };
    for level in 0..levels {
        for (place, was) in
            gone.iter().enumerate().filter(|(place, _)| by[*place].is_none()).map(|(place, was)| (place, *was)).collect::<Vec<_>>()
        {
            let free = new.iter().enumerate().filter(|(n, is)| !used[*n] && is.kind == was.kind);
            let scored = free.filter_map(|(n, is)| Some((score(level, was, is, judge)?, n)));
            // Of equals the first.
            let best = scored.fold(None, |best: Option<(f64, usize)>, next| match best {
                Some(best) if best.0 >= next.0 => Some(best),
                _ => Some(next),
            });
            if let Some((_, n)) = best {
                (by[place], used[n]) = (Some(n), true);
            }
        }
    }
    gone.iter().zip(by).map(|(was, by)| Change { was, is: by.map(|n| new[n]) }).collect()
}

/// How well a new fact could take the place of one that is gone, by ever weaker signs; `None` if it cannot.
fn score(level: usize, was: &Fact, is: &Fact, judge: &Judge<'_>) -> Option<f64> {
    let same_unit = was.unit == is.unit;
    let (same_key, same_content) = (was.key == is.key, was.content == is.content);
    match level {
        0 => (same_key && same_unit).then(|| overlap(was, is)),
        1 => same_key.then(|| overlap(was, is)),
        2 => (same_content && same_unit && (was.kind != Kind::Condition)).then(|| judge.likeness(&was.key, &is.key)).filter(|score| {
            *score >= NEAR
                || !matches!(
                    was.kind,
                    Kind::Effect
                        | Kind::Function
                        | Kind::Decorator
                        | Kind::Field
                        | Kind::Import
                        | Kind::Record
                        | Kind::Node
                        | Kind::Translation
                        | Kind::Entries
                )
        }),
        3 if matches!(was.kind, Kind::Condition | Kind::Check | Kind::Junction) => {
            same_unit.then(|| overlap(was, is)).filter(|score| *score >= NEAR)
        }
        3 => (same_unit || same_content).then(|| judge.likeness(&was.key, &is.key)).filter(|score| *score >= NEAR),
        _ => (same_content && was.kind != Kind::Condition && !was.content.is_empty())
            .then(|| judge.likeness(&was.key, &is.key))
            .filter(|score| *score >= NEAR),
    }
}

fn overlap(was: &Fact, is: &Fact) -> f64 {
    if was.items.is_empty() && is.items.is_empty() {
        return if was.content == is.content || was.content.replace(' ', "") == is.content.replace(' ', "") { 1.0 } else { 0.5 };
    }
    let shared = was.items.iter().filter(|item| is.items.iter().any(|other| item.is_like(other))).count();
    shared as f64 / was.items.len().max(is.items.len()).max(1) as f64
}

/// What is lost where one fact took the place of another.
fn changed(was: &Fact, is: &Fact, judge: &Judge<'_>, vanished: &Vanished<'_>) -> Option<Loss> {
    let told = |kind: LossKind, how: String| Some(loss(kind, &was.path, was.line, format!("{}: {how}", was.subject)));
    if was.kind == Kind::Junction {
        let joined_otherwise = was.content == is.content && was.key != is.key;
        return if joined_otherwise { told(was.loss, "they are joined otherwise now".to_owned()) } else { None };
    }
    if was.key != is.key && was.kind != Kind::Condition {
        let renamed = if was.kind == Kind::Property { (tail(&was.key), tail(&is.key)) } else { (was.key.as_str(), is.key.as_str()) };
        if was.kind == Kind::Field {
            return told(was.loss, format!("it is called {} now, and its values stay behind", is.key));
        }
        if let Some((kind, how)) = judge.rename(was.role, renamed.0, renamed.1, was.model.as_deref()) {
            return told(if kind == LossKind::Value { was.loss } else { kind }, how);
        }
    }
    if negated(was, is) {
        return told(LossKind::Condition, "it says the opposite now".to_owned());
    }
    if was.content == is.content {
        return None;
    }
    if was.kind == Kind::Field {
        return told(LossKind::Type, format!("it was {} and is {}", was.content, is.content));
    }
    if was.kind == Kind::Term && operator(was) != operator(is) {
        return told(LossKind::Condition, format!("it compared by '{}' and compares by '{}'", operator(was), operator(is)));
    }
    let (gone, new) = (without(&was.items, &is.items), without(&is.items, &was.items));
    let mut free: Vec<&Item> = new;
    for item in gone {
        let place = free
            .iter()
            .position(|other| fits(item, other, judge))
            .or_else(|| if free.len() == 1 && roles_fit(item.role, free[0].role) { Some(0) } else { None });
        let Some(place) = place else {
            // A value that got a name of its own first is still there.
            if bare_variables(is) > bare_variables(was) && !vanished.holds(item, &was.unit) {
                continue;
            }
            if excused(item, &is.items) {
                continue;
            }
            return told(kind_of(was, item), format!("{} is no longer in it", name_of(item)));
        };
        let by = free.remove(place);
        if let Some((kind, how)) = judge.rename(item.role, &item.text, &by.text, item.model.as_deref()) {
            return told(if kind == LossKind::Value { was.loss } else { kind }, how);
        }
    }
    if was.items.is_empty()
        && is.items.is_empty()
        && matches!(was.kind, Kind::Value | Kind::Attribute | Kind::Entries | Kind::Statement | Kind::Constraint)
    {
        return judge
            .rename(Role::Text, &was.content, &is.content, None)
            .and_then(|(kind, how)| told(if kind == LossKind::Value { was.loss } else { kind }, how));
    }
    let says_otherwise = was.kind == Kind::Attribute
        && was.loss == LossKind::Condition
        && !was.content.starts_with(RAW)
        && without(&was.items, &is.items).is_empty()
        && without(&is.items, &was.items).is_empty();
    says_otherwise.then(|| loss(LossKind::Condition, &was.path, was.line, format!("{}: it says something else now", was.subject)))
}

/// Whether two conditions over the same differ in `not`.
fn negated(was: &Fact, is: &Fact) -> bool {
    let nots = |fact: &Fact| fact.key.starts_with("not ");
    was.kind == Kind::Condition && nots(was) != nots(is) && was.key.trim_start_matches("not ") == is.key.trim_start_matches("not ")
}

/// How many variables stand by themselves in what a fact says.
fn bare_variables(fact: &Fact) -> usize {
    let parts: Vec<&str> = fact.content.split(' ').collect();
    let alone = |place: &usize| parts[*place] == "§" && parts.get(place + 1) != Some(&".");
    (0..parts.len()).filter(alone).count().min(fact.variables)
}

fn operator(term: &Fact) -> &str {
    let words = term.content.strip_prefix("not ").map_or(0, |_| 4);
    term.content[words..].split_once(' ').map_or(term.content.as_str(), |(first, _)| &term.content[..words + first.len()])
}

fn tail(key: &str) -> &str {
    key.rsplit_once('.').map_or(key, |(_, tail)| tail)
}

/// What is lost where nothing took the place of a fact.
fn dropped(was: &Fact, new: &[&Fact], vanished: &Vanished<'_>) -> Option<Loss> {
    let in_unit = |kind: Kind, key: &str| new.iter().any(|fact| fact.kind == kind && fact.unit == was.unit && fact.key == key);
    let says = match was.kind {
        Kind::Junction => return None,
        // A membership that was asked for before the value was taken.
        Kind::Condition if was.key.contains(" in ") && vanished.gains("get", &was.unit) => return None,
        Kind::Condition if was.items.iter().all(|item| matches!(item.role, Role::Operator | Role::Constant)) && was.key == "True" => {
            return None;
        }
        Kind::Condition => "is no longer asked for",
        Kind::Translation if in_unit(Kind::Translation, &was.key) => return None,
        Kind::Effect if excused_call(was, vanished) => return None,
        Kind::Entry | Kind::Assignment => "is no longer written",
        Kind::Return => "is no longer given back",
        Kind::Term => "is gone",
        _ => "is taken away",
    };
    Some(loss(was.loss, &was.path, was.line, format!("{} {says}", was.subject)))
}

fn excused_call(was: &Fact, vanished: &Vanished<'_>) -> bool {
    // What Odoo calls otherwise now.
    crate::rules::known::is_gone_method(&was.key) && vanished.gains_any(&was.unit)
}

fn excused(item: &Item, now: &[Item]) -> bool {
    match item.role {
        Role::Constant => true,
        // Bytes are stored as they are.
        Role::Call | Role::Attribute | Role::Name => {
            matches!(item.text.as_str(), "b64encode" | "base64") || (item.text == "tuple" && now.iter().any(|other| other.text == "list"))
        }
        // A part of a path that is one text now.
        Role::Text if now.iter().any(|other| is_part(&item.text, &other.text)) => true,
        _ => item.text.is_empty(),
    }
}

fn is_part(part: &str, path: &str) -> bool {
    path.contains('/') && path.split('/').any(|found| found == part)
}

fn kind_of(fact: &Fact, item: &Item) -> LossKind {
    match item.role {
        Role::Operator => LossKind::Condition,
        _ => fact.loss,
    }
}

/// The items of one list that the other lacks.
fn without<'i>(items: &'i [Item], others: &[Item]) -> Vec<&'i Item> {
    let mut left: Vec<&Item> = others.iter().collect();
    items
        .iter()
        .filter(|item| match left.iter().position(|other| item.is_like(other)) {
            Some(place) => {
                left.remove(place);
                false
            }
            None => true,
        })
        .collect()
}

fn roles_fit(one: Role, other: Role) -> bool {
    let names = |role: Role| matches!(role, Role::Attribute | Role::Call | Role::Name | Role::Key);
    let texts = |role: Role| matches!(role, Role::Model | Role::Id);
    let read_otherwise = (one == Role::Text && texts(other)) || (texts(one) && other == Role::Text);
    one == other || (names(one) && names(other)) || read_otherwise
}

fn fits(item: &Item, other: &Item, judge: &Judge<'_>) -> bool {
    item.text == other.text || (roles_fit(item.role, other.role) && judge.likeness(&item.text, &other.text) >= NEAR)
}

fn name_of(item: &Item) -> String {
    match item.role {
        Role::Text => shown(&item.text),
        Role::Call => format!("the call of {}", item.text),
        _ => item.text.clone(),
    }
}

fn of_item(item: &Item, path: &str) -> Loss {
    let (kind, what) = match item.role {
        Role::Attribute => (LossKind::Value, format!("{} is no longer read", item.text)),
        Role::Call => (LossKind::Call, format!("the call of {} is taken away", item.text)),
        Role::Name => (LossKind::Behaviour, format!("{} is no longer used", item.text)),
        Role::Text if super::judge::is_sql(&item.text) => (LossKind::Behaviour, format!("the SQL {} is taken away", shown(&item.text))),
        Role::Text | Role::Key => (LossKind::Value, format!("the text {} is taken away", shown(&item.text))),
        Role::Model => (LossKind::Value, format!("the Odoo model {} is no longer used", item.text)),
        Role::Id => (LossKind::Value, format!("the record {} is no longer used", item.text)),
        Role::Number => (LossKind::Value, format!("the number {} is taken away", item.text)),
        Role::Constant => (LossKind::Value, format!("{} is taken away", item.text)),
        Role::Operator => (LossKind::Condition, format!("nothing is compared by `{}` any more", item.text)),
    };
    loss(kind, path, item.line, what)
}

/// The ingredients that units no longer hold, and those that they hold now.
struct Vanished<'f> {
    /// By unit: its file, what it lost and what it gained.
    units: BTreeMap<&'f str, (&'f str, Vec<&'f Item>, Vec<&'f Item>)>,
}

impl<'f> Vanished<'f> {
    fn of(before: &'f Facts, after: &'f Facts) -> Self {
        let collect = |facts: &'f Facts| {
            let mut units: BTreeMap<&'f str, (&'f str, Vec<&'f Item>)> = BTreeMap::new();
            for unit in &facts.units {
                units.entry(&unit.name).or_insert((&unit.path, Vec::new())).1.extend(&unit.items);
            }
            units
        };
        let (was, is) = (collect(before), collect(after));
        let mut units = BTreeMap::new();
        let mut gained = Vec::new();
        for (name, (_, items)) in &is {
            let old = was.get(name).map_or(&[][..], |(_, items)| items.as_slice());
            gained.extend(unlike(items, old));
        }
        for (name, (path, items)) in &was {
            let now = is.get(name).map_or(&[][..], |(_, items)| items.as_slice());
            let lost: Vec<&Item> = unlike(items, now).into_iter().filter(|item| !gained.iter().any(|other| item.is_like(other))).collect();
            units.insert(*name, (*path, lost, unlike(now, items)));
        }
        Self { units }
    }

    fn holds(&self, item: &Item, unit: &str) -> bool {
        self.units.get(unit).is_some_and(|(_, lost, _)| lost.iter().any(|other| item.is_like(other)))
    }

    fn gains(&self, name: &str, unit: &str) -> bool {
        self.units.get(unit).is_some_and(|(_, _, gained)| gained.iter().any(|item| item.text == name))
    }

    fn gains_any(&self, unit: &str) -> bool {
        self.units.get(unit).is_some_and(|(_, _, gained)| !gained.is_empty())
    }

    fn pairs(&self, judge: &Judge<'_>) -> Vec<(&'f Item, Option<&'f Item>, &'f str, &'f str)> {
        let mut found = Vec::new();
        for (name, (path, lost, gained)) in &self.units {
            let mut free: Vec<&Item> = gained.clone();
            let mut open = Vec::new();
            for item in lost.iter().filter(|item| !matches!(item.role, Role::Constant | Role::Operator) && !item.text.is_empty()) {
                match free.iter().position(|other| fits(item, other, judge)) {
                    Some(place) => found.push((*item, Some(free.remove(place)), *name, *path)),
                    None => open.push(*item),
                }
            }
            for item in &open {
                let fitting: Vec<usize> =
                    (0..free.len()).filter(|n| roles_fit(item.role, free[*n].role) && free[*n].line.abs_diff(item.line) < 12).collect();
                let alone = open.iter().filter(|other| roles_fit(item.role, other.role)).count() == 1;
                match fitting.as_slice() {
                    [only] if alone => found.push((*item, Some(free.remove(*only)), *name, *path)),
                    _ if excused(item, &[]) || (free.iter().any(|other| other.text == "list") && item.text == "tuple") => {}
                    _ if crate::rules::known::is_gone_method(&item.text) && !gained.is_empty() => {}
                    _ if item.role == Role::Text && gained.iter().any(|other| is_part(&item.text, &other.text)) => {}
                    _ => found.push((*item, None, *name, *path)),
                }
            }
        }
        found
    }

    fn unpaired(&self, judge: &Judge<'_>) -> Vec<(&'f Item, &'f str)> {
        let open = self.pairs(judge).into_iter().filter(|(_, by, _, _)| by.is_none());
        open.map(|(item, _, _, path)| (item, path)).collect()
    }

    fn paired(&self, judge: &Judge<'_>) -> Vec<(&'f Item, &'f Item, &'f str, &'f str)> {
        self.pairs(judge).into_iter().filter_map(|(item, by, unit, path)| Some((item, by?, unit, path))).collect()
    }
}

/// The items of one list that the other does not have at all, each once.
fn unlike<'f>(items: &[&'f Item], others: &[&'f Item]) -> Vec<&'f Item> {
    let known: BTreeSet<(Role, &str)> = others.iter().map(|item| (item.role, item.text.as_str())).collect();
    let mut seen = BTreeSet::new();
    items
        .iter()
        .filter(|item| !known.contains(&(item.role, item.text.as_str())) && seen.insert((item.role, item.text.as_str())))
        .copied()
        .collect()
}
