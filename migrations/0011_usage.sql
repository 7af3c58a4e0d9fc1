-- Money that no run spends: the embedding of a search at the door, of what runs left behind, of sources that a command indexes. `step` says
-- what it was for.

alter table usage
    alter column run_id drop not null,
    -- What has no run has a name of its own, so that it is charged once too.
    add column payment uuid unique,
    add constraint usage_payer check ((run_id is null) <> (payment is null)),
    -- Without a run the other foreign key looks at nothing.
    add foreign key (tenant_id) references tenants (id),
    -- A search may cost less than a millionth of a dollar, and many of them more.
    alter column usd type numeric(18, 10);
alter table runs alter column usd type numeric(18, 10);

-- A day may now have a row a search: what was spent on it is added up out of the index alone.
create index usage_day on usage (tenant_id, at) include (usd);
drop index usage_tenant;
