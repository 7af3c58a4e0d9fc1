-- Entries of the audit are dated by the server and linked: each holds the hash of the one before it of the same tenant, and its own covers
-- what it says. A table beside them holds the end of each chain, so that entries taken from the end are missed too.
--
-- They are linked when their transaction commits, not when they are written: the chain of a tenant is a queue, and nobody is to stand in it
-- while files are written or other rows are waited for.

alter table audit
    add column number   bigint,
    add column previous bytea check (octet_length(previous) = 32),
    add column hash     bytea check (octet_length(hash) = 32),
    add constraint audit_link_is_whole check ((number is null) = (hash is null) and (number is null) = (previous is null));
create unique index audit_number on audit (tenant_id, number);

create table audit_heads (
    tenant_id text primary key references tenants (id),
    number    bigint not null,
    hash      bytea not null check (octet_length(hash) = 32)
);

-- What the hash of an entry covers after that of the one before it: `odoo-agent audit verify` asks for the same text and hashes it by itself.
create function audit_text(entry audit) returns text
    language sql stable set search_path = pg_catalog, public, pg_temp
    as $$ select jsonb_build_array(entry.number, entry.id, entry.tenant_id, (extract(epoch from entry.at) * 1000000)::bigint,
                                   entry.actor, entry.action, entry.subject, entry.detail)::text $$;

create function audit_dated() returns trigger
    language plpgsql set search_path = pg_catalog, public, pg_temp as $$
begin
    new.at := clock_timestamp();
    new.number := null;
    new.previous := null;
    new.hash := null;
    return new;
end $$;

create function audit_link(linked uuid, of text) returns void
    language plpgsql set search_path = pg_catalog, public, pg_temp as $$
declare
    head  public.audit_heads;
    entry public.audit;
begin
    insert into public.audit_heads (tenant_id, number, hash) values (of, 0, decode(repeat('00', 32), 'hex')) on conflict do nothing;
    select * into head from public.audit_heads where tenant_id = of for update;
    select * into entry from public.audit where id = linked;
    entry.number := head.number + 1;
    entry.previous := head.hash;
    entry.hash := sha256(head.hash || convert_to(public.audit_text(entry), 'UTF8'));
    update public.audit set number = entry.number, previous = entry.previous, hash = entry.hash where id = linked;
    update public.audit_heads set number = entry.number, hash = entry.hash where tenant_id = of;
end $$;

create function audit_linked() returns trigger
    language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
    perform public.audit_link(new.id, new.tenant_id);
    return null;
end $$;

-- What is there already is linked in the order in which it was written.
alter table audit no force row level security;
do $$
declare
    entry record;
begin
    for entry in select id, tenant_id from audit order by at, id loop
        perform audit_link(entry.id, entry.tenant_id);
    end loop;
end
$$;
alter table audit force row level security;

create trigger audit_dated before insert on audit for each row execute function audit_dated();
create constraint trigger audit_linked after insert on audit deferrable initially deferred for each row execute function audit_linked();

alter table audit_heads enable row level security;
alter table audit_heads force row level security;
create policy tenant_only on audit_heads to odoo_agent_app
    using (tenant_id = (select public.current_tenant())) with check (tenant_id = (select public.current_tenant()));
create policy lookup_links on audit_heads to odoo_agent_lookup using (true) with check (true);
create policy lookup_links on audit for select to odoo_agent_lookup using (true);
create policy lookup_links_entries on audit for update to odoo_agent_lookup using (true) with check (true);
grant select on audit_heads to odoo_agent_app;
grant select, insert, update (number, hash) on audit_heads to odoo_agent_lookup;
grant select, update (number, previous, hash) on audit to odoo_agent_lookup;

-- For whoever checks the audit of all: names, and nothing of what they have.
create function tenant_ids() returns setof text
    language sql stable security definer set search_path = pg_catalog, public, pg_temp
    as $$ select id from public.tenants order by id $$;

revoke execute on function audit_text(audit), audit_dated(), audit_link(uuid, text), audit_linked(), tenant_ids() from public;
grant execute on function tenant_ids() to odoo_agent_app;
grant execute on function audit_text(audit) to odoo_agent_app, odoo_agent_lookup;
grant execute on function audit_link(uuid, text) to odoo_agent_lookup;
grant create on schema public to odoo_agent_lookup;
alter function audit_linked() owner to odoo_agent_lookup;
alter function tenant_ids() owner to odoo_agent_lookup;
revoke create on schema public from odoo_agent_lookup;
