-- The application's connection alone reaches no tenant: a tenant is bound to a transaction by a proof that only the program can make, what
-- everybody sees is written by the indexer alone, and no function of a definer can be led to names that the caller made.
--
--   odoo_agent_indexer  what a connection becomes to write shared knowledge: the rows without a tenant, and nothing else
--
-- docs/database.md says what this protects and what it does not.

do $$
declare
    wanted text := 'odoo_agent_indexer';
begin
    if not exists (select from pg_roles where rolname = wanted) then
        begin
            execute format('create role %I nologin nosuperuser nobypassrls nocreatedb nocreaterole', wanted);
        exception when duplicate_object or unique_violation then
            null;
        end;
    end if;
    begin
        if not (select rolsuper from pg_roles where rolname = current_user) and not pg_has_role(current_user, wanted, 'MEMBER') then
            execute format('grant %I to current_user', wanted);
        end if;
        -- A connection becomes the indexer by `set role`; it must not have its rights without that, or they would be every tenant's.
        if (select rolinherit from pg_roles where rolname = 'odoo_agent_app') then
            alter role odoo_agent_app noinherit;
        end if;
        if not pg_has_role('odoo_agent_app', wanted, 'MEMBER') then
            execute format('grant %I to odoo_agent_app', wanted);
        end if;
    exception when insufficient_privilege then
        raise exception '% may not set up the role %', current_user, wanted
            using hint = format('As a superuser: alter role odoo_agent_app noinherit; grant %I to odoo_agent_app; grant %I to %I;',
                                wanted, wanted, current_user);
    end;
    if pg_has_role('odoo_agent_app', wanted, 'USAGE') then
        raise exception 'odoo_agent_app has the rights of % without becoming it', wanted
            using hint = format('As a superuser: alter role odoo_agent_app noinherit; revoke %I from odoo_agent_app; grant %I to odoo_agent_app;',
                                wanted, wanted);
    end if;
end
$$;

-- --- nobody makes objects but the owner ---------------------------------------------------------------------------------------------------

-- A temporary table, type or function stands before everything else of its name. The program repeats the part about the database at each
-- migration, because neither a dump nor a copy of a database takes its rights along.
do $$
begin
    execute format('revoke temporary on database %I from public, odoo_agent_app, odoo_agent_indexer, odoo_agent_lookup', current_database());
end
$$;
revoke create on schema public from public, odoo_agent_app, odoo_agent_indexer, odoo_agent_lookup;

alter function knowledge_vector_index(text, integer) set search_path = pg_catalog, public, pg_temp;
alter function knowledge_settle() set search_path = pg_catalog, public, pg_temp;

do $$
declare
    ours regprocedure;
begin
    for ours in
        select p.oid::regprocedure from pg_proc p
         where p.pronamespace = 'public'::regnamespace
           and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
    loop
        execute format('revoke execute on function %s from public', ours);
    end loop;
end
$$;
-- It makes the entries of an index of a tenant's own texts, so whoever writes or searches them calls it.
grant execute on function knowledge_own_terms(text, text, integer[]) to odoo_agent_app, odoo_agent_lookup;
revoke execute on function knowledge_vector_index(text, integer), knowledge_settle() from odoo_agent_app;
grant execute on function knowledge_vector_index(text, integer), knowledge_settle() to odoo_agent_indexer;

-- --- whose a transaction is ---------------------------------------------------------------------------------------------------------------

-- The secret that proofs are made with, and the two blocks that HMAC-SHA256 makes of it, so that a check hashes twice and does nothing else.
create table tenant_signing_key (
    only_row  boolean primary key default true check (only_row),
    secret    bytea not null check (octet_length(secret) = 32),
    inner_pad bytea not null check (octet_length(inner_pad) = 64),
    outer_pad bytea not null check (octet_length(outer_pad) = 64)
);
grant select (inner_pad, outer_pad) on tenant_signing_key to odoo_agent_lookup;

-- For the owner: the program calls it where its settings name a secret.
create function set_tenant_signing_key(new_secret bytea) returns void
    language plpgsql set search_path = pg_catalog, public, pg_temp as $$
declare
    block bytea := new_secret || decode(repeat('00', 32), 'hex');
    inside bytea := block;
    outside bytea := block;
begin
    for i in 0 .. 63 loop
        inside := set_byte(inside, i, get_byte(block, i) # 54);
        outside := set_byte(outside, i, get_byte(block, i) # 92);
    end loop;
    insert into public.tenant_signing_key (secret, inner_pad, outer_pad) values (new_secret, inside, outside)
        on conflict (only_row) do update set secret = excluded.secret, inner_pad = excluded.inner_pad, outer_pad = excluded.outer_pad
         where tenant_signing_key.secret <> excluded.secret;
end $$;
revoke execute on function set_tenant_signing_key(bytea) from public;
-- Three random identifiers hold 366 random bits.
select set_tenant_signing_key(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));

-- Numbers that are handed out once. The last one that a session was given stays with it, where no statement of the application can change it:
-- a proof is good for this number alone, so that it is worth nothing in another session or after the next transaction has begun.
create sequence tenant_nonces cache 1000;
grant usage on sequence tenant_nonces to odoo_agent_lookup;

create function tenant_nonce() returns bigint
    language plpgsql volatile security definer set search_path = pg_catalog, public, pg_temp
    as $$ begin return nextval('public.tenant_nonces'); end $$;

-- The tenant of the transaction, or null where it has none. It fails where one is named without a proof: `odoo_agent.proof` holds
-- `SCOPE HEX`, the HMAC-SHA256 of `SCOPE/TENANT/NONCE`.
create function current_tenant() returns text
    language plpgsql stable security definer set search_path = pg_catalog, public, pg_temp as $$
declare
    named   text := current_setting('odoo_agent.tenant', true);
    proof   text;
    inside  bytea;
    outside bytea;
begin
    if named is null or named = '' then
        return null;
    end if;
    proof := current_setting('odoo_agent.proof', true);
    -- Without a parameter, so that its plan is made once and kept.
    select inner_pad, outer_pad into inside, outside from public.tenant_signing_key;
    if (encode(sha256(outside || sha256(inside || convert_to(
            split_part(proof, ' ', 1) || '/' || named || '/' || currval('public.tenant_nonces'), 'UTF8'))), 'hex')
        = split_part(proof, ' ', 2)) is not true then
        raise exception 'the transaction has no proof that it is of the tenant %', named using errcode = 'insufficient_privilege';
    end if;
    return named;
end $$;

-- Whether the transaction may write what everybody sees.
create function is_indexing() returns boolean
    language plpgsql stable security definer set search_path = pg_catalog, public, pg_temp
    as $$ begin return public.current_tenant() is not null and split_part(current_setting('odoo_agent.proof', true), ' ', 1) = 'index'; end $$;

grant create on schema public to odoo_agent_lookup;
alter function tenant_nonce() owner to odoo_agent_lookup;
alter function current_tenant() owner to odoo_agent_lookup;
alter function is_indexing() owner to odoo_agent_lookup;
revoke create on schema public from odoo_agent_lookup;
revoke execute on function tenant_nonce(), current_tenant(), is_indexing() from public;
grant execute on function tenant_nonce(), current_tenant() to odoo_agent_app, odoo_agent_indexer;
grant execute on function is_indexing() to odoo_agent_indexer;

-- --- which rows are whose -----------------------------------------------------------------------------------------------------------------

-- A selection of its own is evaluated once a statement; a bare call might be once a row.
do $$
declare
    it record;
    proven text := '(select public.current_tenant())';
    old text := 'current_setting(''odoo_agent.tenant''::text, true)';
begin
    for it in
        select p.polname as policy, p.polrelid::regclass as place, pg_get_expr(p.polqual, p.polrelid) as shown,
               pg_get_expr(p.polwithcheck, p.polrelid) as written
          from pg_policy p where p.polname = 'tenant_only'
    loop
        execute format('alter policy %I on %s to odoo_agent_app using (%s) with check (%s)', it.policy, it.place,
                       replace(it.shown, old, proven), replace(it.written, old, proven));
    end loop;
end
$$;

do $$
declare
    name text;
begin
    foreach name in array array['knowledge_vectors', 'knowledge_sources', 'knowledge_files', 'knowledge_symbols', 'knowledge_modules',
                                'knowledge_terms', 'knowledge_changes'] loop
        execute format('drop policy shared_or_own on %I', name);
        execute format('create policy tenant_only on %I to odoo_agent_app
            using (tenant_id = (select public.current_tenant())) with check (tenant_id = (select public.current_tenant()))', name);
        execute format('create policy shared_read on %I for select to odoo_agent_app, odoo_agent_indexer using (tenant_id is null)', name);
        execute format('create policy shared_insert on %I for insert to odoo_agent_indexer
            with check (tenant_id is null and (select public.is_indexing()))', name);
        execute format('create policy shared_update on %I for update to odoo_agent_indexer
            using (tenant_id is null) with check (tenant_id is null and (select public.is_indexing()))', name);
        execute format('create policy shared_delete on %I for delete to odoo_agent_indexer
            using (tenant_id is null and (select public.is_indexing()))', name);
    end loop;
end
$$;

-- With a policy that shows every row, indexes of words are used as without one; a test holds that.
alter table odoo_knowledge enable row level security;
alter table odoo_knowledge force row level security;
create policy shared_read on odoo_knowledge for select to odoo_agent_app, odoo_agent_indexer using (true);
create policy shared_insert on odoo_knowledge for insert to odoo_agent_indexer with check ((select public.is_indexing()));
create policy shared_update on odoo_knowledge for update to odoo_agent_indexer using (true) with check ((select public.is_indexing()));
create policy shared_delete on odoo_knowledge for delete to odoo_agent_indexer using ((select public.is_indexing()));

revoke insert, update, delete on odoo_knowledge from odoo_agent_app;
grant usage on schema public to odoo_agent_indexer;
grant select, insert, update, delete on odoo_knowledge, knowledge_vectors, knowledge_sources, knowledge_files, knowledge_symbols,
    knowledge_modules, knowledge_terms, knowledge_changes to odoo_agent_indexer;

-- --- what looks across tenants ------------------------------------------------------------------------------------------------------------

create or replace function knowledge_own_words(of text, terms integer[], asked sparsevec, at_most bigint,
                                               series text, modules text[], doc_types text[], kinds text[])
    returns table (id uuid, module text, lexemes integer[], quality real, is_class boolean, score double precision)
    language plpgsql stable security definer
    set search_path = pg_catalog, public, pg_temp
    set plan_cache_mode = force_custom_plan
as $$
declare
    me text := public.current_tenant();
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

-- What a run was asked for is its tenant's: whoever publishes it again reads the row in a transaction of that tenant.
drop function unpublished_runs(interval, integer);
create function unpublished_runs(older_than interval, max integer) returns table (id uuid, tenant_id text)
    language sql stable security definer set search_path = pg_catalog, public, pg_temp
    as $$
        select r.id, r.tenant_id from public.runs as r
         where r.published_at is null and r.state = 'queued' and r.created_at <= now() - older_than
         order by r.created_at limit least(max, 1000)
    $$;
grant create on schema public to odoo_agent_lookup;
alter function unpublished_runs(interval, integer) owner to odoo_agent_lookup;
revoke create on schema public from odoo_agent_lookup;
revoke execute on function unpublished_runs(interval, integer) from public;
grant execute on function unpublished_runs(interval, integer) to odoo_agent_app;
revoke select on runs from odoo_agent_lookup;
grant select (id, tenant_id, state, created_at, published_at) on runs to odoo_agent_lookup;

-- --- hashes of keys -----------------------------------------------------------------------------------------------------------------------

-- A key is looked up by `authenticate`; its hash is nothing that a tenant's own queries have to see.
revoke select on api_keys from odoo_agent_app;
do $$
begin
    execute format('grant select (%s) on api_keys to odoo_agent_app',
        (select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
          where attrelid = 'public.api_keys'::regclass and attnum > 0 and not attisdropped and attname <> 'key_hash'));
end
$$;
