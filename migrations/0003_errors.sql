-- Errors in groups, and what became of every raw event.

create table errors (
    id             uuid primary key,
    tenant_id      text not null references tenants (id),
    fingerprint    text not null,
    class          text not null,
    title          text not null,
    module         text,
    report         jsonb not null,
    first_seen     timestamptz not null,
    last_seen      timestamptz not null,
    count          bigint not null default 1,
    state          text not null default 'open' check (state in ('open', 'fixed', 'ignored')),
    -- How often the group was opened, when last, and by which event: a fixed group opens again when its error comes back.
    openings       integer not null default 1,
    opened_at      timestamptz not null default clock_timestamp(),
    opened_event   uuid not null,
    opened_ordinal integer not null,
    fixed_at       timestamptz,
    last_run_id    uuid,
    unique (tenant_id, fingerprint),
    unique (tenant_id, id),
    foreign key (tenant_id, last_run_id) references runs (tenant_id, id)
);
create index errors_recent on errors (tenant_id, last_seen desc);

alter table runs add foreign key (tenant_id, group_id) references errors (tenant_id, id);

-- One row for every error of an event. `opening` is set on the row that opened its group, so that a second delivery is told the same.
create table ingest_events (
    tenant_id   text not null references tenants (id),
    event_id    uuid not null,
    ordinal     integer not null,
    group_id    uuid,
    opening     integer,
    verdict     text not null check (verdict in ('grouped', 'no_error', 'undecodable')),
    detail      text,
    received_at timestamptz not null default now(),
    primary key (tenant_id, event_id, ordinal),
    foreign key (tenant_id, group_id) references errors (tenant_id, id)
);

do $$
declare
    name text;
begin
    foreach name in array array['errors', 'ingest_events'] loop
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format(
            'create policy tenant_only on %I using (tenant_id = current_setting(%L, true)) with check (tenant_id = current_setting(%L, true))',
            name, 'odoo_agent.tenant', 'odoo_agent.tenant');
    end loop;
end
$$;

grant select, insert, update (class, title, module, report, first_seen, last_seen, count, state, openings, opened_at, opened_event,
    opened_ordinal, fixed_at, last_run_id) on errors to odoo_agent_app;
grant select, insert, update (verdict, detail, group_id, opening) on ingest_events to odoo_agent_app;
