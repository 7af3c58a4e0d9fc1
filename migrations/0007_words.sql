-- Words are looked for in one corpus at a time. An index over all of them gives most of its rows for other corpora, and says nothing of how
-- often a term stands in this one, so that the planner reads the whole table for the smallest of them.
drop index odoo_knowledge_lexemes;
create index odoo_knowledge_lexemes_code on odoo_knowledge using gin (lexemes) where corpus = 'code';
create index odoo_knowledge_lexemes_data on odoo_knowledge using gin (lexemes) where corpus = 'data';
create index odoo_knowledge_lexemes_message on odoo_knowledge using gin (lexemes) where corpus = 'message';
create index odoo_knowledge_lexemes_other on odoo_knowledge using gin (lexemes) where corpus not in ('code', 'data', 'message');
