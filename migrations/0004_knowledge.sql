-- What is known: of Odoo for everybody, of a tenant's own sources and fixes for that tenant alone.
--
-- `embedding` has no fixed dimension, so that the vectors of several embedders live side by side. Each embedder has a partial index of its
-- own; a query must repeat the cast and write the embedder as a literal, or the planner cannot use it.

create table odoo_knowledge (
    id           uuid primary key,
    doc_type     text not null,
    ref          text not null,
    module       text,
    odoo_version text,
    path         text,
    symbol       text,
    start_line   integer,
    end_line     integer,
    title        text not null,
    content      text not null,
    embedder     text not null,
    embedding    vector not null,
    made_by      jsonb not null,
    created_at   timestamptz not null default now(),
    unique (doc_type, ref)
);

create table tenant_knowledge (
    id           uuid primary key,
    tenant_id    text not null references tenants (id),
    doc_type     text not null,
    ref          text not null,
    module       text,
    odoo_version text,
    path         text,
    symbol       text,
    start_line   integer,
    end_line     integer,
    title        text not null,
    content      text not null,
    -- Only for fixes: which error, who proposed what, and what the sandbox said.
    fingerprint  text,
    class        text,
    run_id       uuid,
    patch        jsonb,
    source       text,
    grade        text check (grade in ('refuted', 'consistent', 'proven')),
    embedder     text not null,
    embedding    vector not null,
    made_by      jsonb not null,
    created_at   timestamptz not null default now(),
    unique (tenant_id, doc_type, ref)
);
create index tenant_knowledge_fixes on tenant_knowledge (tenant_id, fingerprint, odoo_version) where doc_type = 'fix';
create index tenant_knowledge_rates on tenant_knowledge (tenant_id, source, grade, class) where doc_type = 'fix';

create index odoo_knowledge_hash_256_1 on odoo_knowledge
    using hnsw ((embedding::vector(256)) vector_cosine_ops) where embedder = 'hash-256@1';
create index tenant_knowledge_hash_256_1 on tenant_knowledge
    using hnsw ((embedding::vector(256)) vector_cosine_ops) where embedder = 'hash-256@1';

alter table tenant_knowledge enable row level security;
alter table tenant_knowledge force row level security;
create policy tenant_only on tenant_knowledge
    using (tenant_id = current_setting('odoo_agent.tenant', true))
    with check (tenant_id = current_setting('odoo_agent.tenant', true));

grant select, insert, update, delete on odoo_knowledge, tenant_knowledge to odoo_agent_app;
