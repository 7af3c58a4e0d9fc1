-- What one tenant looks for must not cost more because there are others. Row-level security lets an index narrow down by the tenant, so every
-- index of what tenants have of their own begins with whose it is, or has it before what a search may leave open.
drop index tenant_knowledge_filter;
create index tenant_knowledge_filter on tenant_knowledge (tenant_id, corpus, odoo_version, module);
drop index tenant_knowledge_path;
create index tenant_knowledge_path on tenant_knowledge (tenant_id, path, start_line);
drop index knowledge_vectors_filter;
create index knowledge_vectors_filter on knowledge_vectors (embedder, corpus, tenant_id, version, module);

-- It lets no index of words narrow down, for it is not known of `&&` that it says nothing about what it compares. So a function looks into one,
-- and gives what is the tenant's of the transaction. Terms stand in that index by whose they are and of which corpus: one tenant's never
-- make another's longer.
create function knowledge_own_terms(tenant text, corpus text, terms integer[]) returns bigint[]
    language sql immutable parallel safe
    return (select array_agg(hashint4extended(term, hashtextextended(tenant || '/' || corpus, 0))) from unnest(terms) as term);
-- What runs leave behind comes one by one, and every search reads the list of what waits for its place: it is kept short.
create index tenant_knowledge_words on tenant_knowledge using gin (knowledge_own_terms(tenant_id, corpus, lexemes))
    with (gin_pending_list_limit = 256);

-- The texts of a corpus with one of these terms that are most like what is asked, best first. What is null demands nothing.
create function knowledge_own_words(of text, terms integer[], asked sparsevec, at_most bigint,
                                    series text, modules text[], doc_types text[], kinds text[])
    returns table (id uuid, module text, lexemes integer[], quality real, is_class boolean, score double precision)
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
    set plan_cache_mode = force_custom_plan
as $$
declare
    me text := current_setting('odoo_agent.tenant', true);
begin
    return query
    select k.id, k.module, k.lexemes, k.quality, k.kind = 'class', k.weights <#> asked as score from tenant_knowledge k
     where knowledge_own_terms(k.tenant_id, k.corpus, k.lexemes) && knowledge_own_terms(me, of, terms)
       -- Written so that no other index is asked too: the one of words knows already.
       and (k.tenant_id, k.corpus) is not distinct from (me, of)
       and (series is null or k.odoo_version = series) and (modules is null or k.module = any (modules))
       and (doc_types is null or k.doc_type = any (doc_types)) and (kinds is null or k.kind = any (kinds))
     order by score limit at_most;
end $$;
grant select (id, tenant_id, doc_type, kind, corpus, module, odoo_version, lexemes, weights, quality) on tenant_knowledge to odoo_agent_lookup;
create policy lookup_reads on tenant_knowledge for select to odoo_agent_lookup using (true);
grant create on schema public to odoo_agent_lookup;
alter function knowledge_own_words(text, integer[], sparsevec, bigint, text, text[], text[], text[]) owner to odoo_agent_lookup;
revoke create on schema public from odoo_agent_lookup;
revoke all on function knowledge_own_words(text, integer[], sparsevec, bigint, text, text[], text[], text[]) from public;
grant execute on function knowledge_own_words(text, integer[], sparsevec, bigint, text, text[], text[], text[]) to odoo_agent_app;

create or replace function knowledge_settle() returns void
    language plpgsql security definer set search_path = pg_catalog, public as $$
begin
    perform gin_clean_pending_list(format('public.odoo_knowledge_lexemes_%s', name)::regclass)
       from unnest(array['code', 'data', 'message', 'other']) as name;
    perform gin_clean_pending_list('public.tenant_knowledge_words'::regclass);
    analyze odoo_knowledge;
    analyze tenant_knowledge;
    analyze knowledge_vectors;
    analyze knowledge_symbols;
    analyze knowledge_modules;
    analyze knowledge_terms;
end $$;

-- The vectors of tenants crowd those that everybody may see out of what an index of both visits. So each kind has an index of its own, and of
-- what is a tenant's own little enough is looked at one by one. The index of both serves until these are made, by the next indexing.
create or replace function knowledge_vector_index(embedder text, dims integer) returns boolean
    language plpgsql security definer set search_path = pg_catalog, public as $$
declare
    rest text := regexp_replace(embedder, '[^a-z0-9]+', '_', 'g') || '_' || dims;
    part text;
    made boolean := false;
begin
    if embedder !~ '^[a-z0-9][a-z0-9@._-]{0,39}$' or dims not between 1 and 4000 then
        raise exception 'no embedder can have the name % and % dimensions', embedder, dims;
    end if;
    foreach part in array array['shared', 'own'] loop
        if to_regclass('public.' || quote_ident('vectors_' || part || '_' || rest)) is null then
            -- What is searched by corpus is mostly code; the rest is few enough to be looked at one by one.
            execute format('create index if not exists %I on knowledge_vectors using hnsw ((embedding::halfvec(%s)) halfvec_cosine_ops)
                with (m = 16, ef_construction = 96) where embedder = %L and corpus = ''code'' and tenant_id is %s null',
                'vectors_' || part || '_' || rest, dims, embedder, case part when 'own' then 'not' else '' end);
            made := true;
        end if;
    end loop;
    -- In a transaction that has just made an index others may wait for, and it would wait for them: so the index of both goes the next time,
    -- and only if nobody is in the way.
    if not made and to_regclass('public.' || quote_ident('knowledge_vectors_' || rest)) is not null then
        begin
            perform set_config('lock_timeout', '500ms', true);
            execute format('drop index if exists %I', 'knowledge_vectors_' || rest);
        exception when lock_not_available then
            null;
        end;
    end if;
    return made;
end $$;

-- Symbols are looked up by name, and every tenant has its own of the same name.
drop index knowledge_symbols_name;
create index knowledge_symbols_name on knowledge_symbols (name, tenant_id, kind);
drop index knowledge_symbols_model;
create index knowledge_symbols_model on knowledge_symbols (odoo_model, tenant_id, kind, name);
drop index knowledge_symbols_target;
create index knowledge_symbols_target on knowledge_symbols (target, tenant_id, kind) where target is not null;
