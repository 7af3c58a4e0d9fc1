-- What an API key may do, until when, and how a leaked one is found.
--
-- Keys that are there keep what an API key could be needed for until now: to send events, to read and to submit jobs. None of them may have a
-- fix written, approve one, or see to other keys; a new key must be made for that.
alter table api_keys
    add column scopes     text[] not null default '{ingest,read,run}',
    -- Stands in the key itself, between its prefix and its secret. Null: a key of a version before this one.
    add column short_id   text unique,
    add column expires_at timestamptz,
    -- The first of the keys that took one another's place; null: it is that one itself.
    add column family     uuid references api_keys (id);
alter table api_keys
    -- Whoever makes a key says what it may do.
    alter column scopes drop default,
    add constraint api_keys_scopes
        check (cardinality(scopes) > 0 and scopes <@ array['ingest', 'read', 'run', 'apply', 'approve', 'admin']),
    add constraint api_keys_short_id check (short_id ~ '^[0-9a-f]{12}$');
grant update (expires_at) on api_keys to odoo_agent_app;
grant select (scopes, expires_at) on api_keys to odoo_agent_lookup;

-- A key that is not valid any more is told from one that never was: whoever holds it may know.
drop function authenticate(bytea);
create function authenticate(hash bytea) returns table (tenant_id text, key_id uuid, scopes text[], state text)
    language sql volatile security definer set search_path = pg_catalog, public, pg_temp
    as $$
        update public.api_keys as stale set last_used_at = now()
         where stale.key_hash = hash and stale.revoked_at is null and (stale.expires_at is null or stale.expires_at > now())
           and (stale.last_used_at is null or stale.last_used_at < now() - interval '1 minute');
        select found.tenant_id, found.id, found.scopes,
               case when found.revoked_at is not null then 'revoked' when found.expires_at <= now() then 'expired' else 'valid' end
          from public.api_keys as found where found.key_hash = hash
    $$;
grant create on schema public to odoo_agent_lookup;
alter function authenticate(bytea) owner to odoo_agent_lookup;
revoke create on schema public from odoo_agent_lookup;
revoke all on function authenticate(bytea) from public;
grant execute on function authenticate(bytea) to odoo_agent_app;

-- Who asked for a run. It decides whether a fix may be written without anybody looking at it. Null: a version before this one wrote the row,
-- and `submitted_by` and `group_id` say it.
alter table runs add column submitter text check (submitter in ('operator', 'event', 'key', 'queue'));

-- A success that comes from a run, or by the word, of whoever brought the fix teaches nothing.
alter table fix_feedback add column own boolean not null default false;
