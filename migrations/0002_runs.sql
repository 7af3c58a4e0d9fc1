-- What happened to a job, what it cost, and the tickets that came of it.

create table runs (
    id                uuid primary key,
    tenant_id         text not null references tenants (id),
    kind              text not null,
    payload           jsonb not null,
    state             text not null default 'queued' check (state in ('queued', 'running', 'done', 'failed')),
    created_at        timestamptz not null default now(),
    published_at      timestamptz,
    started_at        timestamptz,
    finished_at       timestamptz,
    attempts          integer not null default 0 check (attempts >= 0),
    attempt_token     uuid,
    lease_until       timestamptz,
    worker            text,
    -- What the handler found, while its effects are being carried out: an attempt after a crash goes on from here.
    outcome           jsonb,
    result            jsonb,
    error             text,
    usd               numeric(14, 6) not null default 0,
    input_tokens      bigint not null default 0,
    output_tokens     bigint not null default 0,
    cache_read_tokens bigint not null default 0,
    traceparent       text,
    group_id          uuid,
    unique (tenant_id, id),
    check ((state = 'running') = (attempt_token is not null and lease_until is not null))
);
create index runs_tenant on runs (tenant_id, created_at desc);
create index runs_unpublished on runs (created_at) where published_at is null and state = 'queued';

-- The foreign keys name the tenant too: they are checked without row-level security, and one tenant must not refer to another's run.
create table usage (
    tenant_id         text not null,
    run_id            uuid not null,
    step              text not null,
    usd               numeric(14, 6) not null check (usd >= 0),
    input_tokens      bigint not null,
    output_tokens     bigint not null,
    cache_read_tokens bigint not null,
    at                timestamptz not null default now(),
    unique (run_id, step),
    foreign key (tenant_id, run_id) references runs (tenant_id, id)
);
create index usage_tenant on usage (tenant_id, at);

create table tickets (
    id         uuid primary key,
    tenant_id  text not null,
    run_id     uuid not null unique,
    title      text not null,
    body       text not null,
    evidence   jsonb not null,
    patch      text,
    state      text not null default 'open' check (state in ('open', 'closed')),
    created_at timestamptz not null default now(),
    foreign key (tenant_id, run_id) references runs (tenant_id, id)
);
create index tickets_tenant on tickets (tenant_id, created_at desc);

do $$
declare
    name text;
begin
    foreach name in array array['runs', 'usage', 'tickets'] loop
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format(
            'create policy tenant_only on %I using (tenant_id = current_setting(%L, true)) with check (tenant_id = current_setting(%L, true))',
            name, 'odoo_agent.tenant', 'odoo_agent.tenant');
    end loop;
end
$$;

-- A run's identity and what was asked for never change.
grant select, insert, update (outcome, state, published_at, started_at, finished_at, attempts, attempt_token, lease_until, worker, result, error,
    usd, input_tokens, output_tokens, cache_read_tokens) on runs to odoo_agent_app;
grant select, insert on usage to odoo_agent_app;
grant select, insert, update (state) on tickets to odoo_agent_app;

grant select (id, tenant_id, kind, payload, traceparent, state, created_at, published_at) on runs to odoo_agent_lookup;
create policy lookup_reads on runs for select to odoo_agent_lookup using (true);

-- What was accepted but perhaps never reached the queue, for whoever publishes it again.
create function unpublished_runs(older_than interval, max integer)
    returns table (id uuid, tenant_id text, kind text, payload jsonb, traceparent text)
    language sql stable security definer set search_path = pg_catalog, public, pg_temp
    as $$
        select r.id, r.tenant_id, r.kind, r.payload, r.traceparent from public.runs as r
         where r.published_at is null and r.state = 'queued' and r.created_at <= now() - older_than
         order by r.created_at limit least(max, 1000)
    $$;

grant create on schema public to odoo_agent_lookup;
alter function unpublished_runs(interval, integer) owner to odoo_agent_lookup;
revoke create on schema public from odoo_agent_lookup;
revoke all on function unpublished_runs(interval, integer) from public;
grant execute on function unpublished_runs(interval, integer) to odoo_agent_app;
