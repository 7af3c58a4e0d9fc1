-- The id of a run is the tenant's own: another tenant that uses the same one has a run of its own and takes nothing away. `unique (tenant_id,
-- id)`, which the foreign keys refer to, takes the place of the primary key; a second index over the same would only cost.

alter table runs drop constraint runs_pkey;
alter table tickets drop constraint tickets_run_id_key, add constraint tickets_run_key unique (tenant_id, run_id);
alter table usage drop constraint usage_run_id_step_key, add constraint usage_run_step_key unique (tenant_id, run_id, step);
