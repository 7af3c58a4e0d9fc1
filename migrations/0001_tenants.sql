-- Who may ask for work, and who may see what.
--
-- Two roles, neither of which owns a table or may log in:
--   odoo_agent_app     every connection of the program becomes this role; row-level security binds it to one tenant at a time
--   odoo_agent_lookup  the owner of the few functions that must look across tenants; it reads only the columns they need
-- Roles belong to the whole server, so another database, or another migration at this very moment, may have made them already.

create extension if not exists vector;

do $$
declare
    wanted text;
begin
    foreach wanted in array array['odoo_agent_app', 'odoo_agent_lookup'] loop
        if not exists (select from pg_roles where rolname = wanted) then
            begin
                execute format('create role %I nologin nosuperuser nobypassrls nocreatedb nocreaterole', wanted);
            exception when duplicate_object or unique_violation then
                null;
            end;
        end if;
        -- An owner that is no superuser must be a member to hand functions over and to become the application's role.
        if not (select rolsuper from pg_roles where rolname = current_user) then
            begin
                execute format('grant %I to current_user', wanted);
            exception when insufficient_privilege then
                if not pg_has_role(current_user, wanted, 'MEMBER') then
                    raise exception 'the role % exists and % is no member of it', wanted, current_user
                        using hint = format('As a superuser: grant %I to %I;', wanted, current_user);
                end if;
            end;
        end if;
    end loop;
end
$$;

create table tenants (
    id         text primary key check (id ~ '^[a-z0-9_][a-z0-9_-]{0,39}$'),
    created_at timestamptz not null default now(),
    settings   jsonb not null default '{}' check (jsonb_typeof(settings) = 'object')
);

create table api_keys (
    id           uuid primary key,
    tenant_id    text not null references tenants (id),
    name         text not null,
    key_hash     bytea not null unique check (octet_length(key_hash) = 32),
    created_at   timestamptz not null default now(),
    revoked_at   timestamptz,
    last_used_at timestamptz
);
create index api_keys_tenant on api_keys (tenant_id);

create table audit (
    id        uuid primary key,
    tenant_id text not null references tenants (id),
    at        timestamptz not null default now(),
    actor     text not null,
    action    text not null,
    subject   text not null,
    detail    jsonb not null default '{}'
);
create index audit_tenant on audit (tenant_id, at);

-- The setting is absent or empty outside a tenant's transaction; no tenant has an empty id, so nothing is seen then.
alter table tenants enable row level security;
alter table tenants force row level security;
create policy tenant_only on tenants
    using (id = current_setting('odoo_agent.tenant', true))
    with check (id = current_setting('odoo_agent.tenant', true));

alter table api_keys enable row level security;
alter table api_keys force row level security;
create policy tenant_only on api_keys
    using (tenant_id = current_setting('odoo_agent.tenant', true))
    with check (tenant_id = current_setting('odoo_agent.tenant', true));

alter table audit enable row level security;
alter table audit force row level security;
create policy tenant_only on audit
    using (tenant_id = current_setting('odoo_agent.tenant', true))
    with check (tenant_id = current_setting('odoo_agent.tenant', true));

grant usage on schema public to odoo_agent_app, odoo_agent_lookup;
grant select, insert, update (settings) on tenants to odoo_agent_app;
grant select, insert, update (revoked_at) on api_keys to odoo_agent_app;
grant select, insert on audit to odoo_agent_app;

grant select (id) on tenants to odoo_agent_lookup;
grant select (id, tenant_id, key_hash, revoked_at, last_used_at), update (last_used_at) on api_keys to odoo_agent_lookup;
create policy lookup_reads on tenants for select to odoo_agent_lookup using (true);
create policy lookup_reads on api_keys for select to odoo_agent_lookup using (true);
create policy lookup_marks_use on api_keys for update to odoo_agent_lookup using (true) with check (true);

create function tenant_exists(wanted text) returns boolean
    language sql stable security definer set search_path = pg_catalog, public, pg_temp
    as $$ select exists (select from public.tenants where id = wanted) $$;

-- The time of use is written at most once a minute: a busy key must not make its row a bottleneck.
create function authenticate(hash bytea) returns table (tenant_id text, key_id uuid)
    language sql volatile security definer set search_path = pg_catalog, public, pg_temp
    as $$
        update public.api_keys as stale set last_used_at = now()
         where stale.key_hash = hash and stale.revoked_at is null
           and (stale.last_used_at is null or stale.last_used_at < now() - interval '1 minute');
        select found.tenant_id, found.id from public.api_keys as found
         where found.key_hash = hash and found.revoked_at is null
    $$;

grant create on schema public to odoo_agent_lookup;
alter function tenant_exists(text) owner to odoo_agent_lookup;
alter function authenticate(bytea) owner to odoo_agent_lookup;
revoke create on schema public from odoo_agent_lookup;
revoke all on function tenant_exists(text), authenticate(bytea) from public;
grant execute on function tenant_exists(text), authenticate(bytea) to odoo_agent_app;
