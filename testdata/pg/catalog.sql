-- A database in which values of classified columns (shop.payments.card_number and .cvv, %.pin) can be reached in as
-- many ways as a catalog can describe. Loaded by src/pg/catalog_loader_test.cc into an empty database.
CREATE SCHEMA shop; CREATE SCHEMA archive; CREATE SCHEMA "odd.schema";
CREATE TABLE shop.customers(id int PRIMARY KEY, name text, score int DEFAULT 0);
CREATE DOMAIN shop.short_text AS varchar(40);
CREATE TABLE shop.payments(
  id int PRIMARY KEY, customer_id int REFERENCES shop.customers, card_number text NOT NULL, cvv char(4),
  amount numeric(12,2), meta jsonb,
  tail text GENERATED ALWAYS AS (right(card_number, 12)) STORED,
  doubled numeric GENERATED ALWAYS AS (amount * 2) STORED);
CREATE TABLE shop.pins(id int, pin int, pins text[], spare shop.short_text);
CREATE TABLE shop.notes(id serial PRIMARY KEY, body text);
CREATE TABLE "odd.schema"."a ""b"(card_number text);

-- Heirs: their columns have other numbers; one of them has a column of its own that is classified.
CREATE TABLE shop.payments_2024(extra int, more int) INHERITS (shop.payments);
CREATE TABLE shop.dropped(gone int, id int, card_number text);
ALTER TABLE shop.dropped DROP COLUMN gone;
CREATE TABLE shop.parted(id int, card_number text, region text) PARTITION BY LIST (region);
CREATE TABLE shop.parted_eu(region text, card_number text, id int);
ALTER TABLE shop.parted ATTACH PARTITION shop.parted_eu FOR VALUES IN ('eu');
CREATE TABLE shop.parted_us PARTITION OF shop.parted FOR VALUES IN ('us') PARTITION BY RANGE (id);
CREATE TABLE shop.parted_us_1 PARTITION OF shop.parted_us FOR VALUES FROM (1) TO (100);
CREATE TABLE shop.base(id int); CREATE TABLE shop.derived_pin(pin text) INHERITS (shop.base);

-- Views of views, in the order in which they cannot be followed by name.
CREATE VIEW shop.v_rename AS SELECT id AS k, card_number AS ref, amount FROM shop.payments;
CREATE VIEW shop.v_again AS SELECT r.ref AS third, r.k FROM shop.v_rename r;
CREATE VIEW shop.v_expression AS SELECT id, 'ref:' || reverse(card_number) AS r FROM shop.payments;
CREATE VIEW shop.v_star AS SELECT * FROM shop.payments;
CREATE VIEW shop.v_row AS SELECT p AS whole FROM shop.payments p;
CREATE VIEW shop.v_union AS SELECT card_number AS c FROM shop.payments UNION SELECT body FROM shop.notes;
CREATE VIEW shop.v_plain AS SELECT id, amount FROM shop.payments;
CREATE VIEW shop.v_notes AS SELECT body FROM shop.notes;
CREATE MATERIALIZED VIEW shop.m_cards AS SELECT id, card_number AS c FROM shop.payments;
CREATE VIEW shop.a_first_by_name AS SELECT c FROM shop.m_cards;
CREATE VIEW shop.v_stats AS SELECT tablename, most_common_vals::text AS most_common_vals FROM pg_stats;
CREATE VIEW shop.v_xml AS SELECT query_to_xml('select card_number from shop.payments', true, true, '') AS x;

-- Functions.
CREATE FUNCTION shop.get_card(i int) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS
  $$SELECT card_number FROM shop.payments WHERE id = i$$;
CREATE FUNCTION shop.get_name(i int) RETURNS text LANGUAGE sql STABLE AS
  $$SELECT name FROM shop.customers WHERE id = i$$;
CREATE FUNCTION shop.get_new(i int) RETURNS text LANGUAGE sql STABLE RETURN (SELECT third FROM shop.v_again WHERE k = i);
CREATE FUNCTION shop.add_one(i int) RETURNS int LANGUAGE sql IMMUTABLE RETURN i + 1;
CREATE FUNCTION shop.atomic_names() RETURNS SETOF text LANGUAGE sql STABLE
  BEGIN ATOMIC SELECT name FROM shop.customers; SELECT name FROM shop.customers WHERE id = 1; END;
CREATE FUNCTION shop.calls_get_card(i int) RETURNS text LANGUAGE sql AS $$SELECT shop.get_card(i)$$;
SET check_function_bodies = off;
CREATE FUNCTION shop.by_bare_name() RETURNS bigint LANGUAGE sql AS $$SELECT count(card_number) FROM payments$$;
CREATE FUNCTION shop.run_sql(q text) RETURNS SETOF text LANGUAGE plpgsql AS $$BEGIN RETURN QUERY EXECUTE q; END$$;
CREATE FUNCTION shop.over(i int) RETURNS int LANGUAGE sql IMMUTABLE AS $$SELECT i$$;
CREATE FUNCTION shop.over(t text) RETURNS text LANGUAGE plpgsql AS $$BEGIN RETURN t; END$$;
CREATE FUNCTION shop.upper_name(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN upper(t); END$$;
CREATE VIEW shop.v_function AS SELECT shop.get_card(id) AS c FROM shop.customers;
CREATE VIEW shop.v_function_plain AS SELECT shop.get_name(id) AS n FROM shop.customers;
CREATE TABLE shop.generated_by_function(
  a text, b text GENERATED ALWAYS AS (shop.upper_name(a)) STORED);

-- A rule that answers from another table.
CREATE TABLE shop.asked(id int, said text);
CREATE RULE answer AS ON UPDATE TO shop.asked DO INSTEAD
  UPDATE shop.payments SET amount = amount WHERE id = NEW.id RETURNING id, card_number;
CREATE TABLE shop.logged(id int);
CREATE RULE log AS ON INSERT TO shop.logged DO ALSO INSERT INTO shop.notes(body) VALUES (NEW.id);

-- The same table, elsewhere.
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE archive.payments(number text OPTIONS (column_name 'card_number'), amount numeric) SERVER elsewhere;
CREATE FOREIGN TABLE archive.old(card_number text) SERVER elsewhere OPTIONS (schema_name 'shop', table_name 'payments');
CREATE FOREIGN TABLE archive.others(card_number text) SERVER elsewhere OPTIONS (table_name 'customers');
