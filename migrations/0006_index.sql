-- The knowledge base proper: where texts come from, what stands beside them to be found by, and what they define.
--
-- `odoo_knowledge` is for everybody and has no row-level security, so that its full-text index can be used (an index condition on a table
-- with it must be leakproof). Tables that hold rows of both sorts have an empty `tenant_id` for what everybody may see.

-- What was there of sources was written by nothing but tests.
delete from odoo_knowledge;
delete from tenant_knowledge where doc_type in ('code', 'doc');

create table knowledge_vectors (
    -- A row of odoo_knowledge or of tenant_knowledge; rows go together, in one transaction.
    chunk_id  uuid not null,
    embedder  text not null,
    -- A text that says several things has a vector for each; it is as near as its nearest.
    part      smallint not null default 0,
    tenant_id text references tenants (id),
    corpus    text not null,
    version   text,
    module    text,
    -- Half precision: half the size and the time of a scan, with no loss of recall that could be measured.
    embedding halfvec not null,
    primary key (chunk_id, embedder, part)
);
insert into knowledge_vectors (chunk_id, embedder, tenant_id, corpus, version, module, embedding)
    select id, embedder, tenant_id, 'error', odoo_version, module, embedding::halfvec from tenant_knowledge;
create index knowledge_vectors_filter on knowledge_vectors (embedder, corpus, version, module);

do $$
declare
    shelf text;
begin
    foreach shelf in array array['odoo_knowledge', 'tenant_knowledge'] loop
        execute format($sql$
            alter table %I
                drop column embedder, drop column embedding,
                -- The run of an indexing that it came from, and the file below it; both empty for what no file holds.
                add column source_id  uuid,
                add column file       text,
                -- What it is: module method function class view template record access rule script section fix known_error ticket message …
                add column kind       text,
                -- What it is searched together with: code data module doc error ticket message.
                add column corpus     text,
                add column odoo_model text,
                add column lang       text,
                -- What is embedded of it, a vector a line, and its hash: what is the same need not be embedded twice.
                add column card       text,
                add column digest     bytea,
                -- The terms of full-text search as numbers, and what each weighs in this text.
                add column lexemes    integer[] not null default '{}',
                add column weights    sparsevec,
                -- What is known of how good it is, from 0 to 1.
                add column quality    real not null default 0.5
        $sql$, shelf);
    end loop;
end $$;
update tenant_knowledge set kind = case doc_type when 'fix' then 'fix' else 'known_error' end, corpus = 'error', doc_type = 'errors';

do $$
declare
    shelf text;
begin
    foreach shelf in array array['odoo_knowledge', 'tenant_knowledge'] loop
        execute format('alter table %I alter column kind set not null, alter column corpus set not null,
            add constraint %I check (doc_type in (''core'', ''oca'', ''errors'', ''custom'', ''tickets''))', shelf, shelf || '_doc_type');
        execute format('create index %I on %I (source_id, file)', shelf || '_file', shelf);
        execute format('create index %I on %I (path, start_line)', shelf || '_path', shelf);
        execute format('create index %I on %I (digest) where card is not null', shelf || '_digest', shelf);
        execute format('create index %I on %I (corpus, odoo_version, module)', shelf || '_filter', shelf);
    end loop;
end $$;
create index odoo_knowledge_lexemes on odoo_knowledge using gin (lexemes);
create index odoo_knowledge_messages on odoo_knowledge (left(content, 100)) where kind = 'message';
create index tenant_knowledge_messages on tenant_knowledge (tenant_id, left(content, 100)) where kind = 'message';

-- The same reference means the same thing only outside of files: a file's texts are replaced together.
alter table odoo_knowledge drop constraint odoo_knowledge_doc_type_ref_key;
alter table tenant_knowledge drop constraint tenant_knowledge_tenant_id_doc_type_ref_key;
create unique index odoo_knowledge_ref on odoo_knowledge (doc_type, ref) where source_id is null;
create unique index tenant_knowledge_ref on tenant_knowledge (tenant_id, doc_type, ref) where source_id is null;
drop index tenant_knowledge_fixes;
drop index tenant_knowledge_rates;
create index tenant_knowledge_fixes on tenant_knowledge (tenant_id, fingerprint, odoo_version) where kind = 'fix';
create index tenant_knowledge_class on tenant_knowledge (tenant_id, (made_by ->> 'class')) where corpus = 'error';
create index tenant_knowledge_rates on tenant_knowledge (tenant_id, source, grade, class) where kind = 'fix';

-- Both shelves as one; who asks sees of the tenants' only what row-level security shows.
create view knowledge with (security_invoker = true) as
    select id, null::text as tenant_id, source_id, file, doc_type, kind, corpus, ref, module, odoo_version, path, symbol, odoo_model, lang,
           start_line, end_line, title, content, card, digest, lexemes, weights, quality, created_at, null::text as grade, made_by
      from odoo_knowledge
    union all
    select id, tenant_id, source_id, file, doc_type, kind, corpus, ref, module, odoo_version, path, symbol, odoo_model, lang,
           start_line, end_line, title, content, card, digest, lexemes, weights, quality, created_at, grade, made_by
      from tenant_knowledge;

-- One tree of files that was or is being indexed.
create table knowledge_sources (
    id          uuid primary key,
    tenant_id   text references tenants (id),
    doc_type    text not null,
    name        text not null,
    version     text not null,
    location    text not null,
    state       text not null check (state in ('running', 'done', 'failed')),
    report      jsonb not null default '{}',
    started_at  timestamptz not null default now(),
    finished_at timestamptz,
    unique nulls not distinct (tenant_id, doc_type, name, version)
);

-- Every file of it as it was when it was last read: what has not changed is not read again.
create table knowledge_files (
    source_id uuid not null references knowledge_sources (id) on delete cascade,
    tenant_id text references tenants (id),
    path      text not null,
    digest    bytea not null,
    -- The version of whatever cut it up; another one means that it is to be cut up anew.
    chunker   integer not null,
    chunks    integer not null,
    skipped   text,
    primary key (source_id, path)
);

-- What is defined where. See docs/knowledge.md for what each kind says.
create table knowledge_symbols (
    chunk_id   uuid not null,
    source_id  uuid not null references knowledge_sources (id) on delete cascade,
    tenant_id  text references tenants (id),
    version    text not null,
    module     text,
    file       text not null,
    kind       text not null,
    odoo_model text,
    name       text not null,
    target     text,
    line       integer not null,
    detail     jsonb
);
create index knowledge_symbols_file on knowledge_symbols (source_id, file);
create index knowledge_symbols_chunk on knowledge_symbols (chunk_id);
create index knowledge_symbols_name on knowledge_symbols (name, kind);
create index knowledge_symbols_model on knowledge_symbols (odoo_model, kind, name);
create index knowledge_symbols_target on knowledge_symbols (target, kind) where target is not null;

-- The addons of a source, with what their manifests say.
create table knowledge_modules (
    source_id    uuid not null references knowledge_sources (id) on delete cascade,
    tenant_id    text references tenants (id),
    version      text not null,
    module       text not null,
    depends      text[] not null,
    auto_install text[],
    detail       jsonb not null default '{}',
    primary key (source_id, module)
);
create index knowledge_modules_name on knowledge_modules (module, version);

-- In how many texts of a corpus each term stands; term 0 counts the texts.
create table knowledge_terms (
    tenant_id text references tenants (id),
    corpus    text not null,
    term      integer not null,
    texts     bigint not null,
    unique nulls not distinct (corpus, term, tenant_id)
);

-- How often a text stood in a prompt, by what came of it. By reference, so that it outlives the next indexing.
create table knowledge_uses (
    tenant_id text not null references tenants (id),
    ref       text not null,
    helped    bigint not null default 0,
    unhelpful bigint not null default 0,
    primary key (tenant_id, ref)
);

-- Counts up with every change of what is known, so that answers that were kept are known to be old.
create table knowledge_changes (
    tenant_id text references tenants (id),
    number    bigint not null,
    unique nulls not distinct (tenant_id)
);
insert into knowledge_changes (tenant_id, number) values (null, 1);

do $$
declare
    name text;
begin
    foreach name in array array['knowledge_vectors', 'knowledge_sources', 'knowledge_files', 'knowledge_symbols', 'knowledge_modules',
                                'knowledge_terms', 'knowledge_changes'] loop
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format('create policy shared_or_own on %I
            using (tenant_id is null or tenant_id = current_setting(''odoo_agent.tenant'', true))
            with check (tenant_id is null or tenant_id = current_setting(''odoo_agent.tenant'', true))', name);
    end loop;
    alter table knowledge_uses enable row level security;
    alter table knowledge_uses force row level security;
    create policy tenant_only on knowledge_uses
        using (tenant_id = current_setting('odoo_agent.tenant', true))
        with check (tenant_id = current_setting('odoo_agent.tenant', true));
end $$;
grant select, insert, update, delete on knowledge_vectors, knowledge_sources, knowledge_files, knowledge_symbols, knowledge_modules,
    knowledge_terms, knowledge_uses, knowledge_changes to odoo_agent_app;
grant select on knowledge to odoo_agent_app;

-- The index of one embedder's vectors. It has to be made by the owner of the table, once somebody uses that embedder.
create function knowledge_vector_index(embedder text, dims integer) returns boolean
    language plpgsql security definer set search_path = pg_catalog, public as $$
declare
    name text := 'knowledge_vectors_' || regexp_replace(embedder, '[^a-z0-9]+', '_', 'g') || '_' || dims;
begin
    if embedder !~ '^[a-z0-9][a-z0-9@._-]{0,39}$' or dims not between 1 and 4000 then
        raise exception 'no embedder can have the name % and % dimensions', embedder, dims;
    end if;
    if to_regclass('public.' || quote_ident(name)) is not null then
        return false;
    end if;
    -- What is searched by corpus is mostly code; the rest is few enough to be looked at one by one.
    execute format('create index if not exists %I on knowledge_vectors using hnsw ((embedding::halfvec(%s)) halfvec_cosine_ops)
        with (m = 16, ef_construction = 96) where embedder = %L and corpus = ''code''', name, dims, embedder);
    return true;
end $$;
revoke execute on function knowledge_vector_index(text, integer) from public;
grant execute on function knowledge_vector_index(text, integer) to odoo_agent_app;
