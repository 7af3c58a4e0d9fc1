//! What PostgreSQL's own catalogue says of every function, table, policy, view, sequence, type, grant and role: whatever a later migration adds
//! is held to the same, without being named here.

use crate::support;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

/// What the roles may call. A new function is nobody's until it is named here.
const CALLABLE: &[(&str, &[&str])] = &[
    (
        "odoo_agent_app",
        &[
            "audit_text",
            "authenticate",
            "current_tenant",
            "knowledge_own_terms",
            "knowledge_own_words",
            "tenant_exists",
            "tenant_ids",
            "tenant_nonce",
            "unpublished_runs",
        ],
    ),
    ("odoo_agent_indexer", &["current_tenant", "is_indexing", "knowledge_settle", "knowledge_vector_index", "tenant_nonce"]),
];

/// Each selects one text for each object that is at fault. `ours` stands for the program's roles, and for everybody.
const RULES: &[(&str, &str)] = &[
    (
        "a function of a definer has a search_path that ends in pg_temp, or the caller's temporary objects come first",
        "select p.oid::regprocedure::text from pg_proc p where p.prosecdef and OURS(p.oid, 'pg_proc') and p.pronamespace = 'public'::regnamespace
            and not exists (select from unnest(p.proconfig) c where c ~ '^search_path=pg_catalog, public, pg_temp$')",
    ),
    (
        "nobody may execute a function unless it is granted to them",
        "select p.oid::regprocedure::text from pg_proc p where OURS(p.oid, 'pg_proc') and p.pronamespace = 'public'::regnamespace
            and (p.proacl is null or exists (select from aclexplode(p.proacl) a where a.grantee = 0))",
    ),
    (
        "a table that the program's roles reach has row-level security, forced",
        "select c.oid::regclass::text from pg_class c where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace
            and not (c.relrowsecurity and c.relforcerowsecurity)
            and (exists (select from aclexplode(c.relacl) a where a.grantee = any (array(select oid from ours)) and a.grantee <> c.relowner)
              or exists (select from pg_attribute t, aclexplode(t.attacl) a where t.attrelid = c.oid and a.grantee = any (array(
                         select oid from ours where name <> 'odoo_agent_lookup'))))",
    ),
    (
        "a table that names a tenant has row-level security, forced",
        "select c.oid::regclass::text from pg_class c join pg_attribute t on t.attrelid = c.oid and t.attname = 'tenant_id'
          where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace and not (c.relrowsecurity and c.relforcerowsecurity)",
    ),
    (
        "a policy names the roles that it is for",
        "select p.polname || ' on ' || p.polrelid::regclass from pg_policy p where 0 = any (p.polroles)",
    ),
    (
        "a policy asks for the proven tenant, not for a setting that anybody sets",
        "select p.polname || ' on ' || p.polrelid::regclass from pg_policy p
          where concat(pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) ~ 'current_setting'",
    ),
    (
        "a policy asks for the tenant once a statement, in a selection of its own",
        "select p.polname || ' on ' || p.polrelid::regclass from pg_policy p
          where regexp_replace(concat(pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)),
                               'SELECT (public\\.)?(current_tenant|is_indexing)\\(\\)( AS \\w+)?', '', 'g') ~ 'current_tenant|is_indexing'",
    ),
    (
        "the application writes rows of the proven tenant alone",
        "select p.polname || ' on ' || p.polrelid::regclass from pg_policy p
          where p.polcmd <> 'r' and 'odoo_agent_app'::regrole::oid = any (p.polroles)
            and coalesce(pg_get_expr(p.polwithcheck, p.polrelid), pg_get_expr(p.polqual, p.polrelid))
                !~ '^\\((tenant_id|id) = \\( SELECT (public\\.)?current_tenant\\(\\) AS current_tenant\\)\\)$'",
    ),
    (
        "the application sees rows of the proven tenant and of nobody alone",
        "select p.polname || ' on ' || p.polrelid::regclass from pg_policy p
          where p.polcmd in ('r', '*', 'w', 'd') and 'odoo_agent_app'::regrole::oid = any (p.polroles) and p.polpermissive
            and not (pg_get_expr(p.polqual, p.polrelid) ~ '^\\((tenant_id|id) = \\( SELECT (public\\.)?current_tenant\\(\\) AS current_tenant\\)\\)$'
                  or p.polcmd = 'r' and pg_get_expr(p.polqual, p.polrelid) = '(tenant_id IS NULL)'
                  or p.polcmd = 'r' and p.polrelid = 'odoo_knowledge'::regclass and pg_get_expr(p.polqual, p.polrelid) = 'true')",
    ),
    (
        "the indexer writes with a proof that it is one, and rows of nobody alone",
        "select p.polname || ' on ' || p.polrelid::regclass from pg_policy p
          where p.polcmd <> 'r' and 'odoo_agent_indexer'::regrole::oid = any (p.polroles)
            and (coalesce(pg_get_expr(p.polwithcheck, p.polrelid), pg_get_expr(p.polqual, p.polrelid)) !~ 'is_indexing\\(\\)'
              or p.polrelid <> 'odoo_knowledge'::regclass
                 and coalesce(pg_get_expr(p.polwithcheck, p.polrelid), pg_get_expr(p.polqual, p.polrelid)) !~ '^\\(\\(tenant_id IS NULL\\) AND ')",
    ),
    (
        "a view shows what its reader may see",
        "select c.oid::regclass::text from pg_class c where c.relkind = 'v' and c.relnamespace = 'public'::regnamespace
            and OURS(c.oid, 'pg_class') and not coalesce(c.reloptions @> array['security_invoker=true'], false)",
    ),
    (
        "what is computed ahead knows no reader",
        "select c.oid::regclass::text from pg_class c where c.relkind = 'm' and c.relnamespace = 'public'::regnamespace",
    ),
    (
        "a sequence is drawn from by functions alone",
        "select c.oid::regclass::text from pg_class c, aclexplode(c.relacl) a where c.relkind = 'S' and c.relnamespace = 'public'::regnamespace
            and a.grantee = any (array(select oid from ours where name <> 'odoo_agent_lookup'))",
    ),
    (
        "everybody has no right on any table, view or sequence",
        "select c.oid::regclass::text from pg_class c, aclexplode(c.relacl) a
          where c.relnamespace = 'public'::regnamespace and a.grantee = 0 and OURS(c.oid, 'pg_class')",
    ),
    (
        "the roles of the program own nothing but the functions that look across tenants",
        "select c.oid::regclass::text from pg_class c where c.relowner = any (array(select oid from ours))
          union all select t.typname from pg_type t where t.typowner = any (array(select oid from ours))
          union all select n.nspname from pg_namespace n where n.nspowner = any (array(select oid from ours))
          union all select p.oid::regprocedure::text from pg_proc p
                     where p.proowner = any (array(select oid from ours where name <> 'odoo_agent_lookup'))
          union all select d.datname from pg_database d where d.datdba = any (array(select oid from ours))",
    ),
    (
        "a type that values are checked by is the owner's, and calls no function of the caller's",
        "select t.typname from pg_type t join pg_constraint c on c.contypid = t.oid
          where t.typnamespace = 'public'::regnamespace and OURS(t.oid, 'pg_type')",
    ),
    (
        "nobody but the owner makes objects in a schema",
        "select n.nspname || ' for ' || o.name from pg_namespace n, ours o where o.oid <> 0 and n.nspname !~ '^pg_(temp|toast_temp)_'
            and has_schema_privilege(o.oid, n.oid, 'create')",
    ),
    (
        "nobody but the owner makes temporary objects or schemas",
        "select o.name || ' ' || r from ours o, unnest(array['temporary', 'create']) r
          where o.oid <> 0 and has_database_privilege(o.oid, current_database(), r)",
    ),
    (
        "the roles of the program have no power of their own, and none by another role",
        "select o.name from ours o join pg_roles r on r.oid = o.oid
          where r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb or r.rolreplication
             or exists (select from pg_auth_members m where m.member = o.oid
                         and not (o.name = 'odoo_agent_app' and m.roleid = 'odoo_agent_indexer'::regrole))
             or o.name = 'odoo_agent_app' and pg_has_role(o.oid, 'odoo_agent_indexer', 'usage')",
    ),
    (
        "no role of the program changes or removes an entry of the audit",
        "select o.name || ' ' || r from ours o, unnest(array['delete', 'truncate', 'references', 'trigger']) r
          where o.oid <> 0 and has_table_privilege(o.oid, 'audit', r)
          union all
         select o.name || ' ' || t.attname from ours o, pg_attribute t where o.oid <> 0 and t.attrelid = 'audit'::regclass and t.attnum > 0
            and has_column_privilege(o.oid, 'audit', t.attname, 'update')
            and not (o.name = 'odoo_agent_lookup' and t.attname in ('number', 'previous', 'hash'))",
    ),
    (
        "the audit is dated and linked",
        "select wanted from unnest(array['audit_dated', 'audit_linked']) wanted
          where not exists (select from pg_trigger t where t.tgrelid = 'audit'::regclass and t.tgname = wanted and t.tgenabled = 'O')",
    ),
    (
        "a secret is read by no role that runs statements",
        "select o.name || ' ' || c from ours o, (values ('api_keys', 'key_hash'), ('tenant_signing_key', 'secret')) as s (t, c)
          where o.name in ('odoo_agent_app', 'odoo_agent_indexer') and has_column_privilege(o.oid, s.t, s.c, 'select')
          union all
         select o.name || ' tenant_signing_key' from ours o where o.name in ('odoo_agent_app', 'odoo_agent_indexer')
            and has_any_column_privilege(o.oid, 'tenant_signing_key', 'select, insert, update')",
    ),
    (
        "a table is emptied and given triggers by its owner alone",
        "select c.oid::regclass || ' ' || r || ' ' || o.name from pg_class c, ours o, unnest(array['truncate', 'trigger']) r
          where c.relkind in ('r', 'p', 'v') and c.relnamespace = 'public'::regnamespace and o.oid <> 0 and has_table_privilege(o.oid, c.oid, r)",
    ),
];

/// Everything that is at fault, by the rule that it breaks.
async fn faults(conn: &mut PgConnection) -> Vec<String> {
    let mut faults = Vec::new();
    for (rule, sql) in RULES {
        let sql = with_ours(sql);
        let found: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut *conn).await.unwrap_or_else(|error| panic!("{rule}: {error}"));
        faults.extend(found.into_iter().map(|at| format!("{rule}: {at}")));
    }
    for (role, expected) in CALLABLE {
        let sql = with_ours(
            "select distinct p.proname::text from pg_proc p where p.pronamespace = 'public'::regnamespace and OURS(p.oid, 'pg_proc')
                and exists (select from aclexplode(p.proacl) a where a.grantee = $1::regrole and a.privilege_type = 'EXECUTE') order by 1",
        );
        let found: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql)).bind(role).fetch_all(&mut *conn).await.unwrap();
        let unexpected = found.iter().filter(|name| !expected.contains(&name.as_str()));
        faults.extend(unexpected.map(|name| format!("{role} may execute {name}: add it to CALLABLE if it is meant")));
        let missing = expected.iter().filter(|name| !found.iter().any(|found| found == *name));
        faults.extend(missing.map(|name| format!("{role} may not execute {name}")));
    }
    faults
}

/// `OURS(oid, catalogue)`: the object is of no extension.
fn with_ours(sql: &str) -> String {
    let roles = "with ours as (select oid, rolname::text as name from pg_roles where rolname in ('odoo_agent_app', 'odoo_agent_indexer',
                 'odoo_agent_lookup') union all select 0::oid, 'everybody')";
    let mut text = String::new();
    let mut rest = sql;
    while let Some((before, after)) = rest.split_once("OURS(") {
        let (inside, after) = after.split_once(')').unwrap();
        let (oid, catalogue) = inside.split_once(", ").unwrap();
        text += before;
        text += &format!(
            "not exists (select from pg_depend e where e.classid = {catalogue}::regclass and e.objid = {oid} and e.deptype = 'e')"
        );
        rest = after;
    }
    format!("{roles} {text}{rest}")
}

#[tokio::test]
async fn catalogue_holds_every_rule() {
    let test = support::database().await;
    let mut owner = PgConnection::connect(&test.owner_url).await.unwrap();
    let faults = faults(&mut owner).await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn catalogue_names_what_a_migration_forgets() {
    let test = support::database().await;
    let mut owner = PgConnection::connect(&test.owner_url).await.unwrap();
    for (migration, named) in [
        (
            "create function loose() returns int language sql security definer set search_path = pg_catalog, public as 'select 1';
             revoke execute on function loose() from public",
            "loose()",
        ),
        ("create function open_to_all() returns int language sql as 'select 1'", "open_to_all()"),
        (
            "create function unnamed() returns int language sql as 'select 1'; revoke execute on function unnamed() from public;
             grant execute on function unnamed() to odoo_agent_app",
            "unnamed",
        ),
        ("create table bare (x int); grant select on bare to odoo_agent_app", "bare"),
        ("create table bare_in_part (x int); grant select (x) on bare_in_part to odoo_agent_app", "bare_in_part"),
        ("create table of_tenants (tenant_id text)", "of_tenants"),
        (
            "create table old_way (tenant_id text); alter table old_way enable row level security; alter table old_way force row level security;
             create policy mine on old_way to odoo_agent_app using (tenant_id = current_setting('odoo_agent.tenant', true))",
            "mine on old_way",
        ),
        (
            "create table each_row (tenant_id text); alter table each_row enable row level security;
             alter table each_row force row level security;
             create policy mine on each_row to odoo_agent_app using (tenant_id = current_tenant())",
            "mine on each_row",
        ),
        ("create policy all_of_it on runs for select to odoo_agent_app using (true)", "all_of_it on runs"),
        ("create policy anybody on runs using (tenant_id = (select current_tenant()))", "anybody on runs"),
        ("create policy writes on knowledge_terms for insert to odoo_agent_app with check (tenant_id is null)", "writes on knowledge_terms"),
        ("create policy unproven on knowledge_terms for insert to odoo_agent_indexer with check (tenant_id is null)", "unproven on"),
        ("create view seen as select * from runs", "seen"),
        ("create materialized view kept as select 1 as x", "kept"),
        ("create sequence counted; grant usage on sequence counted to odoo_agent_app", "counted"),
        ("grant select on tickets to public", "tickets"),
        ("create domain checked as text check (length(value) < 9)", "checked"),
        ("grant create on schema public to odoo_agent_app", "public for odoo_agent_app"),
        ("grant select on api_keys to odoo_agent_app", "key_hash"),
        ("grant select on tenant_signing_key to odoo_agent_app", "tenant_signing_key"),
        ("grant update on audit to odoo_agent_app", "odoo_agent_app actor"),
        ("alter table audit disable trigger audit_linked", "audit_linked"),
        ("grant truncate on runs to odoo_agent_app", "runs truncate"),
        ("alter table runs no force row level security", "runs"),
    ] {
        let mut tx = owner.begin().await.unwrap();
        sqlx::raw_sql(migration).execute(&mut *tx).await.unwrap();
        let faults = faults(&mut tx).await;
        assert!(faults.iter().any(|fault| fault.contains(named)), "{migration}: nothing was said of {named}; only {faults:?}");
        tx.rollback().await.unwrap();
    }
}

#[tokio::test]
async fn copy_of_a_database_gets_its_rights_with_the_next_migration() {
    let test = support::database().await;
    let mut owner = PgConnection::connect(&test.owner_url).await.unwrap();
    let name: String = sqlx::query("select current_database()").fetch_one(&mut owner).await.unwrap().get(0);
    sqlx::raw_sql(AssertSqlSafe(format!("grant temporary on database {name} to public"))).execute(&mut owner).await.unwrap();
    let config = odoo_agent::db::Config {
        url: Some(test.url.clone().into()),
        signing_key: Some(test.signing_key.clone().into()),
        ..Default::default()
    };
    let refused = odoo_agent::db::Db::connect(&config).await.unwrap_err().to_string();
    assert!(refused.contains("REVOKE TEMPORARY ON DATABASE") && refused.contains(&name), "{refused}");
    odoo_agent::db::migrate(&test.owner_url.clone().into()).await.unwrap();
    odoo_agent::db::Db::connect(&config).await.unwrap();
}
