//! The files of an addon to the rows that are written. CPU only, on threads of its own: nothing here waits for anything.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::Origin;
use super::read::{Content, read};
use super::report::Skips;
use super::tree::{Found, Unit, is_manifest, is_translation};
use crate::db::storable;
use crate::knowledge::chunk::{self, CHUNKER, Chunk, FileChunks, Kind, ModuleCard, Source, Symbol, Zone};
use crate::knowledge::lexical;
use crate::knowledge::store::digest;
use crate::odoo;

/// What makes rows of files, as a number that is stored with each: the version of what cuts them up, and of what weighs their terms.
pub(super) const MADE: i32 = CHUNKER * 1000 + lexical::LEXICAL as i32;

/// A file as it was when it was last read.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) digest: Vec<u8>,
    pub(super) chunker: i32,
}

/// The files of a source as they were last time, by name.
pub(super) type KnownFiles = HashMap<String, Known>;

/// One text as it is stored.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) kind: Kind,
    pub(super) r#ref: String,
    pub(super) symbol: String,
    pub(super) odoo_model: Option<String>,
    pub(super) lang: Option<String>,
    pub(super) start_line: i32,
    pub(super) end_line: i32,
    pub(super) title: String,
    pub(super) content: String,
    pub(super) card: Option<String>,
    pub(super) digest: Option<Vec<u8>>,
    pub(super) weights: Vec<(i32, f32)>,
}

/// One symbol as it is stored.
#[derive(Debug)]
pub(super) struct SymbolRow {
    pub(super) chunk: Uuid,
    pub(super) symbol: Symbol,
}

/// A file with all that is stored of it.
#[derive(Debug)]
pub(super) struct FileRows {
    pub(super) path: String,
    pub(super) module: Option<String>,
    pub(super) digest: Vec<u8>,
    /// Why there is nothing of it.
    pub(super) skipped: Option<&'static str>,
    pub(super) quality: f32,
    pub(super) rows: Vec<Row>,
    pub(super) symbols: Vec<SymbolRow>,
    pub(super) card: Option<ModuleCard>,
}

impl FileRows {
    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let row = |row: &Row| row.content.len() + row.card.as_ref().map_or(0, String::len) + row.weights.len() * 20 + 400;
        self.rows.iter().map(row).sum::<usize>() + self.symbols.len() * 300 + 200
    }
}

/// What became of the files of one unit.
#[derive(Debug, Default)]
pub(super) struct UnitRows {
    pub(super) files: Vec<FileRows>,
    pub(super) unchanged: u64,
    pub(super) new: u64,
    pub(super) changed: u64,
    /// Those that are gone since the walk.
    pub(super) gone: Vec<String>,
    pub(super) skips: Skips,
    pub(super) trouble: Skips,
    pub(super) busy: Duration,
}

/// What all units of a run share.
pub(super) struct Task {
    pub(super) origin: Origin,
    pub(super) version: String,
    pub(super) known: KnownFiles,
    /// The addons of which a file is gone: what they bring as a whole is to be told anew.
    pub(super) dirty: std::collections::HashSet<String>,
}

impl Task {
    /// Reads what has changed of a unit, and cuts it up.
    pub(super) fn cut(&self, unit: &Unit) -> UnitRows {
        let started = Instant::now();
        let mut out = UnitRows::default();
        let mut texts = Vec::new();
        for found in &unit.files {
            self.look(found, unit.module.as_deref(), &mut out, &mut texts);
        }
        let dirty = unit.module.as_ref().is_some_and(|module| self.dirty.contains(module));
        if !texts.is_empty() || (dirty && !unit.files.is_empty()) || !out.gone.is_empty() {
            self.cut_changed(unit, texts, &mut out);
        }
        out.busy = started.elapsed();
        out
    }

    /// Sorts one file: the same as before, changed (then with its text), not for us, or gone.
    fn look<'a>(&self, found: &'a Found, module: Option<&str>, out: &mut UnitRows, texts: &mut Vec<(&'a Found, String, blake3::Hash)>) {
        let before = self.known.get(&found.path);
        let current = before.filter(|known| known.chunker == MADE).map(|known| known.digest.as_slice());
        let mut count = || *(if before.is_some() { &mut out.changed } else { &mut out.new }) += 1;
        match self.read(found, current) {
            Content::Unchanged => out.unchanged += 1,
            Content::Text(text, hash) => {
                count();
                texts.push((found, text, hash));
            }
            Content::Unfit(reason, hash) => {
                out.skips.add(reason, &found.path);
                out.files.push(nothing(found, module, hash, reason));
            }
            Content::Unreadable => out.skips.add("cannot be read", &found.path),
            Content::Gone => out.gone.push(found.path.clone()),
        }
    }

    /// A file's text; of a tenant's own sources without the secrets that stand in them.
    fn read(&self, found: &Found, known: Option<&[u8]>) -> Content {
        match read(&found.file, &found.path, known) {
            Content::Text(text, hash) if !self.origin.is_shared() => Content::Text(odoo::mask_source(&text).into_owned(), hash),
            content => content,
        }
    }

    fn cut_changed(&self, unit: &Unit, texts: Vec<(&Found, String, blake3::Hash)>, out: &mut UnitRows) {
        let module = unit.module.as_deref();
        let mut cut: Vec<(&Found, blake3::Hash, FileChunks, bool)> = Vec::with_capacity(texts.len());
        for (found, text, hash) in texts {
            let pieces = pieces(&Source { module, path: &found.path, text: &text });
            if let Some(trouble) = &pieces.trouble {
                out.trouble.add("read in part", &format!("{}: {trouble}", found.path));
            }
            cut.push((found, hash, pieces, true));
        }
        if module.is_some() {
            self.complete(unit, &mut cut);
            add_words(&mut cut);
        }
        let card = cut.iter().find_map(|(_, _, pieces, _)| pieces.module.as_ref());
        let quality = super::quality(self.origin, card);
        for (found, hash, pieces, write) in cut {
            if write {
                out.files.push(self.rows(found, module, hash, quality, pieces));
            }
        }
    }

    /// Adds the files of an addon that have not changed: what it brings as a whole is told by all of them. Its manifest is written again.
    fn complete<'a>(&self, unit: &'a Unit, cut: &mut Vec<(&'a Found, blake3::Hash, FileChunks, bool)>) {
        let module = unit.module.as_deref();
        let present: std::collections::HashSet<&str> = cut.iter().map(|(found, ..)| found.path.as_str()).collect();
        let rest: Vec<&Found> =
            unit.files.iter().filter(|found| !is_translation(&found.path) && !present.contains(found.path.as_str())).collect();
        for found in rest {
            if let Content::Text(text, hash) = self.read(found, None) {
                let pieces = pieces(&Source { module, path: &found.path, text: &text });
                cut.push((found, hash, pieces, is_manifest(&found.path)));
            }
        }
    }

    fn rows(&self, found: &Found, module: Option<&str>, hash: blake3::Hash, quality: f32, pieces: FileChunks) -> FileRows {
        let mut names: HashMap<String, usize> = HashMap::new();
        let rows: Vec<Row> = pieces.chunks.into_iter().map(|piece| self.row(&found.path, piece, &mut names)).collect();
        let symbols = pieces.symbols.into_iter().filter_map(|symbol| {
            let chunk = rows.get(symbol.chunk)?.id;
            Some(SymbolRow { chunk, symbol })
        });
        let symbols = symbols.collect();
        let digest = hash.as_bytes().to_vec();
        FileRows {
            path: found.path.clone(),
            module: module.map(ToOwned::to_owned),
            digest,
            skipped: None,
            quality,
            rows,
            symbols,
            card: pieces.module,
        }
    }

    fn row(&self, path: &str, piece: Chunk, names: &mut HashMap<String, usize>) -> Row {
        let weights = lexical::weigh(&piece.zones);
        let symbol = storable(&piece.symbol);
        let times = names.entry(symbol.clone()).or_default();
        *times += 1;
        let repeat = if *times > 1 { format!("~{times}") } else { String::new() };
        let card = piece.card.as_deref().map(storable);
        Row {
            id: Uuid::now_v7(),
            kind: piece.kind,
            r#ref: format!("{}/{path}#{symbol}{repeat}", self.version),
            odoo_model: piece.odoo_model,
            lang: piece.lang,
            start_line: i32::try_from(piece.start_line).unwrap_or(i32::MAX),
            end_line: i32::try_from(piece.end_line).unwrap_or(i32::MAX),
            title: storable(&piece.title),
            content: storable(&piece.text),
            digest: card.as_ref().map(|card| digest(card)),
            symbol,
            card,
            weights,
        }
    }
}

/// One file that breaks what cuts it up must not end the run.
fn pieces(source: &Source<'_>) -> FileChunks {
    let cut = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| chunk::cut(source)));
    cut.unwrap_or_else(|_| FileChunks { trouble: Some("it broke what cuts it up".to_owned()), ..FileChunks::default() })
}

fn nothing(found: &Found, module: Option<&str>, hash: blake3::Hash, reason: &'static str) -> FileRows {
    FileRows {
        path: found.path.clone(),
        module: module.map(ToOwned::to_owned),
        digest: hash.as_bytes().to_vec(),
        skipped: Some(reason),
        quality: 0.0,
        rows: Vec::new(),
        symbols: Vec::new(),
        card: None,
    }
}

/// Has the piece that stands for the addon say what all of its files bring.
fn add_words(cut: &mut [(&Found, blake3::Hash, FileChunks, bool)]) {
    let mut files: Vec<(&str, &FileChunks)> = cut.iter().map(|(found, _, pieces, _)| (found.path.as_str(), pieces)).collect();
    // In an order of their own, so that it does not depend on which of them have changed.
    files.sort_by_key(|(path, _)| *path);
    let words = chunk::module_words(&files);
    for piece in cut.iter_mut().flat_map(|(_, _, pieces, _)| &mut pieces.chunks).filter(|piece| piece.kind == Kind::Module) {
        piece.zones.push((Zone::Members, words.clone()));
        piece.card = piece.card.as_deref().map(|card| chunk::with_words(card, &words));
    }
}
