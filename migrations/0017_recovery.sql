-- What is needed to notice that work is stuck, and to say why it waits.

-- Row-level security that is not forced does not bind the owner, who has to see the rows of every tenant here.
alter table runs no force row level security;

alter table runs
    -- Where the message of the run stands in the stream of jobs; null for a run of a version before this one.
    add column message_seq bigint,
    -- When that message was last looked for.
    add column checked_at  timestamptz,
    -- The run is worked on by a command in its own process: there is no message, and nobody else takes it over.
    add column in_process  boolean not null default false,
    -- What the run waits for before its next attempt, and how many attempts ended for that reason without being counted.
    add column waits_for   text check (waits_for in ('docker', 'database', 'nats', 'claude')),
    add column waits       integer not null default 0 check (waits >= 0),
    -- The run failed for lack of this. `other`: something outside that is none of the above.
    add column failed_for  text check (failed_for in ('docker', 'database', 'nats', 'claude', 'other')),
    -- The run is another try of this one.
    add column replay_of   uuid;

update runs set in_process = true where worker = 'fix' and state = 'running';
update runs set failed_for = 'docker' where state = 'failed' and error like 'the Docker engine does not answer%';
alter table runs force row level security;

create index runs_waiting on runs (checked_at nulls first, created_at) where state in ('queued', 'running');

grant update (message_seq, checked_at, waits_for, waits, failed_for) on runs to odoo_agent_app;
grant select (lease_until, checked_at, in_process) on runs to odoo_agent_lookup;

-- Runs that nobody works on, by id alone, those first that were looked at longest ago. What was asked for is read in the tenant's name.
create function waiting_runs(unseen_for interval, max integer)
    returns table (id uuid, tenant_id text, in_process boolean)
    language sql stable security definer set search_path = pg_catalog, public, pg_temp
    as $$
        select r.id, r.tenant_id, r.in_process from public.runs as r
         where ((r.state = 'queued' and r.published_at is not null and not r.in_process) or (r.state = 'running' and r.lease_until < now()))
           and coalesce(r.checked_at, r.published_at, r.created_at) <= now() - unseen_for
         order by r.checked_at nulls first, r.created_at limit least(max, 1000)
    $$;

grant create on schema public to odoo_agent_lookup;
alter function waiting_runs(interval, integer) owner to odoo_agent_lookup;
revoke create on schema public from odoo_agent_lookup;
revoke all on function waiting_runs(interval, integer) from public;
grant execute on function waiting_runs(interval, integer) to odoo_agent_app;

-- What was sent under an Idempotency-Key, so that the same key with another body is refused. The events themselves are counted once by their
-- ids, which are made of the key; this row may go when nobody sends the request again.
create table ingest_requests (
    tenant_id   text not null references tenants (id),
    key         uuid not null,
    digest      bytea not null check (octet_length(digest) = 32),
    received_at timestamptz not null default now(),
    primary key (tenant_id, key)
);
create index ingest_requests_age on ingest_requests (tenant_id, received_at);
alter table ingest_requests enable row level security;
alter table ingest_requests force row level security;
create policy tenant_only on ingest_requests to odoo_agent_app
    using (tenant_id = (select public.current_tenant()))
    with check (tenant_id = (select public.current_tenant()));
grant select, insert, delete on ingest_requests to odoo_agent_app;
