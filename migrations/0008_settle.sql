-- What many new rows leave undone until the server gets to it by itself: statistics, without which a search is planned for an empty table, and
-- entries of the indexes of words that wait in a list, which every search reads from end to end. It has to be done by the owner of the tables.
create function knowledge_settle() returns void
    language plpgsql security definer set search_path = pg_catalog, public as $$
begin
    perform gin_clean_pending_list(format('public.odoo_knowledge_lexemes_%s', name)::regclass)
       from unnest(array['code', 'data', 'message', 'other']) as name;
    analyze odoo_knowledge;
    analyze tenant_knowledge;
    analyze knowledge_vectors;
    analyze knowledge_symbols;
    analyze knowledge_modules;
    analyze knowledge_terms;
end $$;
revoke execute on function knowledge_settle() from public;
grant execute on function knowledge_settle() to odoo_agent_app;
