-- What a person says mended the error of a ticket. The latest word counts; the audit has the ones before.

alter table tickets
    add column resolution text,
    -- A unified diff.
    add column correction text,
    -- When the latest word was said.
    add column closed_at  timestamptz,
    add constraint tickets_resolved check (resolution is null or (state = 'closed' and closed_at is not null)),
    add constraint tickets_correction check (correction is null or resolution is not null);
create index tickets_page on tickets (tenant_id, created_at desc, id desc);
drop index tickets_tenant;

grant update (resolution, correction, closed_at) on tickets to odoo_agent_app;
