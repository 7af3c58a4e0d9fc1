-- Every fingerprint of a group, how often each occurred and when, and in which releases.

-- Row-level security that is not forced does not bind the owner, who has to see the rows of every tenant here.
alter table errors no force row level security;
alter table ingest_events no force row level security;

alter table errors
    add column first_release    text,
    add column last_release     text,
    -- The newest release in which the error was seen when its fix was applied, and the one in which it came back.
    add column fixed_release    text,
    add column reopened_release text;
create index errors_page on errors (tenant_id, last_seen desc, id desc);
drop index errors_recent;

-- A group has one fingerprint or, if near-duplicates joined it, several. `kin` is what near-duplicates have in common. What a person set
-- apart is never joined with others again.
create table error_fingerprints (
    tenant_id     text not null references tenants (id),
    fingerprint   text not null,
    group_id      uuid not null,
    kin           text,
    apart         boolean not null default false,
    count         bigint not null,
    first_seen    timestamptz not null,
    last_seen     timestamptz not null,
    first_release text,
    last_release  text,
    title         text not null,
    report        jsonb not null,
    primary key (tenant_id, fingerprint),
    foreign key (tenant_id, group_id) references errors (tenant_id, id)
);
create index error_fingerprints_group on error_fingerprints (tenant_id, group_id);
create index error_fingerprints_kin on error_fingerprints (tenant_id, kin) where kin is not null;

insert into error_fingerprints (tenant_id, fingerprint, group_id, count, first_seen, last_seen, title, report)
    select tenant_id, fingerprint, id, count, first_seen, last_seen, title, report from errors;

-- Occurrences an hour, kept for 30 days. By fingerprint, so that they follow it into a group of its own.
create table error_counts (
    tenant_id   text not null references tenants (id),
    fingerprint text not null,
    bucket      timestamptz not null,
    count       bigint not null,
    primary key (tenant_id, fingerprint, bucket),
    foreign key (tenant_id, fingerprint) references error_fingerprints (tenant_id, fingerprint)
);
create index error_counts_bucket on error_counts (tenant_id, bucket);

alter table ingest_events
    add column fingerprint text,
    add column release     text;
update ingest_events e set fingerprint = g.fingerprint from errors g where g.tenant_id = e.tenant_id and g.id = e.group_id;
create index ingest_events_fingerprint on ingest_events (tenant_id, fingerprint) where fingerprint is not null;

do $$
declare
    name text;
begin
    foreach name in array array['errors', 'ingest_events', 'error_fingerprints', 'error_counts'] loop
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
    end loop;
    foreach name in array array['error_fingerprints', 'error_counts'] loop
        execute format(
            'create policy tenant_only on %I using (tenant_id = current_setting(%L, true)) with check (tenant_id = current_setting(%L, true))',
            name, 'odoo_agent.tenant', 'odoo_agent.tenant');
    end loop;
end
$$;

grant update (fingerprint, first_release, last_release, fixed_release, reopened_release) on errors to odoo_agent_app;
grant update (fingerprint) on ingest_events to odoo_agent_app;
grant select, insert, update (group_id, kin, apart, count, first_seen, last_seen, first_release, last_release, title, report)
    on error_fingerprints to odoo_agent_app;
grant select, insert, delete, update (count) on error_counts to odoo_agent_app;
