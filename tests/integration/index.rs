//! Sources into the knowledge base, against a real PostgreSQL: what costs nothing, what goes, what stays, and what a bad tree does.

#![expect(clippy::unwrap_used, reason = "the helpers are tests too, though clippy knows only functions that say so")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;
use odoo_agent::db::Db;
use odoo_agent::domain::{Cost, Failure, TenantId};
use odoo_agent::knowledge::index::{self, IndexError, Options, Origin, Report, Status, Tree, Vectored, Vectors};
use odoo_agent::knowledge::{Embedder, Filters, HashEmbedder, Knowledge, Query};
use odoo_agent::tenants;
use sqlx::{Connection as _, PgConnection, Row};
use uuid::Uuid;

use crate::support::{self, tree};

const MANIFEST: &str = "{'name': 'Shop', 'version': '19.0.1.0.0', 'depends': ['sale']}\n";
const ORDER: &str = "from odoo import models, fields\n\n\nclass Order(models.Model):\n    _name = 'shop.order'\n    _description = 'Shop order'\n\n    \
    pickup_id = fields.Many2one('res.partner')\n\n    def compute_pickup(self):\n        return self.pickup_id\n\n    def cancel_pickup(self):\n        \
    self.pickup_id = False\n";

/// A tree with one addon.
fn shop() -> tempfile::TempDir {
    let dir = support::temp_dir();
    write(dir.path(), "addons/shop/__manifest__.py", MANIFEST);
    write(dir.path(), "addons/shop/__init__.py", "");
    write(dir.path(), "addons/shop/models/order.py", ORDER);
    write(dir.path(), "addons/shop/models/line.py", ORDER.replace("order", "line").replace("Order", "Line"));
    dir
}

fn write(root: &Path, path: &str, text: impl AsRef<[u8]>) {
    let file = root.join(path);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

fn options(tenant: &TenantId) -> Options {
    Options { tenant: tenant.clone(), embedder: Some(Arc::new(Embedder::Hash(HashEmbedder))), progress: Arc::new(|_| {}) }
}

async fn tenant(db: &Db, name: &str) -> TenantId {
    let tenant: TenantId = name.parse().unwrap();
    tenants::ensure(db, &tenant).await.unwrap();
    tenant
}

async fn indexed(db: &Db, path: &Path) -> Report {
    let operator = tenant(db, "default").await;
    index::run(db, &tree(path, Origin::Core), &options(&operator)).await.unwrap()
}

/// The texts that this tenant sees: id, row version, reference.
async fn texts(db: &Db, tenant: &TenantId) -> Vec<(Uuid, String, String)> {
    let mut tx = db.tenant(tenant).await.unwrap();
    let sql = "select id, xmin::text, ref from odoo_knowledge union all select id, xmin::text, ref from tenant_knowledge order by ref";
    let rows = sqlx::query(sql).fetch_all(tx.conn()).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

async fn refs(db: &Db) -> Vec<String> {
    let operator = tenant(db, "default").await;
    texts(db, &operator).await.into_iter().map(|(_, _, reference)| reference).collect()
}

async fn number(db: &Db, tenant: &TenantId, sql: &'static str) -> i64 {
    let mut tx = db.tenant(tenant).await.unwrap();
    sqlx::query(sql).fetch_one(tx.conn()).await.unwrap().get(0)
}

/// Whether the counts of terms are those of the texts, whatever came and went.
async fn counts_are_right(db: &Db, tenant: &TenantId) {
    let wrong = number(
        db,
        tenant,
        "with held as (select tenant_id, corpus, term, count(*) as texts
                         from (select null::text as tenant_id, corpus, unnest(array_prepend(0, lexemes)) as term from odoo_knowledge
                               union all select tenant_id, corpus, unnest(array_prepend(0, lexemes)) from tenant_knowledge) t
                        group by 1, 2, 3)
         select count(*) from held full join (select * from knowledge_terms where texts <> 0) told
             on told.corpus = held.corpus and told.term = held.term and told.tenant_id is not distinct from held.tenant_id
          where told.texts is distinct from held.texts",
    )
    .await;
    assert_eq!(wrong, 0, "counts that differ from the texts");
}

#[tokio::test]
async fn unchanged_sources_are_not_written() {
    let database = support::database().await;
    let (db, dir) = (&database.db, shop());
    let operator = tenant(db, "default").await;
    let first = indexed(db, dir.path()).await;
    assert!(first.chunks > 4 && first.symbols > 0 && first.embedded > 0, "{first:?}");
    assert_eq!((first.files.new, first.files.unchanged), (first.files.seen, 0));
    let before = texts(db, &operator).await;
    let changes = number(db, &operator, "select number from knowledge_changes where tenant_id is null").await;
    let second = indexed(db, dir.path()).await;
    assert_eq!((second.files.unchanged, second.chunks, second.removed, second.embedded), (second.files.seen, 0, 0, 0));
    assert_eq!(texts(db, &operator).await, before);
    assert_eq!(number(db, &operator, "select number from knowledge_changes where tenant_id is null").await, changes);
    counts_are_right(db, &operator).await;
}

#[tokio::test]
async fn changed_file_alone_is_replaced() {
    let database = support::database().await;
    let (db, dir) = (&database.db, shop());
    let operator = tenant(db, "default").await;
    indexed(db, dir.path()).await;
    let before = texts(db, &operator).await;
    write(dir.path(), "addons/shop/models/order.py", ORDER.replace("def cancel_pickup", "def refuse_pickup"));
    let report = indexed(db, dir.path()).await;
    assert_eq!((report.files.changed, report.files.new, report.files.gone), (1, 0, 0));
    assert!(report.reused == 0 && report.embedded < 4, "what is embedded by the same words keeps its vector: {report:?}");
    let after = texts(db, &operator).await;
    let kept = |within: &str| {
        let of = |texts: &[(Uuid, String, String)]| {
            texts.iter().filter(|(_, _, reference)| reference.contains(within)).cloned().collect::<Vec<_>>()
        };
        of(&before) == of(&after)
    };
    assert!(kept("models/line.py") && !kept("models/order.py") && !kept("__manifest__.py"), "the addon says anew what it brings");
    let names = refs(db).await;
    assert!(
        names.iter().any(|name| name.contains("refuse_pickup"))
            && !names.iter().any(|name| name.contains("order.py#") && name.contains("cancel_pickup"))
    );
    assert!(names.iter().all(|name| name.starts_with("19.0/shop/")), "{names:?}");
    counts_are_right(db, &operator).await;
}

#[tokio::test]
async fn maturity_of_an_addon_counts_for_all_of_it() {
    let database = support::database().await;
    let (db, dir) = (&database.db, shop());
    let operator = tenant(db, "default").await;
    let oca = tree(dir.path(), Origin::Oca);
    for (status, others) in [
        ("Alpha", "select count(*) from odoo_knowledge where quality <> 0.4::real"),
        ("Mature", "select count(*) from odoo_knowledge where quality <> 0.7::real"),
    ] {
        write(dir.path(), "addons/shop/__manifest__.py", format!("{{'name': 'Shop', 'development_status': '{status}'}}"));
        index::run(db, &oca, &options(&operator)).await.unwrap();
        assert_eq!(number(db, &operator, others).await, 0, "{status}");
    }
}

#[tokio::test]
async fn what_is_gone_is_taken_away() {
    let database = support::database().await;
    let (db, dir) = (&database.db, shop());
    let operator = tenant(db, "default").await;
    write(dir.path(), "addons/bare/__manifest__.py", MANIFEST);
    indexed(db, dir.path()).await;
    std::fs::remove_file(dir.path().join("addons/shop/models/line.py")).unwrap();
    std::fs::remove_dir_all(dir.path().join("addons/bare")).unwrap();
    let report = indexed(db, dir.path()).await;
    assert_eq!(report.files.gone, 2);
    let names = refs(db).await;
    assert!(!names.iter().any(|name| name.contains("line.py") || name.contains("/bare/")), "{names:?}");
    assert_eq!(number(db, &operator, "select count(*) from knowledge_modules").await, 1);
    let orphans = "select count(*) from knowledge_vectors v where not exists (select from knowledge k where k.id = v.chunk_id)";
    assert_eq!(number(db, &operator, orphans).await, 0);
    let orphans = "select count(*) from knowledge_symbols s where not exists (select from knowledge k where k.id = s.chunk_id)";
    assert_eq!(number(db, &operator, orphans).await, 0);
    counts_are_right(db, &operator).await;
}

#[tokio::test]
async fn tree_that_vanishes_costs_nothing_known() {
    let database = support::database().await;
    let (db, dir) = (&database.db, shop());
    let operator = tenant(db, "default").await;
    indexed(db, dir.path()).await;
    let before = texts(db, &operator).await;
    write(dir.path(), "addons/shop/models/late.py", ORDER);
    let (root, vanish) = (dir.path().join("addons"), dir.path().join("addons"));
    let progress = move |status: &Status| {
        if status.phase == "index" && vanish.exists() {
            std::fs::remove_dir_all(&vanish).unwrap();
        }
    };
    let mid_run = Options { progress: Arc::new(progress), ..options(&operator) };
    let ended = index::run(db, &tree(&root, Origin::Core), &mid_run).await;
    assert!(matches!(ended, Err(IndexError::Gone(_))), "{ended:?}");
    let after = texts(db, &operator).await;
    assert!(before.iter().all(|text| after.iter().any(|left| left.2 == text.2)), "what was known stays");
    let failed = number(db, &operator, "select count(*) from knowledge_sources where state = 'failed'").await;
    assert_eq!(failed, 1);
    std::fs::create_dir(&root).unwrap();
    let empty = index::run(db, &tree(&root, Origin::Core), &options(&operator)).await;
    assert!(matches!(empty, Err(IndexError::Empty(_))), "half a clone is no reason to forget: {empty:?}");
    assert_eq!(texts(db, &operator).await, after);
}

#[tokio::test]
async fn garbage_is_named_and_left_out() {
    let database = support::database().await;
    let (db, dir) = (&database.db, shop());
    write(dir.path(), "addons/shop/models/broken.py", "class (((\n  def\n");
    write(dir.path(), "addons/shop/models/binary.py", b"\x00\x01\x02");
    write(dir.path(), "addons/shop/models/latin.py", b"# -*- coding: latin-1 -*-\ndef caf\xe9():\n    pass\n");
    write(dir.path(), "addons/shop/models/other.py", b"x = '\xff\xfe'\n");
    write(dir.path(), "addons/shop/models/giant.py", vec![b'#'; 3 * 1024 * 1024]);
    write(dir.path(), "addons/shop/views/broken.xml", "<odoo><record");
    write(dir.path(), "addons/shop/security/ir.model.access.csv", "a,b\n\"unclosed");
    write(dir.path(), "addons/half/.git/HEAD", "ref: refs/heads/19.0\n");
    std::os::unix::fs::symlink(dir.path(), dir.path().join("addons/shop/loop")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("addons/shop/models/passwd.py")).unwrap();
    let report = indexed(db, dir.path()).await;
    for (reason, count) in [("binary", 1), ("no UTF-8", 1), ("too large", 1), ("a symbolic link", 2)] {
        assert_eq!(report.skipped.count(reason), count, "{reason}: {report:?}");
    }
    assert!(report.trouble.total() >= 1, "{report:?}");
    let names = refs(db).await;
    assert!(names.iter().any(|name| name.contains("order.py")) && !names.iter().any(|name| name.contains("passwd")));
    let again = indexed(db, dir.path()).await;
    assert_eq!((again.files.unchanged, again.chunks), (again.files.seen, 0), "what cannot be used is not looked at again: {again:?}");
}

#[tokio::test]
async fn run_that_is_cut_off_goes_on() {
    let database = support::database().await;
    let (db, dir) = (&database.db, shop());
    let operator = tenant(db, "default").await;
    for n in 0..600 {
        write(dir.path(), &format!("addons/m{n}/__manifest__.py"), MANIFEST);
        write(dir.path(), &format!("addons/m{n}/a.py"), ORDER);
    }
    // Dropped in the middle: at the first batch that is told.
    let (send, receive) = tokio::sync::oneshot::channel::<()>();
    let send = std::sync::Mutex::new(Some(send));
    let progress = move |status: &Status| {
        if status.phase == "index"
            && status.chunks > 0
            && let Some(send) = send.lock().unwrap().take()
        {
            send.send(()).unwrap();
        }
    };
    let tree = tree(dir.path(), Origin::Core);
    let told = Options { progress: Arc::new(progress), ..options(&operator) };
    tokio::select! {
        ended = index::run(db, &tree, &told) => panic!("it was to be cut off: {ended:?}"),
        told = receive => told.unwrap(),
    }
    let report = index::run(db, &tree, &options(&operator)).await.unwrap();
    assert!(report.files.unchanged > 0 && report.files.new > 0, "{:?}", report.files);
    let files = number(db, &operator, "select count(*) from knowledge_files").await;
    assert_eq!(files, i64::try_from(report.files.seen).unwrap());
    let twice = number(db, &operator, "select count(*) from (select ref from odoo_knowledge group by ref having count(*) > 1) t").await;
    assert_eq!(twice, 0);
    counts_are_right(db, &operator).await;
}

#[tokio::test]
async fn two_at_once_do_the_work_once() {
    let database = support::database().await;
    let (db, dir) = (&database.db, shop());
    let operator = tenant(db, "default").await;
    let tree = tree(dir.path(), Origin::Core);
    let (one, two) = (options(&operator), options(&operator));
    let (one, two) = tokio::join!(index::run(db, &tree, &one), index::run(db, &tree, &two));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.files.new + two.files.new, one.files.seen, "the second found all of it done");
    counts_are_right(db, &operator).await;
}

#[tokio::test]
async fn two_sources_at_once_are_both_counted() {
    let database = support::database().await;
    let (db, one, two) = (&database.db, shop(), shop());
    let operator = tenant(db, "default").await;
    let (core, oca) = (tree(one.path(), Origin::Core), tree(two.path(), Origin::Oca));
    let options = options(&operator);
    let (core, oca) = tokio::join!(index::run(db, &core, &options), index::run(db, &oca, &options));
    assert_eq!(core.unwrap().chunks, oca.unwrap().chunks);
    counts_are_right(db, &operator).await;
}

#[tokio::test]
async fn custom_sources_are_their_tenants_alone() {
    let database = support::database().await;
    let (db, dir) = (&database.db, shop());
    let (acme, other) = (tenant(db, "acme").await, tenant(db, "other").await);
    index::run(db, &tree(dir.path(), Origin::Custom), &options(&acme)).await.unwrap();
    assert!(!texts(db, &acme).await.is_empty());
    assert!(texts(db, &other).await.is_empty());
    for table in ["knowledge_sources", "knowledge_files", "knowledge_symbols", "knowledge_modules", "knowledge_vectors", "knowledge_terms"]
    {
        let mut tx = db.tenant(&other).await.unwrap();
        let sql = format!("select count(*) from {table}");
        let seen: i64 = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(tx.conn()).await.unwrap().get(0);
        assert_eq!(seen, 0, "{table}");
    }
    // The same sources of another tenant are embedded anew: a vector never crosses over.
    let report = index::run(db, &tree(dir.path(), Origin::Custom), &options(&other)).await.unwrap();
    assert_eq!((report.files.new, report.reused), (report.files.seen, 0));
    counts_are_right(db, &acme).await;
    counts_are_right(db, &other).await;
}

#[tokio::test]
async fn shared_vectors_serve_tenants_and_never_back() {
    let database = support::database().await;
    let (db, dir) = (&database.db, shop());
    let acme = tenant(db, "acme").await;
    index::run(db, &tree(dir.path(), Origin::Custom), &options(&acme)).await.unwrap();
    let shared = indexed(db, dir.path()).await;
    assert!(shared.reused == 0 && shared.embedded > 0, "{shared:?}");
    let other = tenant(db, "other").await;
    let own = index::run(db, &tree(dir.path(), Origin::Custom), &options(&other)).await.unwrap();
    assert!(own.reused > 0 && own.embedded == 0, "{own:?}");
}

#[tokio::test]
async fn series_live_side_by_side() {
    let database = support::database().await;
    let (db, dir) = (&database.db, shop());
    let operator = tenant(db, "default").await;
    indexed(db, dir.path()).await;
    let older = Tree { version: "18.0".parse().unwrap(), ..tree(dir.path(), Origin::Core) };
    let report = index::run(db, &older, &options(&operator)).await.unwrap();
    assert!(report.embedded == 0 && report.reused > 0, "the same words have the same vector: {report:?}");
    let names = refs(db).await;
    let of = |series: &str| names.iter().filter(|name| name.starts_with(series)).count();
    assert!(of("19.0/") > 0 && of("19.0/") == of("18.0/"));
    let query = Query { text: "cancel pickup of the order".to_owned(), filters: Filters::default(), limit: 10 };
    let hits = Knowledge::new(db.clone(), Embedder::Hash(HashEmbedder)).search(&operator, &query).await.unwrap();
    let methods: Vec<_> = hits.iter().filter(|hit| hit.symbol.as_deref() == Some("Order.cancel_pickup")).collect();
    assert_eq!((methods.len(), methods[0].version.as_deref(), methods[0].also.as_slice()), (1, Some("19.0"), &["18.0".to_owned()][..]));
    counts_are_right(db, &operator).await;
}

/// Another embedder, which counts what it is asked, and may be away.
struct Counting {
    asked: AtomicUsize,
    away: bool,
}

impl Vectors for Counting {
    fn name(&self) -> &str {
        "counting@1"
    }

    fn dims(&self) -> usize {
        3
    }

    fn documents(&self, texts: Vec<String>) -> BoxFuture<'_, Vectored> {
        self.asked.fetch_add(texts.len(), Ordering::Relaxed);
        let vectors = if self.away {
            Err(Failure::unavailable(anyhow::anyhow!("no answer")))
        } else {
            Ok((texts.iter().map(|_| vec![1.0, 0.0, 0.0]).collect(), Cost::default()))
        };
        Box::pin(async move { vectors })
    }
}

#[tokio::test]
async fn another_embedder_adds_its_vectors() {
    let database = support::database().await;
    let (db, dir) = (&database.db, shop());
    let operator = tenant(db, "default").await;
    let first = indexed(db, dir.path()).await;
    let before = texts(db, &operator).await;
    let away = Arc::new(Counting { asked: AtomicUsize::new(0), away: true });
    let with = |embedder: Arc<Counting>| Options { embedder: Some(embedder), ..options(&operator) };
    let ended = index::run(db, &tree(dir.path(), Origin::Core), &with(away)).await;
    assert!(matches!(ended, Err(IndexError::Embedder(_))), "{ended:?}");
    let counting = Arc::new(Counting { asked: AtomicUsize::new(0), away: false });
    let report = index::run(db, &tree(dir.path(), Origin::Core), &with(counting.clone())).await.unwrap();
    assert_eq!((report.chunks, report.embedded), (0, first.embedded), "nothing is cut up again");
    assert!(counting.asked.load(Ordering::Relaxed) > 0);
    assert_eq!(texts(db, &operator).await, before);
    let both = "select count(*) from (select chunk_id from knowledge_vectors group by 1 having count(distinct embedder) = 2) t";
    assert_eq!(number(db, &operator, both).await, i64::try_from(first.embedded + first.reused).unwrap());
}

/// The addons that answer a description, best first; of what is no addon its symbol.
async fn described(db: &Db, text: &str) -> Vec<String> {
    let operator = tenant(db, "default").await;
    let query = Query { text: text.to_owned(), filters: Filters::default(), limit: 10 };
    let hits = Knowledge::new(db.clone(), Embedder::Hash(HashEmbedder)).search(&operator, &query).await.unwrap();
    let name = |hit: &odoo_agent::knowledge::Hit| if hit.kind == "module" { hit.module.clone() } else { hit.symbol.clone() };
    hits.iter().filter_map(name).collect()
}

#[tokio::test]
async fn descriptions_lead_to_their_addon() {
    let database = support::database().await;
    let (db, dir) = (&database.db, shop());
    write(dir.path(), "addons/shop/models/label.py", "def title(env):\n    return env._('Shop Orders')\n");
    for (name, title) in
        [("module_tools", "Module Tools"), ("l10n_es_till", "Till"), ("gift_wrap", "Gifts"), ("gift_wrap_stock", "Gifts in Stock")]
    {
        let manifest = format!("{{'name': '{title}', 'depends': ['base'], 'website': 'https://github.com/OCA/gifts'}}\n");
        write(dir.path(), &format!("addons/{name}/__manifest__.py"), manifest);
    }
    indexed(db, dir.path()).await;
    for (text, expected) in [
        // A label of the code stands in it, and all but what it announces is in one addon.
        ("This module adds pickup to Shop Orders and provides features to modules", "shop"),
        ("This module registers Spanish receipts", "l10n_es_till"),
        ("Extends the functionality of giftwrap", "gift_wrap"),
    ] {
        assert_eq!(described(db, text).await[0], expected, "{text}");
    }
    let label = described(db, "Shop Orders").await;
    assert_eq!(label[0], "title", "who says nothing but a message asks for its code: {label:?}");
}

/// What a search of this tenant finds: whether it is its own, the symbol or addon.
async fn search(db: &Db, tenant: &TenantId, text: &str, filters: Filters) -> Vec<(String, String)> {
    let query = Query { text: text.to_owned(), filters, limit: 10 };
    let hits = Knowledge::new(db.clone(), Embedder::Hash(HashEmbedder)).search(tenant, &query).await.unwrap();
    hits.iter().map(|hit| (hit.doc_type.clone(), hit.symbol.clone().or(hit.module.clone()).unwrap_or_default())).collect()
}

#[tokio::test]
async fn own_texts_are_found_by_their_words() {
    let database = support::database().await;
    let (db, dir) = (&database.db, shop());
    let (acme, other) = (tenant(db, "acme").await, tenant(db, "other").await);
    index::run(db, &tree(dir.path(), Origin::Custom), &Options { embedder: None, ..options(&acme) }).await.unwrap();
    let own = |symbol: &str| ("custom".to_owned(), symbol.to_owned());
    let of_series = Filters { version: Some("19.0".to_owned()), ..Filters::default() };
    assert_eq!(search(db, &acme, "cancel the pickup of an order", of_series).await[0], own("Order.cancel_pickup"));
    assert!(search(db, &other, "cancel the pickup of an order", Filters::default()).await.is_empty());
    let filters: Filters = serde_json::from_value(serde_json::json!({
        "doc_type": "custom", "module": "shop", "version": "19.0", "kind": "method"
    }))
    .unwrap();
    let found = search(db, &acme, "cancel pickup", filters.clone()).await;
    assert!(found.iter().take(2).all(|(_, symbol)| symbol.ends_with(".cancel_pickup")), "{found:?}");
    assert!(found.len() > 2 && found.iter().all(|(_, symbol)| symbol.contains('.')), "only methods: {found:?}");
    for not in [
        Filters { doc_type: vec!["oca".to_owned()], ..filters.clone() },
        Filters { module: vec!["sale".to_owned()], ..filters.clone() },
        Filters { version: Some("18.0".to_owned()), ..filters.clone() },
        Filters { kind: vec!["template".to_owned()], ..filters },
    ] {
        assert!(search(db, &acme, "cancel pickup", not.clone()).await.is_empty(), "{not:?}");
    }
}

#[tokio::test]
async fn copy_of_what_everybody_sees_is_one_answer() {
    let database = support::database().await;
    let (db, dir) = (&database.db, shop());
    let acme = tenant(db, "acme").await;
    indexed(db, dir.path()).await;
    index::run(db, &tree(dir.path(), Origin::Custom), &options(&acme)).await.unwrap();
    let found = search(db, &acme, "cancel the pickup of an order", Filters::default()).await;
    assert_eq!(found.iter().filter(|(_, symbol)| symbol == "Order.cancel_pickup").count(), 1, "{found:?}");
    assert!(found.iter().any(|(_, symbol)| symbol == "Line.cancel_pickup"), "{found:?}");
}

#[tokio::test]
async fn index_of_an_older_version_serves_until_there_are_new_ones() {
    let database = support::database().await;
    let mut owner = PgConnection::connect(&database.owner_url).await.unwrap();
    let old = "create index knowledge_vectors_hash_256_1_256 on knowledge_vectors using hnsw ((embedding::halfvec(256)) halfvec_cosine_ops)
                where embedder = 'hash-256@1' and corpus = 'code'";
    sqlx::raw_sql(old).execute(&mut owner).await.unwrap();
    for (made, expected) in [
        (true, vec!["knowledge_vectors_hash_256_1_256", "vectors_own_hash_256_1_256", "vectors_shared_hash_256_1_256"]),
        (false, vec!["vectors_own_hash_256_1_256", "vectors_shared_hash_256_1_256"]),
    ] {
        let mut tx = database.db.indexer(&tenant(&database.db, "acme").await).await.unwrap();
        let sql = "select knowledge_vector_index('hash-256@1', 256)";
        assert_eq!(sqlx::query_scalar::<_, bool>(sql).fetch_one(tx.conn()).await.unwrap(), made);
        tx.commit().await.unwrap();
        let names = "select indexname::text from pg_indexes where tablename = 'knowledge_vectors' and indexdef like '%hnsw%' order by 1";
        assert_eq!(sqlx::query_scalar::<_, String>(names).fetch_all(&mut owner).await.unwrap(), expected);
    }
}
