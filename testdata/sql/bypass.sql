-- Statements against a small shop whose card numbers are classified, and what has to become of each.
-- One case: `@case id | category`, `@expect` (what a client may see), `@route` (what sql::Analyzer says), statements, one a line.
-- mask: answered, masked · block: refused, without effect · mask|block: either, nothing leaks · infer: the answer is the same
-- when the hidden digits are others (`@world`: the number that row 1 of payments then has) · allow: as without the gateway.
-- Tables and columns are those of src/sql/lab_for_tests.h. Routes: as_is, by_origin, rewritten, refused (of the first
-- statement that is not as_is).

-- @case plain-001 | plain
-- @expect mask
-- @route by_origin
SELECT card_number FROM payments
-- @case plain-002 | plain
-- @expect mask
-- @route by_origin
SELECT p.card_number AS x, p.id FROM public.payments AS p WHERE p.id = 1
-- @case plain-003 | plain
-- @expect mask
-- @route by_origin
SELECT "card_number" FROM "public"."payments"
-- @case plain-004 | plain
-- @expect mask
-- @route by_origin
SELECT PAYMENTS.CARD_NUMBER FROM Payments
-- @case plain-005 | plain
-- @expect mask
-- @route rewritten
SELECT * FROM payments WHERE id < 3
-- @case plain-006 | plain
-- @expect mask
-- @route rewritten
SELECT c.name, p.* FROM customers c LEFT JOIN payments p ON p.customer_id = c.id
-- @case plain-007 | plain
-- @expect mask
-- @route by_origin
SELECT ref FROM v_rename WHERE k = 1
-- @case plain-008 | plain
-- @expect mask
-- @route by_origin
SELECT c FROM mv_pay
-- @case plain-009 | plain
-- @expect mask
-- @route by_origin
SELECT card_number FROM payments_eu
-- @case plain-010 | plain
-- @expect mask
-- @route by_origin
SELECT card_number FROM payments_part
-- @case plain-011 | plain
-- @expect mask
-- @route rewritten
SELECT card_number, cvv FROM payments_2024
-- @case plain-012 | plain
-- @expect mask
-- @route by_origin
SELECT card_number FROM dropcol
-- @case plain-013 | plain
-- @expect mask
-- @route by_origin
SELECT p.card_number, r.card_number FROM payments p JOIN refunds r ON r.id = p.id
-- @case plain-014 | plain
-- @expect mask
-- @route by_origin
SELECT id, card_number FROM payments ORDER BY id LIMIT 3 OFFSET 1
-- @case plain-015 | plain
-- @expect mask
-- @route by_origin
SELECT card_number FROM payments WHERE status = 'ok' AND amount > 5
-- @case plain-016 | plain
-- @expect mask
-- @route by_origin
SELECT (card_number) FROM payments
-- @case plain-017 | plain
-- @expect mask
-- @route by_origin
SELECT card_number FROM payments p WHERE NOT p.status = 'x' ORDER BY p.amount DESC, id
-- @case plain-018 | plain
-- @expect mask
-- @route by_origin
DELETE FROM refunds WHERE id = 77 RETURNING card_number
-- @case plain-019 | plain
-- @expect mask
-- @route by_origin
UPDATE refunds SET amount = 6 WHERE id = 1 RETURNING *
-- @case plain-020 | plain
-- @expect mask
-- @route by_origin
INSERT INTO refunds(id, amount) VALUES (50, 1) RETURNING card_number, id
-- @case plain-021 | plain
-- @expect mask
-- @route by_origin
SELECT card_number FROM payments TABLESAMPLE BERNOULLI (100)
-- @case plain-022 | plain
-- @expect mask
-- @route rewritten
SELECT id, p.cvv FROM payments p TABLESAMPLE SYSTEM (100)
-- @case plain-023 | plain
-- @expect mask
-- @route rewritten
TABLE payments
-- @case plain-024 | plain
-- @expect mask
-- @route by_origin
SELECT a FROM payments AS p(a, b, c, d)
-- @case plain-025 | plain
-- @expect mask
-- @route by_origin
SELECT c FROM payments AS p(a, b, c, d, e)
-- @case shape-001 | shape
-- @expect mask
-- @route rewritten
SELECT card_number FROM payments ORDER BY card_number
-- @case shape-002 | shape
-- @expect mask
-- @route rewritten
SELECT card_number FROM payments ORDER BY 1 DESC
-- @case shape-003 | shape
-- @expect mask
-- @route rewritten
SELECT DISTINCT card_number FROM payments
-- @case shape-004 | shape
-- @expect mask
-- @route rewritten
SELECT card_number AS z FROM payments ORDER BY z
-- @case shape-005 | shape
-- @expect mask
-- @route rewritten
SELECT x FROM (SELECT card_number AS x FROM payments) s
-- @case shape-006 | shape
-- @expect mask
-- @route rewritten
SELECT s.* FROM (SELECT * FROM payments) s
-- @case shape-007 | shape
-- @expect mask
-- @route rewritten
WITH a AS (SELECT * FROM payments), b AS (SELECT card_number q FROM a) SELECT q FROM b
-- @case shape-008 | shape
-- @expect mask
-- @route rewritten
WITH RECURSIVE t(n, c) AS (SELECT 1, card_number FROM payments WHERE id = 1 UNION ALL SELECT n + 1, c FROM t WHERE n < 3) SELECT c FROM t
-- @case shape-009 | shape
-- @expect mask
-- @route rewritten
WITH payments AS MATERIALIZED (SELECT card_number AS z FROM payments) SELECT z FROM payments
-- @case shape-010 | shape
-- @expect mask
-- @route rewritten
SELECT card_number FROM payments NATURAL JOIN (SELECT 1 AS id) one
-- @case shape-011 | shape
-- @expect mask
-- @route rewritten
SELECT card_number FROM payments UNION SELECT card_number FROM refunds
-- @case shape-012 | shape
-- @expect mask
-- @route rewritten
SELECT card_number FROM payments INTERSECT SELECT card_number FROM refunds
-- @case shape-013 | shape
-- @expect mask
-- @route rewritten
SELECT card_number FROM payments FOR UPDATE
-- @case shape-014 | shape
-- @expect mask
-- @route rewritten
SELECT p.card_number FROM payments p FOR SHARE OF p SKIP LOCKED
-- @case shape-015 | shape
-- @expect mask
-- @route rewritten
SELECT upper(card_number) FROM payments TABLESAMPLE BERNOULLI (100)
-- @case shape-016 | shape
-- @expect mask
-- @route rewritten
SELECT ctid, card_number || '' FROM payments
-- @case shape-017 | shape
-- @expect mask
-- @route rewritten
SELECT p.id, p.card_number, count(*) FROM payments p JOIN customers c ON c.id = p.customer_id GROUP BY p.id
-- @case shape-018 | shape
-- @expect mask
-- @route rewritten
SELECT DISTINCT ON (customer_id) customer_id, card_number FROM payments ORDER BY customer_id, id
-- @case shape-019 | shape
-- @expect mask
-- @route rewritten
SELECT (SELECT p.card_number FROM payments p WHERE p.customer_id = c.id ORDER BY p.id LIMIT 1) FROM customers c
-- @case shape-020 | shape
-- @expect mask
-- @route rewritten
SELECT public.payments.card_number || '' FROM public.payments
-- @case shape-021 | shape
-- @expect mask
-- @route rewritten
SELECT card_number FROM ONLY (payments) WHERE card_number IS NOT NULL
-- @case shape-022 | shape
-- @expect mask
-- @route rewritten
SELECT l.c FROM customers c LEFT JOIN LATERAL (SELECT p.card_number c FROM payments p WHERE p.customer_id = c.id LIMIT 1) l ON true
-- @case shape-023 | shape
-- @expect mask
-- @route rewritten
SELECT j.card_number FROM (payments p JOIN customers c ON c.id = p.customer_id) j
-- @case shape-024 | shape
-- @expect mask
-- @route rewritten
SELECT j.z FROM (payments p JOIN customers c ON c.id = p.customer_id) AS j(a, b, z)
-- @case shape-025 | shape
-- @expect mask
-- @route rewritten
WITH d AS (DELETE FROM refunds WHERE id = 77 RETURNING *) SELECT * FROM d
-- @case shape-026 | shape
-- @expect mask
-- @route rewritten
UPDATE refunds AS q SET amount = 5 WHERE q.id = 1 RETURNING q.card_number || 'x', q.*
-- @case shape-027 | shape
-- @expect mask
-- @route rewritten
SELECT coalesce(card_number, '-') FROM payments
-- @case shape-028 | shape
-- @expect mask
-- @route rewritten
SELECT card_number::text FROM payments WHERE id = 1
-- @case shape-029 | shape
-- @expect mask
-- @route rewritten
SELECT r FROM v_expr
-- @case shape-030 | shape
-- @expect mask
-- @route rewritten
SELECT k FROM v_rename ORDER BY ref
-- @case expr-001 | expr
-- @expect mask|block
-- @route rewritten
SELECT substr(card_number, 7, 6) FROM payments
-- @case expr-002 | expr
-- @expect mask|block
-- @route rewritten
SELECT overlay(card_number placing 'x' from 1 for 4) FROM payments
-- @case expr-003 | expr
-- @expect mask|block
-- @route rewritten
SELECT encode(card_number::bytea, 'hex') FROM payments
-- @case expr-004 | expr
-- @expect mask|block
-- @route rewritten
SELECT encode(card_number::bytea, 'base64') FROM payments
-- @case expr-005 | expr
-- @expect mask|block
-- @route rewritten
SELECT string_to_array(card_number, NULL) FROM payments
-- @case expr-006 | expr
-- @expect mask|block
-- @route rewritten
SELECT regexp_matches(card_number, '(\d)', 'g') FROM payments
-- @case expr-007 | expr
-- @expect mask|block
-- @route rewritten
SELECT translate(card_number, '0123456789', 'abcdefghij') FROM payments
-- @case expr-008 | expr
-- @expect mask|block
-- @route rewritten
SELECT ascii(substr(card_number, 8, 1)) FROM payments
-- @case expr-009 | expr
-- @expect mask|block
-- @route rewritten
SELECT card_number::bytea FROM payments
-- @case expr-010 | expr
-- @expect mask|block
-- @route rewritten
SELECT convert_to(card_number, 'UTF16') FROM payments
-- @case expr-011 | expr
-- @expect mask|block
-- @route rewritten
SELECT quote_literal(card_number) FROM payments
-- @case expr-012 | expr
-- @expect mask|block
-- @route rewritten
SELECT format('%s-%s', left(card_number, 4), card_number) FROM payments
-- @case expr-013 | expr
-- @expect mask|block
-- @route rewritten
SELECT row(card_number, id) FROM payments
-- @case expr-014 | expr
-- @expect mask|block
-- @route rewritten
SELECT array[card_number] FROM payments
-- @case expr-015 | expr
-- @expect mask|block
-- @route rewritten
SELECT json_build_object('a', card_number) FROM payments
-- @case expr-016 | expr
-- @expect mask|block
-- @route rewritten
SELECT xmlelement(name x, card_number) FROM payments
-- @case expr-017 | expr
-- @expect mask|block
-- @route rewritten
SELECT md5(card_number) FROM payments
-- @case expr-018 | expr
-- @expect block
-- @route refused
SELECT hashtext(card_number) FROM payments
-- @case expr-019 | expr
-- @expect mask|block
-- @route rewritten
SELECT card_number COLLATE "C" FROM payments
-- @case expr-020 | expr
-- @expect mask|block
-- @route rewritten
SELECT CASE WHEN card_number > '5' THEN card_number END FROM payments
-- @case expr-021 | expr
-- @expect mask|block
-- @route rewritten
SELECT nullif(card_number, 'x') FROM payments
-- @case expr-022 | expr
-- @expect mask|block
-- @route rewritten
SELECT greatest(card_number, '0') FROM payments
-- @case expr-023 | expr
-- @expect mask|block
-- @route rewritten
SELECT card_number ~ '^45' FROM payments
-- @case expr-024 | expr
-- @expect mask|block
-- @route rewritten
SELECT card_number IN ('4539577986432614') FROM payments
-- @case expr-025 | expr
-- @expect mask|block
-- @route rewritten
SELECT length(card_number) FROM payments
-- @case expr-026 | expr
-- @expect mask|block
-- @route rewritten
SELECT to_tsvector('simple', card_number) FROM payments
-- @case expr-027 | expr
-- @expect block
-- @route refused
SELECT similarity_is_not_here(card_number) FROM payments
-- @case agg-001 | agg
-- @expect mask|block
-- @route rewritten
SELECT string_agg(substr(card_number, 7, 6), '') FROM payments
-- @case agg-002 | agg
-- @expect mask|block
-- @route rewritten
SELECT json_agg(p) FROM payments p
-- @case agg-003 | agg
-- @expect mask|block
-- @route rewritten
SELECT to_jsonb(payments) FROM payments
-- @case agg-004 | agg
-- @expect mask|block
-- @route rewritten
SELECT row_to_json(p.*) FROM payments p
-- @case agg-005 | agg
-- @expect mask|block
-- @route rewritten
SELECT array_agg(p.cvv) FROM payments p
-- @case agg-006 | agg
-- @expect mask|block
-- @route rewritten
SELECT max(card_number) FILTER (WHERE id = 1) FROM payments
-- @case agg-007 | agg
-- @expect mask|block
-- @route rewritten
SELECT first_value(card_number) OVER w FROM payments WINDOW w AS (ORDER BY id)
-- @case agg-008 | agg
-- @expect mask|block
-- @route rewritten
SELECT percent_rank('5') WITHIN GROUP (ORDER BY card_number) FROM payments
-- @case agg-009 | agg
-- @expect mask|block
-- @route rewritten
SELECT array(SELECT card_number FROM payments)
-- @case agg-010 | agg
-- @expect mask|block
-- @route rewritten
SELECT x FROM payments p, unnest(string_to_array(p.card_number, NULL)) x
-- @case agg-011 | agg
-- @expect mask|block
-- @route rewritten
SELECT t.* FROM payments p, LATERAL (VALUES (p.card_number), (p.cvv)) t(v)
-- @case agg-012 | agg
-- @expect mask|block
-- @route rewritten
SELECT p::text FROM payments p WHERE id = 1
-- @case agg-013 | agg
-- @expect mask|block
-- @route rewritten
SELECT (p.*)::text FROM payments p
-- @case agg-014 | agg
-- @expect mask|block
-- @route rewritten
SELECT p IS NULL FROM payments p
-- @case agg-015 | agg
-- @expect mask|block
-- @route rewritten
SELECT count(DISTINCT p) FROM payments p
-- @case agg-016 | agg
-- @expect mask|block
-- @route rewritten
SELECT json_object_agg(id, card_number) FROM payments
-- @case agg-017 | agg
-- @expect mask|block
-- @route rewritten
SELECT xmlforest(card_number AS c) FROM payments
-- @case agg-018 | agg
-- @expect mask|block
-- @route rewritten
SELECT x.* FROM payments p, xmltable('/r' PASSING xmlelement(name r, p.card_number) COLUMNS v text PATH '.') x
-- @case agg-019 | agg
-- @expect mask|block
-- @route rewritten
VALUES ((SELECT card_number FROM payments WHERE id = 1))
-- @case agg-020 | agg
-- @expect mask|block
-- @route rewritten
SELECT 1 WHERE EXISTS (SELECT 1 FROM payments WHERE card_number = '4539577986432614')
-- @case agg-021 | agg
-- @expect mask|block
-- @route rewritten
SELECT grouping(card_number), card_number FROM payments GROUP BY CUBE (card_number)
-- @case agg-022 | agg
-- @expect mask|block
-- @route rewritten
SELECT generate_series(1, length(card_number)) FROM payments WHERE id = 1
-- @case infer-001 | infer
-- @expect infer
-- @route rewritten
-- @world 4539572130492614
SELECT id FROM payments WHERE substr(card_number, 7, 1) = '7'
-- @case infer-002 | infer
-- @expect infer
-- @route rewritten
-- @world 4539572130492614
SELECT count(*) FROM payments WHERE card_number BETWEEN '4539577' AND '4539578'
-- @case infer-003 | infer
-- @expect infer
-- @route rewritten
-- @world 4539572130492614
SELECT id FROM payments ORDER BY substr(card_number, 7, 2), id
-- @case infer-004 | infer
-- @expect infer
-- @route rewritten
-- @world 4539572130492614
SELECT id FROM payments GROUP BY id, card_number HAVING max(card_number) LIKE '4539577%' ORDER BY id
-- @case infer-005 | infer
-- @expect infer
-- @route rewritten
-- @world 4539572130492614
SELECT 1 FROM payments WHERE id = 1 AND 1 / (CASE WHEN card_number LIKE '4539577%' THEN 0 ELSE 1 END) = 1
-- @case infer-006 | infer
-- @expect infer
-- @route rewritten
-- @world 4539572130492614
SELECT c.id FROM customers c JOIN payments p ON p.customer_id = c.id AND p.card_number LIKE '______7%' ORDER BY 1
-- @case infer-007 | infer
-- @expect infer
-- @route rewritten
-- @world 4539572130492614
SELECT id FROM customers WHERE id IN (SELECT customer_id FROM payments WHERE card_number ~ '^4539577') ORDER BY 1
-- @case infer-008 | infer
-- @expect infer
-- @route rewritten
-- @world 4539572130492614
SELECT id FROM customers c WHERE EXISTS (SELECT FROM payments p WHERE p.customer_id = c.id AND p.card_number > '45395779') ORDER BY 1
-- @case infer-009 | infer
-- @expect infer
-- @route rewritten
-- @world 4539572130492614
SELECT id, ntile(3) OVER (ORDER BY card_number COLLATE "C", id) FROM payments ORDER BY id
-- @case infer-010 | infer
-- @expect infer
-- @route rewritten
-- @world 4539572130492614
SELECT id FROM payments p WHERE p = ANY (SELECT q FROM payments q WHERE q.card_number LIKE '4539577%') ORDER BY id
-- @case infer-011 | infer
-- @expect infer
-- @route rewritten
-- @world 4539572130492614
SELECT id FROM payments p WHERE p.* IS DISTINCT FROM NULL AND (p).card_number LIKE '4539577%'
-- @case infer-012 | infer
-- @expect infer
-- @route rewritten
-- @world 4539572130492614
SELECT id FROM payments OFFSET (SELECT substr(card_number, 7, 1)::int FROM payments WHERE id = 1)
-- @case infer-013 | infer
-- @expect infer
-- @route rewritten
-- @world 4539572130492614
SELECT id FROM payments FETCH FIRST (SELECT ascii(substr(card_number, 7, 1)) - 48 FROM payments WHERE id = 1) ROWS ONLY
-- @case infer-014 | infer
-- @expect infer
-- @route rewritten
-- @world 4539572130492614
EXPLAIN SELECT 1 FROM payments WHERE card_number = '4539577986432614'
-- @case infer-015 | infer
-- @expect infer
-- @route rewritten
-- @world 4539572130492614
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT 1 FROM payments WHERE card_number LIKE '4539577%'
-- @case infer-016 | infer
-- @expect infer
-- @route rewritten
-- @world 4539572130492614
SELECT id FROM payments WHERE card_number = (SELECT max(card_number) FROM payments) ORDER BY id
-- @case infer-017 | infer
-- @expect infer
-- @route rewritten
-- @world 4539572130492614
SELECT k FROM v_rename WHERE ref LIKE '4539577%' ORDER BY k
-- @case infer-018 | infer
-- @expect infer
-- @route rewritten
-- @world 4539572130492614
SELECT id FROM mv_pay WHERE c LIKE '4539577%'
-- @case infer-019 | infer
-- @expect infer
-- @route rewritten
-- @world 4539572130492614
SELECT id FROM payments WHERE cvv = '111'
-- @case infer-020 | infer
-- @expect infer
-- @route rewritten
-- @world 4539572130492614
SELECT id FROM payments WHERE (card_number, id) > ('45395779', 0) ORDER BY id
-- @case write-001 | write
-- @expect block
-- @route refused
INSERT INTO notes(body) SELECT card_number FROM payments
-- @case write-002 | write
-- @expect block
-- @route refused
INSERT INTO notes(body) VALUES ((SELECT card_number FROM payments WHERE id = 1))
-- @case write-003 | write
-- @expect block
-- @route refused
INSERT INTO notes(body) SELECT p::text FROM payments p
-- @case write-004 | write
-- @expect block
-- @route refused
INSERT INTO notes(doc) SELECT to_jsonb(p) FROM payments p
-- @case write-005 | write
-- @expect block
-- @route refused
INSERT INTO notes(id) SELECT id + 1000 FROM payments WHERE card_number LIKE '4539577%'
-- @case write-006 | write
-- @expect block
-- @route refused
UPDATE customers SET email = p.card_number FROM payments p WHERE p.customer_id = customers.id
-- @case write-007 | write
-- @expect block
-- @route refused
UPDATE customers SET email = (SELECT card_number FROM payments WHERE id = 1) WHERE id = 1
-- @case write-008 | write
-- @expect block
-- @route refused
UPDATE customers SET (email, name) = (SELECT card_number, cvv FROM payments WHERE id = 1) WHERE id = 1
-- @case write-009 | write
-- @expect block
-- @route refused
UPDATE customers SET score = 1 FROM payments p WHERE p.customer_id = customers.id AND p.card_number LIKE '4539577%'
-- @case write-010 | write
-- @expect block
-- @route refused
DELETE FROM customers USING payments p WHERE p.customer_id = customers.id AND p.card_number LIKE '4539577%'
-- @case write-011 | write
-- @expect block
-- @route refused
DELETE FROM payments WHERE card_number = '4539577986432614'
-- @case write-012 | write
-- @expect block
-- @route refused
UPDATE payments SET status = card_number WHERE id = 1
-- @case write-013 | write
-- @expect block
-- @route refused
UPDATE payments SET cardholder = cvv WHERE id = 1
-- @case write-014 | write
-- @expect block
-- @route refused
UPDATE payments SET status = 'x' WHERE id = 1 AND cvv = '111'
-- @case write-015 | write
-- @expect block
-- @route refused
UPDATE payments p SET status = p::text WHERE id = 1
-- @case write-016 | write
-- @expect block
-- @route refused
UPDATE payments SET card_number = card_number WHERE id = 1
-- @case write-017 | write
-- @expect block
-- @route refused
UPDATE payments SET (status, cvv) = ('a', 'b') WHERE id = 1
-- @case write-018 | write
-- @expect block
-- @route refused
UPDATE payments_2024 SET card_number = '4000056509885772' WHERE id = 8
-- @case write-019 | write
-- @expect block
-- @route refused
UPDATE v_rename SET amount = 1 WHERE ref LIKE '4539577%'
-- @case write-020 | write
-- @expect block
-- @route refused
INSERT INTO payments(id, customer_id, card_number, cardholder) VALUES (1, 1, '4000056509885772', 'x') ON CONFLICT (id) DO UPDATE SET card_number = excluded.card_number
-- @case write-021 | write
-- @expect block
-- @route refused
INSERT INTO payments(id, customer_id, card_number, cardholder) VALUES (1, 1, '4000056509885772', 'x') ON CONFLICT (id) DO UPDATE SET status = payments.card_number
-- @case write-022 | write
-- @expect block
-- @route refused
INSERT INTO payments(id, customer_id, card_number, cardholder) VALUES (1, 1, '4000056509885772', 'x') ON CONFLICT (id) DO UPDATE SET status = 'x' WHERE payments.card_number LIKE '4539577%'
-- @case write-023 | write
-- @expect block
-- @route refused
INSERT INTO refunds SELECT 90, card_number FROM payments WHERE id = 2
-- @case write-024 | write
-- @expect block
-- @route refused
MERGE INTO customers c USING payments p ON p.customer_id = c.id WHEN MATCHED THEN UPDATE SET email = p.card_number
-- @case write-025 | write
-- @expect block
-- @route refused
MERGE INTO payments p USING customers c ON p.customer_id = c.id WHEN MATCHED AND p.card_number LIKE '4539577%' THEN DELETE
-- @case write-026 | write
-- @expect block
-- @route refused
MERGE INTO payments p USING customers c ON p.id = c.id WHEN MATCHED THEN UPDATE SET cvv = '000'
-- @case write-027 | write
-- @expect block
-- @route refused
CREATE TABLE t1 AS SELECT card_number FROM payments
-- @case write-028 | write
-- @expect block
-- @route refused
CREATE TEMP TABLE t1 AS TABLE payments
-- @case write-029 | write
-- @expect block
-- @route refused
SELECT * INTO TEMP t1 FROM payments
-- @case write-030 | write
-- @expect block
-- @route refused
CREATE MATERIALIZED VIEW m1 AS SELECT card_number FROM payments
-- @case write-031 | write
-- @expect block
-- @route refused
CREATE VIEW w1 AS SELECT card_number FROM payments
-- @case write-032 | write
-- @expect block
-- @route refused
CREATE TEMP VIEW w1 AS SELECT reverse(card_number) q FROM payments
-- @case write-033 | write
-- @expect block
-- @route refused
CREATE OR REPLACE VIEW v_rename AS SELECT id AS k, reverse(card_number) AS ref, amount FROM payments
-- @case write-034 | write
-- @expect block
-- @route refused
CREATE RECURSIVE VIEW rv(c) AS SELECT card_number FROM payments
-- @case write-035 | write
-- @expect block
-- @route refused
WITH x AS (SELECT card_number c FROM payments) INSERT INTO notes(body) SELECT c FROM x
-- @case write-036 | write
-- @expect block
-- @route refused
WITH x AS (INSERT INTO notes(body) SELECT card_number FROM payments RETURNING body) SELECT * FROM x
-- @case write-037 | write
-- @expect block
-- @route refused
UPDATE refunds SET amount = 1 WHERE id = 1 RETURNING (SELECT card_number FROM payments WHERE id = 2)
-- @case write-038 | write
-- @expect block
-- @route refused
UPDATE refunds SET amount = 1 FROM payments p WHERE p.id = refunds.id RETURNING p.card_number
-- @case write-039 | write
-- @expect block
-- @route refused
DELETE FROM refunds WHERE id = 77 RETURNING refunds
-- @case write-040 | write
-- @expect block
-- @route refused
EXPLAIN UPDATE payments SET status = card_number WHERE id = 1
-- @case write-041 | write
-- @expect block
-- @route refused
PREPARE z AS INSERT INTO notes(body) SELECT card_number FROM payments
EXECUTE z
-- @case write-042 | write
-- @expect block
-- @route refused
PREPARE z AS SELECT card_number FROM payments
CREATE TABLE t1 AS EXECUTE z
-- @case write-043 | write
-- @expect block
-- @route refused
PREPARE z AS SELECT card_number FROM payments
EXPLAIN ANALYZE EXECUTE z
-- @case func-001 | func
-- @expect block
-- @route refused
SELECT get_card(1)
-- @case func-002 | func
-- @expect block
-- @route refused
SELECT public.get_card(1)
-- @case func-003 | func
-- @expect block
-- @route refused
SELECT * FROM all_pay()
-- @case func-004 | func
-- @expect block
-- @route refused
SELECT (all_pay()).card_number
-- @case func-005 | func
-- @expect block
-- @route refused
SELECT name FROM customers WHERE name = get_card(1)
-- @case func-006 | func
-- @expect block
-- @route refused
SELECT name FROM customers ORDER BY get_card(id)
-- @case func-007 | func
-- @expect block
-- @route refused
INSERT INTO notes(body) VALUES (get_card(1))
-- @case func-008 | func
-- @expect block
-- @route refused
UPDATE customers SET email = get_card(1) WHERE id = 1
-- @case func-009 | func
-- @expect block
-- @route refused
SELECT noisy()
-- @case func-010 | func
-- @expect block
-- @route refused
SELECT * FROM run_sql('select 1')
-- @case func-011 | func
-- @expect block
-- @route refused
SELECT 'a' === 'b'
-- @case func-012 | func
-- @expect block
-- @route refused
SELECT 'a' OPERATOR(public.===) 'b'
-- @case func-013 | func
-- @expect block
-- @route refused
SELECT 1 WHERE 'a' = ANY (ARRAY(SELECT get_card(1)))
-- @case func-014 | func
-- @expect block
-- @route refused
CREATE TABLE t1(a text DEFAULT get_card(1))
-- @case func-015 | func
-- @expect block
-- @route refused
CREATE INDEX ON customers (get_card_imm(id))
-- @case func-016 | func
-- @expect block
-- @route refused
ALTER TABLE customers ADD COLUMN z text DEFAULT get_card(1)
-- @case func-017 | func
-- @expect block
-- @route refused
CALL pr('x')
-- @case func-018 | func
-- @expect block
-- @route refused
EXPLAIN ANALYZE SELECT get_card(1)
-- @case func-019 | func
-- @expect block
-- @route refused
SELECT c.get_card FROM customers c
-- @case func-020 | func
-- @expect block
-- @route refused
SELECT (c).get_card FROM customers c
-- @case func-021 | func
-- @expect block
-- @route refused
SELECT query_to_xml_and_xmlschema('select * from payments', true, false, '')
-- @case func-022 | func
-- @expect block
-- @route refused
SELECT table_to_xml('payments', true, false, '')
-- @case func-023 | func
-- @expect block
-- @route refused
SELECT schema_to_xml('public', true, false, '')
-- @case func-024 | func
-- @expect block
-- @route refused
SELECT database_to_xml(true, false, '')
-- @case func-025 | func
-- @expect block
-- @route refused
SELECT cursor_to_xml('c', 1, true, false, '')
-- @case func-026 | func
-- @expect block
-- @route refused
SELECT * FROM ts_stat('select to_tsvector(card_number) from payments')
-- @case func-027 | func
-- @expect block
-- @route refused
SELECT ts_rewrite('a'::tsquery, 'select card_number::tsquery, card_number::tsquery from payments')
-- @case func-028 | func
-- @expect block
-- @route refused
SELECT pg_read_file('/etc/passwd')
-- @case func-029 | func
-- @expect block
-- @route refused
SELECT pg_read_binary_file('base/1/1')
-- @case func-030 | func
-- @expect block
-- @route refused
SELECT lo_get(1)
-- @case func-031 | func
-- @expect block
-- @route refused
SELECT lo_from_bytea(0, card_number::bytea) FROM payments
-- @case func-032 | func
-- @expect block
-- @route refused
SELECT loread(lo_open(1, 262144), 10)
-- @case func-033 | func
-- @expect block
-- @route refused
SELECT * FROM pg_ls_dir('.')
-- @case func-034 | func
-- @expect block
-- @route refused
SELECT pg_catalog.query_to_xml('select card_number from payments', true, false, '')
-- @case func-035 | func
-- @expect block
-- @route refused
SELECT set_config('application_name', card_number, false) FROM payments WHERE id = 1
-- @case func-036 | func
-- @expect block
-- @route refused
SELECT set_config('search_path', 'pg_temp', false)
-- @case func-037 | func
-- @expect block
-- @route refused
SELECT set_config('standard_conforming_strings', 'off', false)
-- @case func-038 | func
-- @expect block
-- @route refused
SELECT set_config('ro' || 'le', 'postgres', false)
-- @case func-039 | func
-- @expect block
-- @route refused
SELECT pg_notify('c', card_number) FROM payments
-- @case func-040 | func
-- @expect block
-- @route refused
SELECT pg_notify(substr(card_number, 1, 16), '') FROM payments
-- @case func-041 | func
-- @expect block
-- @route refused
SELECT pg_advisory_lock(substr(card_number, 1, 16)::bigint) FROM payments WHERE id = 1
-- @case func-042 | func
-- @expect block
-- @route refused
SELECT setval('lseq', (SELECT substr(card_number, 7, 6)::bigint FROM payments WHERE id = 1))
-- @case func-043 | func
-- @expect block
-- @route refused
SELECT pg_sleep(1) FROM payments WHERE card_number LIKE '4539577%'
-- @case func-044 | func
-- @expect block
-- @route refused
SELECT setseed(substr(card_number, 7, 1)::float) FROM payments WHERE id = 1
-- @case func-045 | func
-- @expect block
-- @route refused
SELECT nextval('lseq') FROM payments WHERE card_number LIKE '4539577%'
-- @case func-046 | func
-- @expect block
-- @route refused
SELECT * FROM pg_stat_get_activity(NULL)
-- @case func-047 | func
-- @expect block
-- @route refused
SELECT heap_page_items(get_raw_page('payments', 0))
-- @case func-048 | func
-- @expect block
-- @route refused
SELECT xpath_table('id', 'card_number', 'payments', '/', 'true')
-- @case func-049 | func
-- @expect block
-- @route refused
SELECT * FROM crosstab('select 1, 2, card_number from payments') AS t(a int, b text)
-- @case catalog-001 | catalog
-- @expect block
-- @route refused
SELECT * FROM pg_stats
-- @case catalog-002 | catalog
-- @expect block
-- @route refused
SELECT most_common_vals::text FROM pg_stats WHERE tablename = 'payments'
-- @case catalog-003 | catalog
-- @expect block
-- @route refused
SELECT s.histogram_bounds FROM pg_catalog.pg_stats s
-- @case catalog-004 | catalog
-- @expect block
-- @route refused
SELECT to_jsonb(s) FROM pg_stats s
-- @case catalog-005 | catalog
-- @expect block
-- @route refused
SELECT stavalues1 FROM pg_statistic
-- @case catalog-006 | catalog
-- @expect block
-- @route refused
SELECT * FROM pg_statistic_ext_data
-- @case catalog-007 | catalog
-- @expect block
-- @route refused
SELECT reverse(pg_get_indexdef('pay_part_idx'::regclass))
-- @case catalog-008 | catalog
-- @expect block
-- @route refused
SELECT encode(pg_get_indexdef('pay_part_idx'::regclass)::bytea, 'hex')
-- @case catalog-009 | catalog
-- @expect block
-- @route refused
SELECT substr(indexdef, 60, 20) FROM pg_indexes
-- @case catalog-010 | catalog
-- @expect block
-- @route refused
SELECT 1 FROM pg_indexes WHERE indexdef LIKE '%4539577%'
-- @case catalog-011 | catalog
-- @expect block
-- @route refused
SELECT reverse(x) FROM (SELECT indexdef x FROM pg_indexes) s
-- @case catalog-012 | catalog
-- @expect block
-- @route refused
SELECT md5(query) FROM pg_stat_activity
-- @case catalog-013 | catalog
-- @expect block
-- @route refused
SELECT string_to_array(query, NULL) FROM pg_stat_activity
-- @case catalog-014 | catalog
-- @expect block
-- @route refused
SELECT split_part(pg_get_viewdef('v_expr'::regclass), 'a', 2)
-- @case catalog-015 | catalog
-- @expect block
-- @route refused
SELECT to_json(a) FROM pg_stat_activity a
-- @case catalog-016 | catalog
-- @expect block
-- @route refused
SELECT reverse(prosrc) FROM pg_proc
-- @case catalog-017 | catalog
-- @expect block
-- @route refused
SELECT substr(pg_get_expr(indpred, indrelid), 1, 30) FROM pg_index
-- @case catalog-018 | catalog
-- @expect block
-- @route refused
SELECT length(pg_get_functiondef(1))
-- @case catalog-019 | catalog
-- @expect block
-- @route refused
SELECT left(view_definition, 10) FROM information_schema.views
-- @case catalog-020 | catalog
-- @expect block
-- @route refused
SELECT * FROM pg_toast.pg_toast_16400
-- @case catalog-021 | catalog
-- @expect block
-- @route refused
SELECT data FROM pg_largeobject
-- @case catalog-022 | catalog
-- @expect block
-- @route refused
SELECT upper(definition) FROM pg_views
-- @case catalog-023 | catalog
-- @expect mask|block
-- @route as_is
SELECT indexdef FROM pg_indexes WHERE tablename = 'payments'
-- @case catalog-024 | catalog
-- @expect mask|block
-- @route as_is
SELECT pid, state, query FROM pg_stat_activity
-- @case catalog-025 | catalog
-- @expect mask|block
-- @route as_is
SELECT pg_get_viewdef('v_expr'::regclass)
-- @case catalog-026 | catalog
-- @expect allow
-- @route as_is
SELECT relname, relkind FROM pg_class WHERE relname = 'payments'
-- @case catalog-027 | catalog
-- @expect allow
-- @route as_is
SELECT null_frac, n_distinct FROM pg_stats WHERE tablename = 'customers'
-- @case catalog-028 | catalog
-- @expect allow
-- @route as_is
SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'payments'
-- @case catalog-029 | catalog
-- @expect allow
-- @route as_is
SELECT attname FROM pg_attribute WHERE attrelid = 'payments'::regclass AND attnum > 0
-- @case state-001 | state
-- @expect block
-- @route refused
DO $$ BEGIN PERFORM 1; END $$
-- @case state-002 | state
-- @expect block
-- @route refused
CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'select card_number from payments limit 1'
-- @case state-003 | state
-- @expect block
-- @route refused
CREATE OR REPLACE FUNCTION fee(int) RETURNS text LANGUAGE sql AS 'select card_number from payments limit 1'
-- @case state-004 | state
-- @expect block
-- @route refused
CREATE PROCEDURE p() LANGUAGE sql AS 'select 1'
-- @case state-005 | state
-- @expect block
-- @route refused
CREATE TRIGGER t AFTER INSERT ON notes FOR EACH ROW EXECUTE FUNCTION trg()
-- @case state-006 | state
-- @expect block
-- @route refused
CREATE RULE r AS ON UPDATE TO notes DO ALSO SELECT card_number FROM payments
-- @case state-007 | state
-- @expect block
-- @route refused
CREATE AGGREGATE a(int) (sfunc = get_card_imm, stype = text)
-- @case state-008 | state
-- @expect block
-- @route refused
CREATE OPERATOR public.== (leftarg = text, rightarg = text, function = leakop)
-- @case state-009 | state
-- @expect block
-- @route refused
CREATE CAST (text AS int) WITH INOUT
-- @case state-010 | state
-- @expect block
-- @route refused
CREATE PUBLICATION p FOR TABLE payments
-- @case state-011 | state
-- @expect block
-- @route refused
CREATE SCHEMA s CREATE TABLE t(a int) CREATE VIEW v AS SELECT card_number FROM public.payments
-- @case state-012 | state
-- @expect block
-- @route refused
CREATE SCHEMA s CREATE TABLE t(a int) CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION trg()
-- @case state-013 | state
-- @expect block
-- @route refused
ALTER TABLE payments RENAME TO other
-- @case state-014 | state
-- @expect block
-- @route refused
ALTER TABLE payments RENAME COLUMN cvv TO x
-- @case state-015 | state
-- @expect block
-- @route refused
ALTER VIEW v_rename RENAME TO x
-- @case state-016 | state
-- @expect block
-- @route refused
ALTER TABLE payments SET SCHEMA pg_temp
-- @case state-017 | state
-- @expect block
-- @route refused
ALTER SCHEMA public RENAME TO other
-- @case state-018 | state
-- @expect block
-- @route refused
ALTER FUNCTION get_card(int) RENAME TO fee2
-- @case state-019 | state
-- @expect block
-- @route refused
ALTER TABLE payments ALTER COLUMN card_number TYPE text USING reverse(card_number)
-- @case state-020 | state
-- @expect block
-- @route refused
ALTER TABLE payments ADD COLUMN z text GENERATED ALWAYS AS (reverse(card_number)) STORED
-- @case state-021 | state
-- @expect block
-- @route refused
ALTER TABLE payments ADD CHECK (card_number LIKE '4539577%')
-- @case state-022 | state
-- @expect block
-- @route refused
ALTER TABLE payments ADD FOREIGN KEY (card_number) REFERENCES notes(body)
-- @case state-023 | state
-- @expect block
-- @route refused
ALTER TABLE notes INHERIT payments
-- @case state-024 | state
-- @expect block
-- @route refused
CREATE INDEX ON payments (reverse(card_number))
-- @case state-025 | state
-- @expect block
-- @route refused
CREATE INDEX ON payments (id) WHERE card_number LIKE '4539577%'
-- @case state-026 | state
-- @expect block
-- @route refused
CREATE UNIQUE INDEX ON payments (cvv)
-- @case state-027 | state
-- @expect block
-- @route refused
CREATE STATISTICS s ON card_number, cvv FROM payments
-- @case state-028 | state
-- @expect block
-- @route refused
CREATE POLICY p ON payments USING (card_number LIKE '4%')
-- @case state-029 | state
-- @expect block
-- @route refused
SET standard_conforming_strings = off
-- @case state-030 | state
-- @expect block
-- @route refused
SET LOCAL standard_conforming_strings TO 'off'
-- @case state-031 | state
-- @expect block
-- @route refused
SET client_encoding TO 'SJIS'
-- @case state-032 | state
-- @expect block
-- @route refused
SET NAMES 'GBK'
-- @case state-033 | state
-- @expect block
-- @route refused
SET search_path TO pg_temp, public
-- @case state-034 | state
-- @expect block
-- @route refused
SET ROLE postgres
-- @case state-035 | state
-- @expect block
-- @route refused
SET SESSION AUTHORIZATION postgres
-- @case state-036 | state
-- @expect block
-- @route refused
RESET SESSION AUTHORIZATION
-- @case state-037 | state
-- @expect block
-- @route refused
SET session_replication_role = replica
-- @case state-038 | state
-- @expect block
-- @route refused
SET debug_print_plan = on
-- @case state-039 | state
-- @expect block
-- @route refused
SET client_min_messages = 'log'
-- @case state-040 | state
-- @expect block
-- @route refused
SET client_min_messages = DEBUG5
-- @case state-041 | state
-- @expect block
-- @route refused
SET log_statement = 'all'
-- @case state-042 | state
-- @expect block
-- @route refused
SELECT 1; SET search_path = pg_temp
-- @case names-001 | names
-- @expect mask
-- @route rewritten
DECLARE c CURSOR WITH HOLD FOR SELECT card_number FROM payments ORDER BY id
FETCH 2 FROM c
FETCH ALL IN c
CLOSE c
-- @case names-002 | names
-- @expect mask
-- @route rewritten
PREPARE q(int) AS SELECT card_number, reverse(card_number) FROM payments WHERE id = $1
EXECUTE q(1)
DEALLOCATE q
-- @case names-003 | names
-- @expect mask
-- @route rewritten
PREPARE q AS SELECT card_number FROM payments; EXECUTE q; EXECUTE q; DEALLOCATE ALL
-- @case names-004 | names
-- @expect block
-- @route refused
EXECUTE nobody
-- @case names-005 | names
-- @expect block
-- @route refused
FETCH ALL FROM nobody
-- @case names-006 | names
-- @expect block
-- @route refused
SELECT cur(); FETCH ALL FROM pcur
-- @case names-007 | names
-- @expect block
-- @route refused
PREPARE q AS SELECT get_card(1)
EXECUTE q
-- @case copy-001 | copy
-- @expect mask|block
-- @route rewritten
COPY payments TO STDOUT
-- @case copy-002 | copy
-- @expect mask|block
-- @route rewritten
COPY payments (card_number) TO STDOUT WITH (FORMAT csv, HEADER)
-- @case copy-003 | copy
-- @expect mask|block
-- @route rewritten
COPY (SELECT reverse(card_number) FROM payments) TO STDOUT
-- @case copy-004 | copy
-- @expect mask|block
-- @route rewritten
COPY (TABLE payments) TO STDOUT
-- @case copy-005 | copy
-- @expect mask|block
-- @route rewritten
COPY refunds TO STDOUT (DELIMITER '|')
-- @case copy-006 | copy
-- @expect mask|block
-- @route rewritten
COPY payments_2024 TO STDOUT
-- @case copy-007 | copy
-- @expect mask|block
-- @route rewritten
COPY (DELETE FROM refunds WHERE id = 1 RETURNING card_number) TO STDOUT
-- @case copy-008 | copy
-- @expect allow
-- @route by_origin
COPY payments (id, amount) TO STDOUT
-- @case copy-009 | copy
-- @expect allow
-- @route as_is
COPY customers TO STDOUT
-- @case allow-001 | allow
-- @expect allow
-- @route as_is
SELECT id, name FROM customers ORDER BY id
-- @case allow-002 | allow
-- @expect allow
-- @route as_is
SELECT count(*) FROM customers
-- @case allow-003 | allow
-- @expect allow
-- @route as_is
INSERT INTO notes(body) VALUES ('hello')
-- @case allow-004 | allow
-- @expect allow
-- @route as_is
UPDATE customers SET score = score + 1 WHERE id = 1
-- @case allow-005 | allow
-- @expect allow
-- @route as_is
DELETE FROM notes WHERE id = 12345
-- @case allow-006 | allow
-- @expect allow
-- @route as_is
SELECT now() IS NOT NULL, 1 + 1, 'a' || 'b'
-- @case allow-007 | allow
-- @expect allow
-- @route as_is
SELECT c.id, c.name FROM customers c WHERE c.score = 0 ORDER BY c.id FOR UPDATE
-- @case allow-008 | allow
-- @expect allow
-- @route as_is
BEGIN; SELECT 1; COMMIT
-- @case allow-009 | allow
-- @expect allow
-- @route as_is
SET application_name = 'x'
-- @case allow-010 | allow
-- @expect allow
-- @route as_is
SHOW server_version
-- @case allow-011 | allow
-- @expect allow
-- @route as_is
SELECT generate_series(1, 3)
-- @case allow-012 | allow
-- @expect allow
-- @route as_is
WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT sum(n) FROM t
-- @case allow-013 | allow
-- @expect allow
-- @route as_is
CREATE TEMP TABLE tt(a int); INSERT INTO tt VALUES (1); SELECT a FROM tt
-- @case allow-014 | allow
-- @expect allow
-- @route as_is
SELECT * FROM (VALUES (1, 'a'), (2, 'b')) v(x, y)
-- @case allow-015 | allow
-- @expect allow
-- @route as_is
SELECT body FROM notes WHERE id = 2
-- @case allow-016 | allow
-- @expect allow
-- @route as_is
PREPARE ok AS SELECT 1; EXECUTE ok; DEALLOCATE ok
-- @case allow-017 | allow
-- @expect allow
-- @route as_is
EXPLAIN SELECT * FROM customers WHERE id = 1
-- @case allow-018 | allow
-- @expect allow
-- @route by_origin
SELECT id, cardholder, amount FROM payments WHERE status = 'ok' ORDER BY id
-- @case allow-019 | allow
-- @expect allow
-- @route by_origin
SELECT customer_id, sum(amount) FROM payments GROUP BY customer_id ORDER BY 1
-- @case allow-020 | allow
-- @expect allow
-- @route by_origin
SELECT p.id, p.cardholder, count(*) FROM payments p GROUP BY p.id ORDER BY 1
-- @case allow-021 | allow
-- @expect allow
-- @route by_origin
UPDATE payments SET status = 'done' WHERE id = 1
-- @case allow-022 | allow
-- @expect allow
-- @route by_origin
UPDATE payments SET status = 'late' FROM customers c WHERE c.id = customer_id AND c.name = 'Ann'
-- @case allow-023 | allow
-- @expect allow
-- @route by_origin
DELETE FROM payments WHERE id = 4
-- @case allow-024 | allow
-- @expect allow
-- @route by_origin
INSERT INTO payments(id, customer_id, card_number, cardholder) VALUES (20, 1, '4000056509885780', 'Z')
-- @case allow-025 | allow
-- @expect allow
-- @route by_origin
INSERT INTO refunds VALUES (30, NULL, 1) ON CONFLICT (id) DO NOTHING
-- @case allow-026 | allow
-- @expect allow
-- @route by_origin
INSERT INTO notes(body) SELECT cardholder FROM payments WHERE id = 1
-- @case allow-027 | allow
-- @expect allow
-- @route by_origin
SELECT id FROM payments ORDER BY id FOR UPDATE
-- @case allow-028 | allow
-- @expect allow
-- @route by_origin
SELECT 1 FROM payments WHERE id = 1 AND ctid IS NOT NULL
-- @case allow-029 | allow
-- @expect allow
-- @route by_origin
SELECT count(*) FROM payments
-- @case allow-030 | allow
-- @expect allow
-- @route by_origin
SELECT EXISTS (SELECT 1 FROM payments WHERE id = 1)
-- @case allow-031 | allow
-- @expect allow
-- @route by_origin
EXPLAIN (COSTS OFF) SELECT id FROM payments WHERE id = 1
-- @case allow-032 | allow
-- @expect allow
-- @route by_origin
SELECT tableoid::regclass, id FROM payments ORDER BY id
-- @case allow-033 | allow
-- @expect allow
-- @route by_origin
MERGE INTO payments p USING customers c ON p.id = c.id WHEN MATCHED THEN UPDATE SET status = 'm'
-- @case allow-034 | allow
-- @expect allow
-- @route by_origin
SELECT id FROM payments TABLESAMPLE BERNOULLI (100) ORDER BY id
