-- What became of fixes after they were shown or applied. It alone moves the confidence in their source: a proof that nobody used moves nothing.

create table fix_feedback (
    tenant_id   text not null,
    run_id      uuid not null,
    -- `applied` counts as a good outcome once the error has stayed away long enough; the others count at once.
    kind        text not null check (kind in ('applied', 'confirmed', 'merged', 'rejected', 'rolled_back', 'came_back')),
    -- Who made the fix: of a recalled one, who made it first. With the class and the fingerprint of its error.
    source      text not null,
    class       text not null,
    fingerprint text not null,
    at          timestamptz not null default clock_timestamp(),
    -- Who said so: `operator`, `program`, or `key` with the key.
    actor       text not null check (actor in ('operator', 'program', 'key')),
    key_id      uuid references api_keys (id),
    check ((actor = 'key') = (key_id is not null)),
    primary key (tenant_id, run_id, kind),
    foreign key (tenant_id, run_id) references runs (tenant_id, id)
);
create index fix_feedback_error on fix_feedback (tenant_id, fingerprint);

alter table fix_feedback enable row level security;
alter table fix_feedback force row level security;
create policy tenant_only on fix_feedback
    using (tenant_id = current_setting('odoo_agent.tenant', true))
    with check (tenant_id = current_setting('odoo_agent.tenant', true));
grant select, insert on fix_feedback to odoo_agent_app;

-- Whoever brought a fix does not confirm it. Null: the command line, the program itself, or a version before this one.
alter table runs add column submitted_by uuid references api_keys (id);
alter table tickets add column resolved_by uuid references api_keys (id);
grant update (resolved_by) on tickets to odoo_agent_app;
