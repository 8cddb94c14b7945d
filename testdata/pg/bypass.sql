-- Attempts to get a card number, or a recoverable form of one, through a gateway that masks; and what must stay as it is.
-- tests/kit/pg_cases.py reads this file, tests/test_pg_bypass.py runs it. A statement that once got through stays here.
--
--   -- @schema ... -- @end      loaded by a superuser into an empty database; role "app" is the gateway's login
--   -- @case ID | category | title
--   -- @expect  mask        succeeds with as many rows as direct, and no number and no verification code leaves
--               block       refused by the gate itself (an ErrorResponse without the server's source routine), no effect
--               mask|block  either; no number leaves
--               infer       the answers in two worlds that differ in hidden digits only are the same, within one second
--               allow       byte for byte what the server answers directly, with the same effect
--   -- @mode    simple (sent as simple query, extended with text results, extended with binary results), simple-only, extbin,
--               raw and startup (the @msg lines are what is sent)
--   -- @direct SQL   first, by a superuser      -- @world NUMBER  infer: payments row 1 in the second world
--   -- @false SQL    infer: the guess that is wrong     -- @rows N  so many rows     -- @unchanged  no effect
--   -- @msg     one protocol message: startup k=v | k=v; Q, Qnowait, Qraw text; P name | text; B portal | name | formats |
--               values; D S/P name; E portal | rows; C S/P name; F function(types) | values; H S d c f X; wait; segment N;
--               cancel wrong/zero; sslbuf.  \xNN, \0, \\ and {N*text} are escapes
--   Statements of a case go in order over one connection. The laboratory is put back when a case changed it.
--
-- The caller is an analyst: SELECT, INSERT, UPDATE and DELETE with a key, COPY FROM STDIN and at most 1000 rows are allowed;
-- card_number and cvv of payments, its child, its partition twin, refunds and dropcol are classified; notes and ledger are
-- not, only a look at the content protects those.

-- @schema ... -- @end      run once, DIRECT to PostgreSQL as superuser, in an empty database; role "app" must exist
--   -- @case ID | category | title
--   -- @expect  mask | block | mask|block | infer | allow
--        mask   : the statement must succeed through the gateway, with the row count of a direct run, AND no PAN and no
--                 verification code leaves (usability: it may not be blocked)
--        block  : the gateway must answer ErrorResponse (its own, without the server's source routine field R), the
--                 statement must not take effect
--        mask|block : either is sound; a raw PAN (or its recoverable encoding) must not leave
--        infer  : oracle. Sound = refuse, or evaluate on masked values. Test: the answers in two worlds that differ only in
--                 the hidden digits of payments row 1 (or for a TRUE and a FALSE guess) must be indistinguishable: same
--                 rows, tag, error, and time within 1 s
--        allow  : negative control, must pass byte-identical to direct, with the same effect
--   -- @mode simple|ext|extbin|raw|startup|fnmsg   (default simple; ext = Parse/Bind/Execute, then again without Describe;
--                                                    extbin = binary results; the other three are told by @msg lines)
--   -- @direct SQL      executed first, as superuser, direct (attacker-prepared or changed server objects)
--   -- @world PAN       infer: the second world, row 1 has this number      -- @false SQL   infer: the FALSE form of the statement
--   -- @rows N          exactly N DataRows      -- @unchanged   the database must not change
--   -- @msg OP ...      protocol messages in order: startup k=v | k=v; Q sql; Qnowait sql; Qraw body; P name | sql;
--                       B portal | stmt | result formats | parameters; D S/P name; E portal | max rows; F function(args) | arg..;
--                       H; S; wait; d data; c; f text; X; segment N (bytes per TCP segment); cancel wrong/zero; sslbuf
--                       (escapes: backslash xNN, backslash 0, {N*text} repeats)
--   -- @layer   which layer catches it: OID (RowDescription tableOID/attnum of a base table), VIEWOID (needs view/matview
--              expansion), LINEAGE (column lineage from AST + catalog), STMT (statement class/function denylist),
--              SCAN (PAN content scan of every value), TAINT (data laundering: block the write), PRIV (upstream GRANTs),
--              PROTO (protocol state), ERR (E/N/S/A message filter), LEX (lexer parity with the server)
--   Statements of one case up to the next "-- @" are sent in order on ONE connection, one message per line.
--   A case ends with the connection; the laboratory is restored when a case changed it.
--
-- LEAK ORACLE. The PANs below have unique middle digits. For every server->client byte of a session, per field and also over
-- the concatenation of all fields of a result in row order and in column order, a leak is: the whole middle (digits 7..n-4) of a
-- PAN, or >= 8 consecutive PAN digits with at least one middle digit, found after ANY of these decodings: as-is; digits only
-- (separators dropped); reversed; hex; base64; bytea \x hex; int8 / numeric binary; UTF-16; full-width digits; decimal bytes;
-- one character per row or per column; a->j letters; PAN +- small constant or negated; or an unkeyed md5/sha* of a PAN.
-- PANs: 4539577986432614 5425236224375523 374245984140151 6011009655655087 30569393536709 4000056509885772
--       6759647646509708412(19) 2223003921254562
--
-- Policy under test (the caller is an analyst): payments.{card_number,cvv}, payments_2024.{card_number,cvv},
-- refunds.card_number, payments_part.card_number, payments_eu.card_number, dropcol.card_number = sensitive columns (card_number:
-- at most first 6 / last 4; cvv: never); notes.* and ledger.* are NOT classified (only the content scan protects them).
-- DROP / TRUNCATE / DELETE or UPDATE without restricting WHERE / writing a sensitive column in an existing row / DDL / DCL /
-- COPY file or program / DO / CALL / CREATE FUNCTION / SET of a security-relevant parameter = block. SELECT, INSERT, UPDATE and
-- DELETE with a key predicate, COPY FROM STDIN = allow. Row limit 1000. Unparseable = block.

-- @schema
DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public; GRANT ALL ON SCHEMA public TO PUBLIC;
CREATE TABLE customers(id int PRIMARY KEY, name text, email text, score int DEFAULT 0);
CREATE TABLE payments(id int PRIMARY KEY, customer_id int REFERENCES customers, card_number text NOT NULL UNIQUE CHECK (card_number ~ '^[0-9]{13,19}$'), cardholder text NOT NULL, cvv text, expiry text, amount numeric(12,2), status text, meta jsonb, created_at timestamptz DEFAULT '2026-01-01');
CREATE TABLE refunds(id int PRIMARY KEY, card_number text REFERENCES payments(card_number), amount numeric(12,2));
CREATE TABLE notes(id serial PRIMARY KEY, body text, raw bytea, tags text[], doc jsonb);
CREATE TABLE ledger(id bigint, pan bigint, n numeric);
CREATE TABLE payments_part(id int, card_number text, region text) PARTITION BY LIST (region);
CREATE TABLE payments_eu PARTITION OF payments_part FOR VALUES IN ('eu');
CREATE TABLE payments_2024(extra1 int, extra2 int) INHERITS (payments);
CREATE TABLE dropcol(a int, b int, card_number text); ALTER TABLE dropcol DROP COLUMN a;
INSERT INTO customers VALUES (1,'Ann','ann@x.test'),(2,'Bob','bob@x.test'),(3,'Cyd','cyd@x.test');
INSERT INTO payments(id,customer_id,card_number,cardholder,cvv,expiry,amount,status,meta) VALUES (1,1,'4539577986432614','Ann A','111','12/29',10.00,'ok','{"k":1}'),(2,2,'5425236224375523','Bob B','222','01/30',20.00,'ok','{"pan":"5425 2362 2437 5523"}'),(3,3,'374245984140151','Cyd C','3333','02/30',30.00,'fail','{}'),(4,1,'6011009655655087','Ann A','444','03/31',40.00,'ok','{}'),(5,2,'30569393536709','Bob B','555','04/31',50.00,'ok','{}'),(6,3,'4000056509885772','Cyd C','666','05/31',60.00,'ok','{}'),(7,1,'6759647646509708412','Ann A','777','06/31',70.00,'ok','{}');
INSERT INTO payments_2024(id,customer_id,card_number,cardholder,cvv,expiry,amount,status,meta) VALUES (8,2,'2223003921254562','Bob B','888','07/31',80.00,'ok','{}');
INSERT INTO refunds VALUES (1,'4539577986432614',5.00);
INSERT INTO payments_part VALUES (1,'4539577986432614','eu');
INSERT INTO dropcol VALUES (1,'4539577986432614');
INSERT INTO notes(body,raw,tags,doc) VALUES ('called about card 4539 5779 8643 2614 today','\x34353339353737393836343332363134',ARRAY['vip','5425-2362-2437-5523'],'{"card":{"n":"374245984140151"}}'),('order 9120457731180047 is not a luhn-valid PAN',NULL,'{}','{}');
INSERT INTO ledger VALUES (1,4539577986432614,4539577986432614);
CREATE VIEW v_rename AS SELECT id AS k, card_number AS ref, amount FROM payments;
CREATE VIEW v_expr AS SELECT id, 'ref:'||reverse(card_number) AS r FROM payments;
CREATE MATERIALIZED VIEW mv_pay AS SELECT id, card_number AS c FROM payments;
CREATE FUNCTION get_card(i int) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS $$SELECT card_number FROM public.payments WHERE id=i$$;
CREATE FUNCTION get_card_imm(i int) RETURNS text LANGUAGE plpgsql IMMUTABLE SECURITY DEFINER AS $$BEGIN RETURN (SELECT card_number FROM public.payments WHERE id=i); END$$;
CREATE FUNCTION all_pay() RETURNS SETOF payments LANGUAGE sql STABLE AS $$SELECT * FROM public.payments$$;
CREATE FUNCTION run_sql(q text) RETURNS SETOF text LANGUAGE plpgsql AS $$BEGIN RETURN QUERY EXECUTE q; END$$;
CREATE FUNCTION noisy() RETURNS void LANGUAGE plpgsql AS $$DECLARE r record; BEGIN FOR r IN SELECT * FROM public.payments LOOP RAISE NOTICE 'row %', r; END LOOP; END$$;
CREATE FUNCTION cur() RETURNS refcursor LANGUAGE plpgsql AS $$DECLARE c refcursor := 'pcur'; BEGIN OPEN c FOR SELECT card_number FROM public.payments; RETURN c; END$$;
CREATE PROCEDURE pr(INOUT x text) LANGUAGE plpgsql AS $$BEGIN SELECT card_number INTO x FROM public.payments WHERE id=1; END$$;
CREATE FUNCTION leakop(text,text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'saw %', $1; RETURN true; END$$;
CREATE OPERATOR public.=== (LEFTARG=text, RIGHTARG=text, FUNCTION=leakop);
CREATE FUNCTION trg() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'new %', NEW; RETURN NEW; END$$;
CREATE TRIGGER t_cust BEFORE UPDATE ON refunds FOR EACH ROW EXECUTE FUNCTION trg();
CREATE SEQUENCE lseq;
CREATE INDEX pay_part_idx ON payments(id) WHERE card_number = '4539577986432614';
GRANT ALL ON ALL TABLES IN SCHEMA public TO app; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app;
ALTER TABLE notes OWNER TO app; ALTER TABLE ledger OWNER TO app;
ANALYZE;
-- @end

-- A. plain references: must be MASKED, not blocked
-- @case A07 | plain | CTE with column aliases
-- @expect mask
-- @layer OID
WITH t(a,b) AS (SELECT id, card_number FROM payments) SELECT b FROM t
-- @case A09 | plain | LATERAL
-- @expect mask
-- @layer OID
SELECT l.z FROM customers c, LATERAL (SELECT card_number z FROM payments p WHERE p.customer_id=c.id) l
-- @case A11 | plain | FULL JOIN USING (COALESCE expression: no origin)
-- @expect mask|block
-- @layer LINEAGE,SCAN
SELECT card_number FROM payments FULL JOIN refunds USING (card_number)
-- @case A15 | plain | view that renames the column
-- @expect mask
-- @layer VIEWOID
SELECT ref FROM v_rename
-- @case A16 | plain | view with expression over the column
-- @expect mask|block
-- @layer VIEWOID,LINEAGE
SELECT r FROM v_expr
-- @case A20 | plain | inheritance child: own OID, own attnum
-- @expect mask
-- @layer OID
SELECT card_number FROM ONLY payments_2024
-- @case A22 | plain | attnum with a dropped column before it
-- @expect mask
-- @layer OID
SELECT card_number FROM dropcol
-- @case A24 | plain | whole-row then field selection
-- @expect mask|block
-- @layer LINEAGE,SCAN
SELECT (p).card_number, (p).cvv FROM (SELECT payments AS p FROM payments) s
-- @case A25 | plain | functional notation card_number(p)
-- @expect mask|block
-- @layer LINEAGE
SELECT card_number(p), p.card_number FROM payments p
-- @case A27 | plain | nested comment hides nothing
-- @expect mask
-- @layer OID
SELECT card_number /* outer /* inner */ FROM customers */ FROM payments

-- B. expressions over a sensitive column
-- @case B03 | expr | left+right halves in two columns
-- @expect mask|block
-- @layer LINEAGE
SELECT left(card_number,8), right(card_number,-8) FROM payments
-- @case B04 | expr | reversed
-- @expect mask|block
-- @layer LINEAGE
SELECT reverse(card_number) FROM payments
-- @case B08 | expr | bigint cast
-- @expect mask|block
-- @layer LINEAGE,SCAN
SELECT card_number::numeric FROM payments
-- @case B10 | expr | negative / float formatting
-- @expect mask|block
-- @layer LINEAGE
SELECT -(card_number::numeric), (card_number::numeric/10)::text FROM payments
-- @case B12 | expr | numeric in binary format (base-10000 digits)
-- @mode extbin
-- @expect mask|block
-- @layer LINEAGE
SELECT card_number::numeric FROM payments
-- @case B15 | expr | spaced out one character at a time
-- @expect mask|block
-- @layer LINEAGE,SCAN
SELECT regexp_replace(card_number,'(.)','\1 . ','g') FROM payments
-- @case B18 | expr | unkeyed hash (PCI DSS 3.5.1: brute-forceable)
-- @expect mask|block
-- @layer LINEAGE
SELECT md5(card_number), sha256(card_number::bytea) FROM payments
-- @case B23 | expr | window lag/first_value
-- @expect mask|block
-- @layer LINEAGE,SCAN
SELECT lag(card_number) OVER (ORDER BY id), first_value(card_number) OVER () FROM payments
-- @case B26 | expr | text search vector
-- @expect mask|block
-- @layer LINEAGE,SCAN
SELECT to_tsvector('simple', card_number) FROM payments
-- @case B27 | expr | bit string / xor with a known key
-- @expect mask|block
-- @layer LINEAGE
SELECT (substr(card_number,1,16)::bigint # 1234567890123) FROM payments WHERE id=1

-- C. aggregates, rows, json, xml
-- @case C01 | agg | string_agg
-- @expect mask|block
-- @layer LINEAGE,SCAN
SELECT string_agg(card_number, ',') FROM payments
-- @case C02 | agg | array_agg / min / max / mode
-- @expect mask|block
-- @layer LINEAGE,SCAN
SELECT array_agg(card_number), min(card_number), max(card_number), mode() WITHIN GROUP (ORDER BY card_number) FROM payments
-- @case C03 | agg | digits-only sum reveals one row
-- @expect mask|block
-- @layer LINEAGE
SELECT sum(substr(card_number,7,6)::int) FROM payments WHERE id=1
-- @case C04 | agg | percentile_disc
-- @expect mask|block
-- @layer LINEAGE,SCAN
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY card_number) FROM payments
-- @case C05 | agg | GROUP BY the column
-- @expect mask
-- @layer OID
SELECT card_number, count(*) FROM payments GROUP BY card_number
-- @case C09 | json | jsonb_each_text over the row
-- @expect mask|block
-- @layer LINEAGE,SCAN
SELECT e.key, e.value FROM payments p, jsonb_each_text(to_jsonb(p)) e
-- @case C11 | xml | query_to_xml: dynamic SQL inside a built-in, text literal only
-- @expect block
-- @layer STMT
SELECT query_to_xml('select card_number from payments', true, false, '')

-- D. DML, COPY, cursors, prepared statements
-- @case D05 | dml | ON CONFLICT DO UPDATE ... RETURNING
-- @expect mask
-- @layer OID
INSERT INTO payments(id,customer_id,card_number,cardholder) VALUES (1,1,'4539577986432614','Ann A') ON CONFLICT (id) DO UPDATE SET status='ok' RETURNING card_number
-- @case D06 | copy | COPY table TO STDOUT
-- @expect mask|block
-- @layer STMT,SCAN
COPY payments TO STDOUT
-- @case D14 | cursor | DECLARE / FETCH
-- @expect mask|block
-- @layer OID,PROTO
BEGIN; DECLARE c1 CURSOR FOR SELECT card_number FROM payments; FETCH ALL FROM c1; ROLLBACK
-- @case D16 | cursor | WITH HOLD cursor survives, FETCH later without table name in the text
-- @expect mask|block
-- @layer PROTO,LINEAGE
DECLARE c3 CURSOR WITH HOLD FOR SELECT reverse(card_number) FROM payments
FETCH 3 FROM c3
CLOSE c3
-- @case D17 | cursor | refcursor from a function
-- @expect mask|block
-- @layer STMT,OID
BEGIN; SELECT cur(); FETCH ALL FROM pcur; ROLLBACK
-- @case D19 | prep | protocol-level Parse "s1", then SQL  EXECUTE s1
-- @mode raw
-- @expect mask|block
-- @layer PROTO,LINEAGE
-- @msg P s1 | SELECT reverse(card_number) FROM payments
-- @msg S
-- @msg Q EXECUTE s1
-- @case D20 | prep | SQL PREPARE s2, then protocol-level Bind to "s2"
-- @mode raw
-- @expect mask|block
-- @layer PROTO,LINEAGE
-- @msg Q PREPARE s2 AS SELECT reverse(card_number) FROM payments
-- @msg B  | s2
-- @msg D P
-- @msg E
-- @msg S
-- @case D25 | merge | MERGE with DELETE branch
-- @expect block
-- @layer STMT
MERGE INTO payments p USING customers c ON p.customer_id=c.id WHEN MATCHED THEN DELETE

-- E. laundering (copy out of the classified column, read elsewhere)
-- @case E03 | launder | UPDATE ... FROM into an unclassified column
-- @expect block
-- @layer TAINT
UPDATE customers SET email = reverse(p.card_number) FROM payments p WHERE p.customer_id=customers.id AND customers.id=1
-- @case E05 | launder | sequence value
-- @expect block
-- @layer STMT,LINEAGE
SELECT setval('lseq', (SELECT substr(card_number,1,16)::bigint FROM payments WHERE id=1)) IS NULL
SELECT last_value - 7 FROM lseq
-- @case E10 | launder | column NAME built from data (RowDescription field names)
-- @expect block
-- @layer STMT,SCAN
DO $$ BEGIN EXECUTE format('CREATE TEMP TABLE tn AS SELECT 1 AS %I', (SELECT 'c'||card_number FROM public.payments WHERE id=1)); END $$
SELECT * FROM tn
-- @case E11 | launder | view created by the user over the column
-- @expect block
-- @layer STMT,TAINT
CREATE VIEW public.vx AS SELECT reverse(card_number) q FROM payments
-- @case E12 | launder | rename the column, then read the new name (stale catalog cache)
-- @direct ALTER TABLE payments RENAME COLUMN cvv TO harmless
-- @expect mask
-- @layer OID
SELECT harmless FROM payments

-- F. errors, notices and other side-channel messages
-- @case F03 | err | date / uuid / inet / json parse errors (json echoes in CONTEXT)
-- @expect block
-- @layer ERR,LINEAGE
SELECT ('x'||card_number)::json FROM payments
-- @case F06 | err | UNIQUE violation: value comes from another row
-- @expect mask|block
-- @layer ERR
UPDATE payments SET card_number=(SELECT card_number FROM payments WHERE id=2) WHERE id=1
-- @case F07 | err | FK violation on delete prints the key
-- @expect mask|block
-- @layer ERR
DELETE FROM payments WHERE id=1
-- @case F08 | err | partition routing failure prints the key
-- @expect mask|block
-- @layer ERR,TAINT
INSERT INTO payments_part SELECT id, 'z', card_number FROM payments WHERE id=1
-- @case F13 | err | EXPLAIN folds an IMMUTABLE function to the literal
-- @expect block
-- @layer STMT,ERR,SCAN
EXPLAIN SELECT * FROM customers WHERE name = get_card_imm(1)
-- @case F17 | err | array subscript / regexp error echo: invalid regular expression
-- @expect block
-- @layer ERR,LINEAGE
SELECT 'a' ~ ('(' || card_number) FROM payments WHERE id=1
-- @case F20 | err | generate NOTICE by CONTEXT of a failing function
-- @expect block
-- @layer ERR,STMT
SELECT * FROM run_sql('select (card_number||''q'')::int::text from payments')

-- G. catalogs, statistics, server files
-- @case G01 | cat | planner statistics hold real values
-- @expect mask|block
-- @layer STMT,SCAN
SELECT attname, most_common_vals, histogram_bounds FROM pg_stats WHERE tablename='payments'
-- @case G04 | cat | other sessions' literals in pg_stat_activity
-- @expect mask|block
-- @layer SCAN
SELECT query FROM pg_stat_activity
-- @case G10 | cat | dblink/postgres_fdw to self
-- @expect block
-- @layer STMT
SELECT * FROM dblink('host=127.0.0.1','select reverse(card_number) from payments') AS t(x text)
-- @case G11 | cat | lo_export / lo_import
-- @expect block
-- @layer STMT,PRIV
SELECT lo_import('/etc/passwd')

-- H. predicate / ordering / timing oracles
-- @case H01 | oracle | prefix LIKE
-- @expect infer
-- @layer LINEAGE
-- @world 4539572130492614
SELECT id FROM payments WHERE card_number LIKE '4539577%'
-- @case H06 | oracle | rank / ntile / width_bucket
-- @expect infer
-- @layer LINEAGE
-- @world 4539572130492614
SELECT id, rank() OVER (ORDER BY substr(card_number,7,1)) FROM payments
-- @case H07 | oracle | timing
-- @expect infer
-- @layer LINEAGE,STMT
-- @world 4539572130492614
SELECT CASE WHEN substr(card_number,7,1)='7' THEN pg_sleep(2) END FROM payments WHERE id=1
-- @case H11 | oracle | planner estimates in EXPLAIN
-- @expect infer
-- @layer LINEAGE,STMT
-- @world 4539572130492614
EXPLAIN SELECT 1 FROM payments WHERE card_number > '4539577'
-- @case H14 | oracle | LIMIT/OFFSET computed from the value
-- @expect infer
-- @layer LINEAGE
-- @world 4539572130492614
SELECT 1 FROM generate_series(1,10) LIMIT (SELECT substr(card_number,7,1)::int FROM payments WHERE id=1)

-- I. statement policy
-- @case I03 | stmt | DELETE without WHERE
-- @expect block
-- @layer STMT
DELETE FROM payments
-- @case I06 | stmt | DELETE in a CTE
-- @expect block
-- @layer STMT
WITH d AS (DELETE FROM payments RETURNING 1) SELECT count(*) FROM d
-- @case I10 | stmt | PREPARE hides DML
-- @expect block
-- @layer STMT,PROTO
PREPARE z AS DELETE FROM payments
EXECUTE z
-- @case I15 | stmt | CREATE RULE with action list
-- @expect block
-- @layer STMT
CREATE RULE r AS ON INSERT TO notes DO ALSO (DELETE FROM payments; DELETE FROM refunds)
-- @case I19 | stmt | RESET ROLE / RESET ALL / DISCARD ALL drop the gateway's SET ROLE
-- @expect block
-- @layer STMT,PRIV
RESET ROLE
-- @case I20 | stmt | search_path hijack
-- @expect mask|block
-- @layer STMT,OID
SET search_path = pg_temp, public
SELECT card_number FROM payments
-- @case I25 | stmt | bulk read over the row limit
-- @expect block
-- @layer STMT
SELECT p1.* FROM payments p1, payments p2, payments p3, payments p4, payments p5, payments p6
-- @case I26 | stmt | bulk read via LIMIT ALL / FETCH / COPY / generate_series loop
-- @expect mask|block
-- @layer STMT
SELECT id FROM payments LIMIT ALL
-- @case I29 | stmt | column scope on write
-- @expect block
-- @layer STMT
UPDATE payments SET card_number='4539577986432614' WHERE id=2
-- @case I30 | stmt | write through an auto-updatable view
-- @expect block
-- @layer STMT,VIEWOID
UPDATE v_rename SET ref='4000056509885772' WHERE k=2

-- J. lexer / parser parity with the server
-- @case J02 | lex | the same through the startup packet
-- @mode startup
-- @expect block
-- @layer LEX,PROTO
-- @msg startup options=-c standard_conforming_strings=off
-- @msg Q SELECT '\x5c''; DELETE FROM notes; --'
-- @case J09 | lex | identifier of 63+ bytes is truncated by the server
-- @expect mask|block
-- @layer LEX,OID
SELECT card_number AS aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa FROM payments
-- @case J10 | lex | newer-server grammar unknown to the bundled parser must fail closed
-- @expect block
-- @layer LEX
SELECT JSON_SERIALIZE(JSON_OBJECT('a': card_number) RETURNING text) FROM payments
-- @case J12 | lex | 0x00 inside Query / missing terminator / trailing bytes after the NUL
-- @mode raw
-- @expect block
-- @layer PROTO,LEX
-- @msg Qraw SELECT 1\0DELETE FROM payments\0

-- K. protocol-level
-- @case K04 | proto | per-column mixed format codes in Bind (0,1,0)
-- @mode raw
-- @expect mask|block
-- @layer PROTO,OID
-- @msg P  | SELECT id, card_number, amount FROM payments
-- @msg B  |  | 0,1,1
-- @msg D P
-- @msg E
-- @msg S
-- @case K06 | proto | user in StartupMessage differs from token subject
-- @mode startup
-- @expect block
-- @layer PROTO
-- @msg startup user=postgres
-- @msg Q SELECT current_user
-- @case K08 | proto | bytes after SSLRequest before TLS (CVE-2021-23214 / 23222 class)
-- @mode raw
-- @expect block
-- @layer PROTO
-- @msg sslbuf
-- @case K11 | proto | Bind parameters carrying PANs must be redacted in the audit record
-- @mode raw
-- @expect allow
-- @layer PROTO
-- @msg P  | INSERT INTO notes(body) VALUES($1)
-- @msg B  |  |  | 4539577986432614
-- @msg E
-- @msg S

-- L. PAN content in unclassified data; no false positives
-- @case L06 | scan | the same in binary format
-- @mode extbin
-- @expect mask
-- @layer SCAN
SELECT pan, n FROM ledger
-- @case L09 | scan | literal PAN typed by the client and echoed
-- @expect mask|block
-- @layer SCAN
SELECT '4539577986432614'
-- @case L10 | scan | PAN split over two adjacent columns of an unclassified table
-- @expect mask|block
-- @layer SCAN
SELECT '45395779' AS a, '86432614' AS b

-- A. plain references: must be masked, not blocked, more of them
-- @case A101 | plain | star
-- @expect mask
SELECT * FROM payments
-- @case A102 | plain | qualified star beside another table
-- @expect mask
SELECT c.name, p.* FROM customers c JOIN payments p ON p.customer_id = c.id ORDER BY p.id
-- @case A103 | plain | alias and quoted identifiers
-- @expect mask
SELECT "card_number" AS "Number", "cvv" AS x FROM "public"."payments" AS "Q"
-- @case A104 | plain | upper case, comments and line ends inside
-- @expect mask
SELECT /* a */ CARD_NUMBER FROM Public.PAYMENTS /* b */ WHERE ID = 2
-- @case A105 | plain | unicode-escaped identifier
-- @expect mask|block
SELECT U&"c\0061rd_number" FROM U&"p\0061yments"
-- @case A106 | plain | sub-select
-- @expect mask
SELECT s.card_number FROM (SELECT id, card_number FROM payments WHERE id < 4) s ORDER BY s.id
-- @case A107 | plain | materialised common table expression
-- @expect mask
WITH t AS MATERIALIZED (SELECT id, card_number FROM payments) SELECT card_number FROM t
-- @case A108 | plain | two levels of common table expressions
-- @expect mask
WITH a AS (SELECT * FROM payments), b AS (SELECT id, card_number AS n FROM a) SELECT n FROM b
-- @case A109 | plain | partition through its parent
-- @expect mask
SELECT id, card_number FROM payments_part
-- @case A110 | plain | partition by its own name
-- @expect mask
SELECT id, card_number FROM payments_eu
-- @case A111 | plain | materialised view
-- @expect mask
SELECT c FROM mv_pay ORDER BY id
-- @case A112 | plain | parent with its children
-- @expect mask
SELECT id, card_number, cvv FROM payments ORDER BY id DESC
-- @case A113 | plain | ONLY
-- @expect mask
SELECT card_number FROM ONLY payments
-- @case A114 | plain | DISTINCT
-- @expect mask
SELECT DISTINCT card_number FROM payments
-- @case A115 | plain | DISTINCT ON
-- @expect mask
SELECT DISTINCT ON (customer_id) customer_id, card_number FROM payments ORDER BY customer_id, id
-- @case A116 | plain | TABLE command
-- @expect mask
TABLE payments
-- @case A117 | plain | NATURAL JOIN through the classified column
-- @expect mask|block
SELECT r.card_number FROM refunds r NATURAL JOIN payments p
-- @case A118 | plain | JOIN USING the classified column
-- @expect mask|block
SELECT card_number, p.id FROM payments p JOIN refunds r USING (card_number)
-- @case A119 | plain | UNION ALL
-- @expect mask|block
SELECT card_number FROM payments UNION ALL SELECT card_number FROM refunds
-- @case A120 | plain | EXCEPT
-- @expect mask|block
SELECT card_number FROM payments EXCEPT SELECT card_number FROM refunds
-- @case A121 | plain | column alias list hides the name
-- @expect mask
SELECT p.c3 FROM payments AS p(c1, c2, c3, c4, c5, c6, c7, c8, c9, c10)
-- @case A122 | plain | no-op cast
-- @expect mask|block
SELECT card_number::text FROM payments
-- @case A123 | plain | cast to varchar and char
-- @expect mask|block
SELECT card_number::varchar(30), card_number::char(20) FROM payments
-- @case A124 | plain | FOR UPDATE
-- @expect mask|block
SELECT card_number FROM payments WHERE id = 1 FOR UPDATE
-- @case A125 | plain | TABLESAMPLE
-- @expect mask|block
SELECT card_number FROM payments TABLESAMPLE SYSTEM (100)
-- @case A126 | plain | system columns beside it
-- @expect mask|block
SELECT ctid, tableoid::regclass, card_number FROM payments
-- @case A127 | plain | row comparison only on the key
-- @expect mask
SELECT cardholder, card_number FROM payments WHERE (id, customer_id) = (1, 1)
-- @case A128 | plain | ORDER BY an unclassified column with LIMIT
-- @expect mask
SELECT card_number FROM payments ORDER BY amount DESC LIMIT 2
-- @case A129 | plain | the same column three times
-- @expect mask
SELECT card_number, card_number AS b, p.card_number AS c FROM payments p WHERE id = 1
-- @case A130 | plain | self join
-- @expect mask
SELECT a.card_number, b.card_number FROM payments a, payments b WHERE a.id = 1 AND b.id = 2
-- @case A131 | plain | several statements in one text
-- @expect mask
-- @mode simple-only
SELECT card_number FROM payments WHERE id = 1; SELECT cvv FROM payments WHERE id = 1
-- @case A132 | plain | view of a view is not there, the view with another table is
-- @expect mask
SELECT v.ref, c.name FROM v_rename v JOIN customers c ON c.id = v.k
-- @case A133 | plain | scalar sub-select
-- @expect mask|block
SELECT (SELECT card_number FROM payments WHERE id = 3)
-- @case A134 | plain | recursive common table expression
-- @expect mask|block
WITH RECURSIVE t(i, c) AS (SELECT id, card_number FROM payments WHERE id = 1 UNION ALL SELECT p.id, p.card_number FROM payments p JOIN t ON p.id = t.i + 1) SELECT c FROM t
-- @case A135 | plain | VALUES around a sub-select
-- @expect mask|block
VALUES ((SELECT card_number FROM payments WHERE id = 1))
-- @case A136 | plain | FETCH FIRST WITH TIES
-- @expect mask
SELECT card_number FROM payments ORDER BY customer_id FETCH FIRST 1 ROW WITH TIES

-- B. expressions, more of them
-- @case B101 | expr | concatenation
-- @expect mask|block
SELECT 'x' || card_number || 'y' FROM payments
-- @case B102 | expr | substring in three pieces
-- @expect mask|block
SELECT substr(card_number,1,6), substr(card_number,7,6), substr(card_number,13) FROM payments
-- @case B103 | expr | middle digits only
-- @expect mask|block
SELECT substring(card_number FROM 7 FOR 6) FROM payments
-- @case B104 | expr | hex
-- @expect mask|block
SELECT encode(card_number::bytea, 'hex') FROM payments
-- @case B105 | expr | base64
-- @expect mask|block
SELECT encode(convert_to(card_number, 'UTF8'), 'base64') FROM payments
-- @case B106 | expr | bytea escape
-- @expect mask|block
SELECT encode(('\x00'::bytea || card_number::bytea), 'escape') FROM payments
-- @case B107 | expr | bigint plus one
-- @expect mask|block
SELECT substr(card_number,1,16)::bigint + 1 FROM payments WHERE id = 1
-- @case B108 | expr | letters for digits
-- @expect mask|block
SELECT translate(card_number, '0123456789', 'abcdefghij') FROM payments
-- @case B109 | expr | ascii of one character
-- @expect mask|block
SELECT ascii(substr(card_number, 7, 1)), ascii(substr(card_number, 8, 1)), ascii(substr(card_number, 9, 1)), ascii(substr(card_number, 10, 1)), ascii(substr(card_number, 11, 1)), ascii(substr(card_number, 12, 1)) FROM payments
-- @case B110 | expr | one character per row
-- @expect mask|block
SELECT substr(card_number, g, 1) FROM payments, generate_series(1, 16) g WHERE id = 1 ORDER BY g
-- @case B111 | expr | string_to_table
-- @expect mask|block
SELECT string_to_table(card_number, NULL) FROM payments WHERE id = 1
-- @case B112 | expr | format
-- @expect mask|block
SELECT format('%s/%L', card_number, cvv) FROM payments
-- @case B113 | expr | CASE on digits
-- @expect mask|block
SELECT CASE substr(card_number,7,1) WHEN '7' THEN 'seven' ELSE 'other' END, reverse(card_number) FROM payments
-- @case B114 | expr | COALESCE and NULLIF
-- @expect mask|block
SELECT coalesce(card_number, 'none'), nullif(card_number, 'none') FROM payments
-- @case B115 | expr | GREATEST
-- @expect mask|block
SELECT greatest(card_number, '0') FROM payments
-- @case B116 | expr | overlay
-- @expect mask|block
SELECT overlay(card_number placing '' from 1 for 0) FROM payments
-- @case B117 | expr | lpad, repeat, upper
-- @expect mask|block
SELECT lpad(card_number, 30, '.'), repeat(card_number, 2), upper(card_number) FROM payments
-- @case B118 | expr | array subscript of regexp_matches
-- @expect mask|block
SELECT (regexp_matches(card_number, '(\d{6})(\d+)(\d{4})'))[2] FROM payments
-- @case B119 | expr | money
-- @expect mask|block
SELECT substr(card_number,1,16)::numeric::money FROM payments WHERE id = 1
-- @case B120 | expr | interval
-- @expect mask|block
SELECT make_interval(secs => substr(card_number,1,12)::float8) , to_timestamp(substr(card_number,1,11)::float8) FROM payments
-- @case B121 | expr | to_char of the number
-- @expect mask|block
SELECT to_char(substr(card_number,1,16)::numeric, '9999 9999 9999 9999') FROM payments
-- @case B122 | expr | bit string
-- @expect mask|block
SELECT substr(card_number,1,16)::bigint::bit(64) FROM payments WHERE id = 1
-- @case B123 | expr | to_hex
-- @expect mask|block
SELECT to_hex(substr(card_number,1,16)::bigint) FROM payments WHERE id = 1
-- @case B124 | expr | row constructor
-- @expect mask|block
SELECT ROW(id, card_number) FROM payments
-- @case B125 | expr | whole row
-- @expect mask|block
SELECT p FROM payments p
-- @case B126 | expr | whole row as text
-- @expect mask|block
SELECT p::text FROM payments p
-- @case B127 | expr | tsvector
-- @expect mask|block
SELECT strip(to_tsvector('simple', card_number))::text FROM payments
-- @case B128 | expr | full-width digits
-- @expect mask|block
SELECT translate(card_number, '0123456789', '０１２３４５６７８９') FROM payments
-- @case B129 | expr | sha512 in base64
-- @expect mask|block
SELECT encode(sha512(card_number::bytea), 'base64') FROM payments
-- @case B130 | expr | int8 in binary
-- @expect mask|block
-- @mode extbin
SELECT substr(card_number,1,16)::bigint FROM payments WHERE length(card_number) = 16
-- @case B131 | expr | float8 in binary
-- @expect mask|block
-- @mode extbin
SELECT substr(card_number,1,15)::float8 FROM payments
-- @case B132 | expr | array of bigint in binary
-- @expect mask|block
-- @mode extbin
SELECT ARRAY[substr(card_number,1,16)::bigint, 1] FROM payments WHERE id = 1
-- @case B133 | expr | record in binary
-- @expect mask|block
-- @mode extbin
SELECT ROW(card_number, substr(card_number,1,16)::numeric) FROM payments
-- @case B134 | expr | bytea in binary
-- @expect mask|block
-- @mode extbin
SELECT card_number::bytea FROM payments
-- @case B135 | expr | parsed as an address
-- @expect mask|block
SELECT ('0:' || substr(card_number,1,4) || ':' || substr(card_number,5,4) || ':' || substr(card_number,9,4) || '::')::inet FROM payments WHERE id = 1
-- @case B136 | expr | range bounds
-- @expect mask|block
SELECT int8range(substr(card_number,1,16)::bigint, NULL) FROM payments WHERE id = 1
-- @case B137 | expr | comparison gives a bit
-- @expect mask|block
SELECT card_number LIKE '4539577%', card_number > '453957798', id, reverse(card_number) FROM payments
-- @case B138 | expr | set-returning in the target list
-- @expect mask|block
SELECT unnest(ARRAY[card_number]) FROM payments
-- @case B139 | expr | LATERAL with VALUES
-- @expect mask|block
SELECT v.x FROM payments p, LATERAL (VALUES (p.card_number), (reverse(p.card_number))) v(x)
-- @case B140 | expr | window over it
-- @expect mask|block
SELECT id, max(card_number) OVER (PARTITION BY id), nth_value(card_number, 1) OVER (ORDER BY id) FROM payments
-- @case B141 | expr | difference of two numbers
-- @expect mask|block
SELECT a.card_number::numeric - 4539570000000000 FROM payments a WHERE a.id = 1
-- @case B142 | expr | quote_literal, quote_ident
-- @expect mask|block
SELECT quote_literal(card_number), quote_ident(card_number) FROM payments
-- @case B143 | expr | starts_with and position
-- @expect mask|block
SELECT position('577' in card_number), strpos(card_number, '986'), card_number || '' FROM payments
-- @case B144 | expr | collation changes nothing
-- @expect mask|block
SELECT card_number COLLATE "C" FROM payments
-- @case B145 | expr | xmlelement
-- @expect mask|block
SELECT xmlelement(name n, card_number) FROM payments

-- C. aggregates, rows, json, xml, more of them
-- @case C101 | json | row_to_json
-- @expect mask|block
SELECT row_to_json(p) FROM payments p
-- @case C102 | json | json_agg
-- @expect mask|block
SELECT json_agg(p) FROM payments p
-- @case C103 | json | jsonb_object_agg
-- @expect mask|block
SELECT jsonb_object_agg(id, card_number) FROM payments
-- @case C104 | json | jsonb in binary
-- @expect mask|block
-- @mode extbin
SELECT jsonb_build_object('n', card_number, 'i', substr(card_number,1,16)::numeric) FROM payments
-- @case C105 | json | json_populate_record back and forth
-- @expect mask|block
SELECT (json_populate_record(NULL::payments, to_json(p))).card_number FROM payments p
-- @case C106 | agg | array_agg, unnest again
-- @expect mask|block
SELECT unnest(a) FROM (SELECT array_agg(card_number) a FROM payments) s
-- @case C107 | agg | bytea aggregate
-- @expect mask|block
SELECT string_agg(card_number::bytea, '\x20') FROM payments
-- @case C108 | agg | bit_xor over ascii
-- @expect mask|block
SELECT sum(ascii(substr(card_number, 7, 1))), max(substr(card_number,7,6)), min(reverse(card_number)) FROM payments WHERE id = 1
-- @case C109 | agg | xmlagg
-- @expect mask|block
SELECT xmlagg(xmlelement(name c, card_number)) FROM payments
-- @case C110 | agg | GROUPING SETS
-- @expect mask|block
SELECT card_number, count(*) FROM payments GROUP BY GROUPING SETS ((card_number), ())
-- @case C111 | agg | HAVING
-- @expect infer
-- @world 4539572130492614
SELECT customer_id FROM payments GROUP BY customer_id HAVING min(card_number) LIKE '%577986%'
-- @case C112 | agg | count DISTINCT only
-- @expect mask
SELECT count(*), count(DISTINCT id) FROM payments
-- @case C113 | xml | table_to_xml
-- @expect block
SELECT table_to_xml('payments', true, false, '')
-- @case C114 | xml | schema_to_xml
-- @expect block
SELECT schema_to_xml('public', true, false, '')
-- @case C115 | xml | database_to_xml
-- @expect block
SELECT database_to_xml(true, false, '')
-- @case C116 | xml | cursor_to_xml
-- @expect block
-- @mode simple-only
BEGIN; DECLARE c9 CURSOR FOR SELECT card_number FROM payments; SELECT cursor_to_xml('c9', 10, true, false, ''); ROLLBACK
-- @case C117 | xml | query_to_xml over a concatenated text
-- @expect block
SELECT query_to_xml('select card' || '_number from pay' || 'ments', true, false, '')
-- @case C118 | xml | query_to_xml_and_xmlschema
-- @expect block
SELECT query_to_xml_and_xmlschema('select reverse(card_number) r from payments', true, false, '')
-- @case C119 | agg | ts_stat runs a text
-- @expect block
SELECT word FROM ts_stat('select to_tsvector(''simple'', card_number) from payments')
-- @case C120 | agg | ts_rewrite runs a text
-- @expect block
SELECT ts_rewrite('a'::tsquery, 'select ''a''::tsquery, card_number::tsquery from payments where id = 1')
-- @case C121 | json | jsonb_path_query
-- @expect mask|block
SELECT jsonb_path_query(to_jsonb(p), '$.card_number') FROM payments p
-- @case C122 | json | json in unclassified column with a number inside
-- @expect mask
SELECT doc FROM notes WHERE id = 1
-- @case C123 | json | json text of a meta column
-- @expect mask
SELECT meta FROM payments WHERE id = 2

-- D. DML, COPY, cursors, prepared statements, more of them
-- @case D101 | dml | INSERT RETURNING the number just written
-- @expect mask|block
INSERT INTO payments(id, customer_id, card_number, cardholder) VALUES (50, 1, '4000056509885772', 'Z') RETURNING card_number
-- @case D102 | dml | UPDATE RETURNING
-- @expect mask|block
UPDATE payments SET status = 'seen' WHERE id = 1 RETURNING card_number, cvv
-- @case D103 | dml | DELETE RETURNING
-- @expect mask|block
DELETE FROM refunds WHERE id = 1 RETURNING card_number
-- @case D104 | dml | UPDATE RETURNING an expression
-- @expect mask|block
UPDATE payments SET status = 'seen' WHERE id = 1 RETURNING reverse(card_number)
-- @case D105 | dml | RETURNING star
-- @expect mask|block
UPDATE payments SET status = 'seen' WHERE id = 2 RETURNING *
-- @case D106 | dml | data-changing WITH whose rows are read
-- @expect mask|block
WITH u AS (UPDATE payments SET status = 'u' WHERE id = 1 RETURNING card_number) SELECT reverse(card_number) FROM u
-- @case D107 | copy | COPY of a query
-- @expect mask|block
COPY (SELECT card_number FROM payments) TO STDOUT
-- @case D108 | copy | COPY of an expression
-- @expect mask|block
COPY (SELECT reverse(card_number) FROM payments) TO STDOUT
-- @case D109 | copy | COPY as CSV with a delimiter inside the number
-- @expect mask|block
COPY (SELECT card_number FROM payments) TO STDOUT (FORMAT csv, DELIMITER '7')
-- @case D110 | copy | COPY binary
-- @expect mask|block
COPY payments(id, card_number) TO STDOUT (FORMAT binary)
-- @case D111 | copy | COPY of a view
-- @expect mask|block
COPY (SELECT * FROM v_rename) TO STDOUT
-- @case D112 | copy | COPY of the partition
-- @expect mask|block
COPY payments_eu TO STDOUT
-- @case D113 | copy | COPY to a program
-- @expect block
COPY payments TO PROGRAM 'cat'
-- @case D114 | copy | COPY to a file
-- @expect block
COPY payments TO '/tmp/out.txt'
-- @case D115 | copy | COPY from a file
-- @expect block
COPY notes(body) FROM '/etc/passwd'
-- @case D116 | copy | COPY UPDATE RETURNING
-- @expect mask|block
COPY (UPDATE payments SET status = 'c' WHERE id = 1 RETURNING card_number) TO STDOUT
-- @case D117 | cursor | scroll cursor, backwards
-- @expect mask|block
-- @mode simple-only
BEGIN; DECLARE c2 SCROLL CURSOR FOR SELECT card_number FROM payments; FETCH LAST FROM c2; FETCH BACKWARD ALL FROM c2; ROLLBACK
-- @case D118 | cursor | MOVE then FETCH RELATIVE
-- @expect mask|block
-- @mode simple-only
BEGIN; DECLARE c5 CURSOR FOR SELECT reverse(card_number) FROM payments; MOVE 2 FROM c5; FETCH NEXT FROM c5; ROLLBACK
-- @case D119 | cursor | binary cursor
-- @expect mask|block
-- @mode simple-only
BEGIN; DECLARE c4 BINARY CURSOR FOR SELECT card_number::numeric FROM payments; FETCH ALL FROM c4; ROLLBACK
-- @case D120 | prep | SQL PREPARE with a parameter, EXECUTE
-- @expect mask|block
-- @mode simple-only
PREPARE q1(int) AS SELECT card_number FROM payments WHERE id = $1
EXECUTE q1(1)
-- @case D121 | prep | PREPARE of an expression, EXECUTE in another statement
-- @expect mask|block
-- @mode simple-only
PREPARE q2 AS SELECT reverse(card_number) FROM payments
EXECUTE q2
-- @case D122 | prep | CREATE TABLE AS EXECUTE
-- @expect block
-- @mode simple-only
PREPARE q3 AS SELECT reverse(card_number) r FROM payments
CREATE TABLE taken AS EXECUTE q3
-- @case D123 | prep | EXPLAIN ANALYZE EXECUTE of a write
-- @expect block
-- @mode simple-only
PREPARE q4 AS DELETE FROM payments
EXPLAIN ANALYZE EXECUTE q4
-- @case D124 | prep | protocol portal fetched by SQL
-- @expect mask|block
-- @mode raw
-- @msg P  | BEGIN
-- @msg B  |
-- @msg E
-- @msg P s9 | SELECT reverse(card_number) FROM payments
-- @msg B po | s9
-- @msg S
-- @msg Q FETCH ALL FROM po
-- @case D125 | prep | SQL cursor executed by the protocol
-- @expect mask|block
-- @mode raw
-- @msg Q BEGIN
-- @msg Q DECLARE cu CURSOR FOR SELECT reverse(card_number) FROM payments
-- @msg E cu | 3
-- @msg S
-- @case D126 | prep | a parameter decides what is read
-- @expect mask|block
-- @mode raw
-- @msg P  | SELECT substr(card_number, $1::int, 6) FROM payments
-- @msg B  |  |  | 7
-- @msg D P
-- @msg E
-- @msg S
-- @case D127 | prep | portal read in steps
-- @expect mask|block
-- @mode raw
-- @msg P  | SELECT reverse(card_number) FROM payments
-- @msg B  |  
-- @msg E  | 2
-- @msg E  | 2
-- @msg S
-- @case D128 | prep | name used again after Close
-- @expect mask|block
-- @mode raw
-- @msg P n1 | SELECT id FROM payments
-- @msg C S n1
-- @msg P n1 | SELECT reverse(card_number) FROM payments
-- @msg B  | n1
-- @msg D P
-- @msg E
-- @msg S
-- @case D129 | prep | Describe, then Execute of another statement under the same portal name
-- @expect mask|block
-- @mode raw
-- @msg P a | SELECT id FROM payments
-- @msg P b | SELECT reverse(card_number) FROM payments
-- @msg B  | a
-- @msg D P
-- @msg B  | b
-- @msg E
-- @msg S
-- @case D130 | dml | INSERT ... SELECT between classified tables
-- @expect mask|block
INSERT INTO refunds SELECT 9, card_number, 1 FROM payments WHERE id = 2
-- @case D131 | merge | MERGE into an unclassified table
-- @expect block
MERGE INTO customers c USING payments p ON c.id = p.customer_id AND p.id = 1 WHEN MATCHED THEN UPDATE SET email = reverse(p.card_number)

-- E. laundering, more of them
-- @case E101 | launder | CREATE TABLE AS
-- @expect block
CREATE TABLE got AS SELECT card_number FROM payments
-- @case E102 | launder | SELECT INTO
-- @expect block
SELECT reverse(card_number) r INTO got2 FROM payments
-- @case E103 | launder | temporary table
-- @expect block
CREATE TEMP TABLE got3 AS SELECT card_number c FROM payments
SELECT c FROM got3
-- @case E104 | launder | INSERT into notes
-- @expect block
INSERT INTO notes(body) SELECT reverse(card_number) FROM payments
SELECT body FROM notes
-- @case E105 | launder | INSERT by scalar sub-select
-- @expect block
INSERT INTO notes(body) VALUES ((SELECT reverse(card_number) FROM payments WHERE id = 1))
-- @case E106 | launder | UPDATE by sub-select
-- @expect block
UPDATE customers SET email = (SELECT reverse(card_number) FROM payments WHERE id = 1) WHERE id = 1
-- @case E107 | launder | data-changing WITH
-- @expect block
WITH x AS (SELECT reverse(card_number) r FROM payments) INSERT INTO notes(body) SELECT r FROM x
-- @case E108 | launder | ON CONFLICT DO UPDATE SET from the table
-- @expect block
INSERT INTO customers(id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET email = (SELECT reverse(card_number) FROM payments WHERE id = 1)
-- @case E109 | launder | set_config, then current_setting
-- @expect block
SELECT set_config('x.y', (SELECT reverse(card_number) FROM payments WHERE id = 1), false)
SELECT current_setting('x.y')
-- @case E110 | launder | application_name
-- @expect block
SELECT set_config('application_name', reverse(card_number), false) FROM payments WHERE id = 1
-- @case E111 | launder | pg_notify
-- @expect block
SELECT pg_notify('c', reverse(card_number)) FROM payments WHERE id = 1
-- @case E112 | launder | advisory lock key
-- @expect block
SELECT pg_advisory_lock(substr(card_number,1,16)::bigint) FROM payments WHERE id = 1
SELECT objid, classid FROM pg_locks WHERE locktype = 'advisory'
-- @case E113 | launder | large object
-- @expect block
SELECT lo_from_bytea(0, reverse(card_number)::bytea) FROM payments WHERE id = 1
-- @case E114 | launder | view over the column
-- @expect block
CREATE OR REPLACE VIEW v_new AS SELECT encode(card_number::bytea,'hex') h FROM payments
-- @case E115 | launder | function over the column
-- @expect block
CREATE FUNCTION f_new() RETURNS text LANGUAGE sql AS $$ SELECT reverse(card_number) FROM payments LIMIT 1 $$
-- @case E116 | launder | materialised view
-- @expect block
CREATE MATERIALIZED VIEW mv_new AS SELECT reverse(card_number) h FROM payments
-- @case E117 | launder | column default
-- @expect block
ALTER TABLE notes ALTER COLUMN body SET DEFAULT get_card(1)
-- @case E118 | launder | comment on an own table
-- @expect block
DO $$ BEGIN EXECUTE format('COMMENT ON TABLE notes IS %L', (SELECT reverse(card_number) FROM payments WHERE id = 1)); END $$
-- @case E119 | launder | rename of an own column to a value
-- @expect block
ALTER TABLE notes RENAME COLUMN body TO body2
-- @case E120 | launder | column renamed behind the gateway's back
-- @expect mask|block
-- @direct ALTER TABLE payments RENAME COLUMN card_number TO innocent
SELECT innocent FROM payments
-- @case E121 | launder | table renamed behind the gateway's back
-- @expect mask|block
-- @direct ALTER TABLE payments RENAME TO innocent_table
SELECT card_number FROM innocent_table
-- @case E122 | launder | view made behind the gateway's back
-- @expect mask|block
-- @direct CREATE VIEW late_view AS SELECT id, reverse(card_number) AS z FROM payments; GRANT SELECT ON late_view TO app
SELECT z FROM late_view
-- @case E123 | launder | partition attached behind the gateway's back
-- @expect mask|block
-- @direct CREATE TABLE payments_us PARTITION OF payments_part FOR VALUES IN ('us'); INSERT INTO payments_us VALUES (2, '5425236224375523', 'us'); GRANT SELECT ON payments_us TO app
SELECT card_number FROM payments_us
-- @case E124 | launder | foreign key action shows nothing
-- @expect mask|block
UPDATE payments SET card_number = '4111111111111111' WHERE id = 5

-- F. errors, notices, other messages, more of them
-- @case F101 | err | cast to integer
-- @expect block
SELECT card_number::int FROM payments WHERE id = 7
-- @case F102 | err | cast to date
-- @expect block
SELECT card_number::date FROM payments
-- @case F103 | err | cast to uuid
-- @expect block
SELECT card_number::uuid FROM payments
-- @case F104 | err | cast to boolean with letters before
-- @expect block
SELECT ('a' || card_number)::boolean FROM payments
-- @case F105 | err | cast to regclass
-- @expect block
SELECT ('t' || card_number)::regclass FROM payments
-- @case F106 | err | cast to xml
-- @expect block
SELECT ('<' || card_number)::xml FROM payments
-- @case F107 | err | cast to an array
-- @expect block
SELECT ('{' || card_number)::int[] FROM payments
-- @case F108 | err | check constraint shows the failing row
-- @expect mask|block
UPDATE payments SET expiry = NULL, card_number = card_number || 'x' WHERE id = 1
-- @case F109 | err | not-null shows the failing row
-- @expect mask|block
UPDATE payments SET cardholder = NULL WHERE id = 1
-- @case F110 | err | division by zero where a digit matches
-- @expect infer
-- @world 4539572130492614
SELECT 1 / (CASE WHEN substr(card_number, 7, 1) = '7' THEN 0 ELSE 1 END) FROM payments WHERE id = 1
-- @case F111 | err | reversed number in the text of an error
-- @expect block
SELECT reverse(card_number)::date FROM payments
-- @case F112 | err | transformed number in the text of an error
-- @expect block
SELECT translate(card_number,'0123456789','abcdefghij')::date FROM payments
-- @case F113 | err | unique violation by insert
-- @expect mask|block
INSERT INTO payments(id, customer_id, card_number, cardholder) SELECT 60, 1, card_number, 'x' FROM payments WHERE id = 1
-- @case F114 | err | sequence out of range
-- @expect block
SELECT setval('lseq', card_number::numeric::bigint) FROM payments WHERE id = 7
-- @case F115 | err | unknown time zone
-- @expect block
SELECT now() AT TIME ZONE ('z' || card_number) FROM payments
-- @case F116 | err | set_config of a number refuses with its text
-- @expect block
SELECT set_config('work_mem', card_number, true) FROM payments
-- @case F117 | err | raise in a function
-- @expect block
SELECT noisy()
-- @case F118 | err | operator that raises a notice
-- @expect block
SELECT id FROM payments WHERE card_number === 'x'
-- @case F119 | err | trigger that raises a notice
-- @expect mask|block
UPDATE refunds SET amount = 6 WHERE id = 1
-- @case F120 | err | debug output of plans
-- @expect block
SET debug_print_plan = on
-- @case F121 | err | client_min_messages down to debug
-- @expect block
SET client_min_messages = debug5
-- @case F122 | err | log of parser statistics
-- @expect block
SET log_statement_stats = on
-- @case F123 | err | to_number with a bad template
-- @expect mask|block
SELECT to_number(card_number, '9999999999999999999G') FROM payments
-- @case F124 | err | jsonb subscript of a number as key
-- @expect block
SELECT ('{"a":' || card_number || 'x}')::jsonb FROM payments
-- @case F125 | err | enum-like input of macaddr
-- @expect block
SELECT card_number::macaddr FROM payments
-- @case F126 | err | get_card in an error
-- @expect block
SELECT get_card(1)::date
-- @case F127 | err | function result
-- @expect block
SELECT get_card(1)
-- @case F128 | err | plpgsql function result
-- @expect block
SELECT get_card_imm(1)
-- @case F129 | err | set-returning function over the table
-- @expect mask|block
SELECT card_number FROM all_pay()
-- @case F130 | err | function whose result is expanded
-- @expect mask|block
SELECT (all_pay()).card_number
-- @case F131 | err | procedure with INOUT
-- @expect block
CALL pr(NULL)
-- @case F132 | err | FunctionCall message
-- @expect block
-- @mode raw
-- @msg F get_card(int) | \x00\x00\x00\x01
-- @case F133 | err | FunctionCall of a harmless function
-- @expect block
-- @mode raw
-- @msg F upper(text) | abc

-- G. catalogs and files, more of them
-- @case G101 | cat | pg_statistic
-- @expect mask|block
SELECT stavalues1 FROM pg_statistic WHERE starelid = 'payments'::regclass
-- @case G102 | cat | pg_stats of all tables, transformed
-- @expect mask|block
SELECT reverse(most_common_vals::text), reverse(histogram_bounds::text) FROM pg_stats
-- @case G103 | cat | index definition
-- @expect mask|block
SELECT pg_get_indexdef('pay_part_idx'::regclass)
-- @case G104 | cat | pg_indexes
-- @expect mask|block
SELECT indexdef FROM pg_indexes WHERE tablename = 'payments'
-- @case G105 | cat | index predicate, transformed
-- @expect mask|block
SELECT reverse(pg_get_expr(indpred, indrelid)) FROM pg_index WHERE indpred IS NOT NULL
-- @case G106 | cat | pg_read_file
-- @expect block
SELECT pg_read_file('/etc/passwd')
-- @case G107 | cat | pg_ls_dir
-- @expect block
SELECT pg_ls_dir('.')
-- @case G108 | cat | authid
-- @expect mask|block
SELECT rolname, rolpassword FROM pg_authid
-- @case G109 | cat | loadable library
-- @expect block
LOAD 'auto_explain'
-- @case G110 | cat | extension
-- @expect block
CREATE EXTENSION postgres_fdw
-- @case G111 | cat | terminate others
-- @expect block
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
-- @case G112 | cat | reload of the configuration
-- @expect block
SELECT pg_reload_conf()
-- @case G113 | cat | pg_sequences
-- @expect allow
SELECT count(*) >= 0 FROM pg_catalog.pg_namespace
-- @case G114 | cat | columns of information_schema
-- @expect allow
SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2
-- @case G115 | cat | what psql asks for a list of tables
-- @expect allow
SELECT n.nspname as "Schema", c.relname as "Name", CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'i' THEN 'index' WHEN 'S' THEN 'sequence' WHEN 't' THEN 'TOAST table' WHEN 'f' THEN 'foreign table' WHEN 'p' THEN 'partitioned table' WHEN 'I' THEN 'partitioned index' END as "Type", pg_catalog.pg_get_userbyid(c.relowner) as "Owner" FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam WHERE c.relkind IN ('r','p','') AND n.nspname <> 'pg_catalog' AND n.nspname !~ '^pg_toast' AND n.nspname <> 'information_schema' AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1,2
-- @case G116 | cat | prepared statements show their text
-- @expect mask|block
-- @mode simple-only
PREPARE hid AS SELECT '4539577986432614'
SELECT statement FROM pg_prepared_statements
-- @case G117 | cat | cursor texts
-- @expect mask|block
SELECT statement FROM pg_cursors

-- H. oracles, more of them
-- @case H101 | oracle | equality with a full guess
-- @expect infer
-- @world 4539572130492614
SELECT id FROM payments WHERE card_number = '4539577986432614'
-- @case H102 | oracle | range
-- @expect infer
-- @world 4539572130492614
SELECT count(*) FROM payments WHERE card_number BETWEEN '4539577' AND '4539578'
-- @case H103 | oracle | regular expression
-- @expect infer
-- @world 4539572130492614
SELECT id FROM payments WHERE card_number ~ '^4539577'
-- @case H104 | oracle | SIMILAR TO
-- @expect infer
-- @world 4539572130492614
SELECT id FROM payments WHERE card_number SIMILAR TO '4539577%'
-- @case H105 | oracle | ORDER BY
-- @expect infer
-- @world 4539572130492614
SELECT id FROM payments ORDER BY substr(card_number, 7)
-- @case H106 | oracle | ORDER BY the column, its own place in the order
-- @expect infer
-- @world 9939572130492614
SELECT id FROM payments ORDER BY card_number
-- @case H107 | oracle | join with guesses
-- @expect infer
-- @world 4539572130492614
SELECT g FROM payments p JOIN (VALUES ('4539577986432614'), ('4539572130492614')) v(g) ON p.card_number = v.g
-- @case H108 | oracle | EXISTS
-- @expect infer
-- @world 4539572130492614
SELECT name FROM customers c WHERE EXISTS (SELECT 1 FROM payments p WHERE p.customer_id = c.id AND p.card_number LIKE '____57798%')
-- @case H109 | oracle | IN with a sub-select
-- @expect infer
-- @world 4539572130492614
SELECT '4539577986432614' IN (SELECT card_number FROM payments) AS hit
-- @case H110 | oracle | count FILTER
-- @expect infer
-- @world 4539572130492614
SELECT count(*) FILTER (WHERE substr(card_number, 7, 1) = '7') FROM payments
-- @case H111 | oracle | UPDATE with a predicate on it
-- @expect infer
-- @world 4539572130492614
UPDATE payments SET status = 'probe' WHERE id = 1 AND card_number LIKE '4539577%'
-- @case H112 | oracle | DELETE with a predicate on it
-- @expect infer
-- @world 4539572130492614
DELETE FROM refunds WHERE id = 1 AND card_number LIKE '4539577%'
-- @case H113 | oracle | length of repeat
-- @expect infer
-- @world 4539572130492614
SELECT length(repeat('x', substr(card_number, 7, 1)::int)) FROM payments WHERE id = 1
-- @case H114 | oracle | generate_series up to a digit
-- @expect infer
-- @world 4539572130492614
SELECT g FROM payments, generate_series(1, substr(card_number, 7, 1)::int) g WHERE id = 1
-- @case H115 | oracle | cvv guessed
-- @expect infer
-- @false SELECT id FROM payments WHERE cvv = '112'
SELECT id FROM payments WHERE cvv = '111'
-- @case H116 | oracle | row comparison
-- @expect infer
-- @world 4539572130492614
SELECT id FROM payments WHERE (id, card_number) < (1, '4539577')
-- @case H117 | oracle | DISTINCT count against a guess
-- @expect infer
-- @world 4539572130492614
SELECT count(DISTINCT c) FROM (SELECT card_number c FROM payments UNION ALL SELECT '4539577986432614') s
-- @case H118 | oracle | INTERSECT
-- @expect infer
-- @world 4539572130492614
SELECT count(*) FROM (SELECT card_number FROM payments INTERSECT SELECT '4539577986432614') s
-- @case H119 | oracle | heavy work when a digit matches
-- @expect infer
-- @world 4539572130492614
SELECT CASE WHEN substr(card_number,7,1)='7' THEN (SELECT count(*) FROM generate_series(1, 6000) a, generate_series(1, 8000) b) END FROM payments WHERE id = 1
-- @case H121 | oracle | view with the column in its predicate
-- @expect infer
-- @world 4539572130492614
SELECT k FROM v_rename WHERE ref LIKE '4539577%'
-- @case H122 | oracle | statistics of the planner
-- @expect infer
-- @world 4539572130492614
EXPLAIN (FORMAT json) SELECT 1 FROM payments WHERE card_number LIKE '4539577%'

-- I. statement policy, more of them
-- @case I101 | stmt | UPDATE without WHERE
-- @expect block
UPDATE payments SET status = 'x'
-- @case I102 | stmt | UPDATE with a WHERE that is true
-- @expect block
UPDATE payments SET status = 'x' WHERE true
-- @case I103 | stmt | DELETE with a tautology
-- @expect block
DELETE FROM refunds WHERE 1 = 1
-- @case I104 | stmt | DELETE WHERE id = id
-- @expect block
DELETE FROM refunds WHERE id = id
-- @case I105 | stmt | TRUNCATE
-- @expect block
TRUNCATE refunds
-- @case I106 | stmt | DROP TABLE
-- @expect block
DROP TABLE refunds
-- @case I107 | stmt | DROP behind a harmless statement
-- @expect block
-- @mode simple-only
SELECT 1; DROP TABLE refunds
-- @case I108 | stmt | DROP inside a transaction
-- @expect block
-- @mode simple-only
BEGIN; DROP TABLE refunds; COMMIT
-- @case I109 | stmt | ALTER TABLE
-- @expect block
ALTER TABLE notes ADD COLUMN x int
-- @case I110 | stmt | GRANT
-- @expect block
GRANT ALL ON payments TO PUBLIC
-- @case I111 | stmt | CREATE ROLE
-- @expect block
CREATE ROLE intruder
-- @case I112 | stmt | own password
-- @expect block
ALTER ROLE app PASSWORD 'x'
-- @case I113 | stmt | own password by another name
-- @expect block
ALTER USER CURRENT_USER WITH PASSWORD 'x'
-- @case I114 | stmt | SET ROLE
-- @expect block
SET ROLE postgres
-- @case I115 | stmt | SET SESSION AUTHORIZATION
-- @expect block
SET SESSION AUTHORIZATION DEFAULT
-- @case I116 | stmt | role by SET LOCAL
-- @expect block
-- @mode simple-only
BEGIN; SET LOCAL role = 'postgres'; COMMIT
-- @case I117 | stmt | role by set_config
-- @expect block
SELECT set_config('role', 'postgres', false)
-- @case I118 | stmt | RESET ALL
-- @expect block
RESET ALL
-- @case I119 | stmt | DISCARD ALL
-- @expect block
DISCARD ALL
-- @case I120 | stmt | DO block
-- @expect block
DO $$ BEGIN DELETE FROM refunds; END $$
-- @case I121 | stmt | CREATE TRIGGER
-- @expect block
CREATE TRIGGER t2 BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION trg()
-- @case I122 | stmt | EXPLAIN ANALYZE DELETE
-- @expect block
EXPLAIN ANALYZE DELETE FROM refunds
-- @case I123 | stmt | LOCK TABLE
-- @expect block
LOCK TABLE payments IN ACCESS EXCLUSIVE MODE
-- @case I124 | stmt | VACUUM
-- @expect block
VACUUM payments
-- @case I125 | stmt | search_path by set_config
-- @expect block
SELECT set_config('search_path', 'pg_temp', false)
-- @case I126 | stmt | row_security off
-- @expect block
SET row_security = off
-- @case I127 | stmt | session_replication_role
-- @expect block
SET session_replication_role = replica
-- @case I128 | stmt | DELETE behind a semicolon in a string of the other kind
-- @expect block
-- @mode simple-only
SELECT E'\''; DELETE FROM refunds; --'
-- @case I129 | stmt | UPDATE of a verification code
-- @expect block
UPDATE payments SET cvv = '999' WHERE id = 1
-- @case I130 | stmt | bulk read of everything
-- @expect block
SELECT a.* FROM payments a CROSS JOIN payments b CROSS JOIN payments c CROSS JOIN payments d
-- @case I131 | stmt | REINDEX
-- @expect block
REINDEX TABLE payments
-- @case I132 | stmt | CLUSTER
-- @expect block
CLUSTER payments USING payments_pkey
-- @case I133 | stmt | two-phase commit
-- @expect block
-- @mode simple-only
BEGIN; INSERT INTO notes(body) VALUES ('p'); PREPARE TRANSACTION 'x'
-- @case I134 | stmt | CREATE SCHEMA
-- @expect block
CREATE SCHEMA s2
-- @case I135 | stmt | security label
-- @expect block
COMMENT ON TABLE notes IS 'x'
-- @case I136 | stmt | LISTEN is no reading
-- @expect mask|block
LISTEN c
-- @case I137 | stmt | IMPORT FOREIGN SCHEMA
-- @expect block
IMPORT FOREIGN SCHEMA public FROM SERVER s INTO public

-- J. lexer parity, more of them
-- @case J101 | lex | standard_conforming_strings by SET
-- @expect block
SET standard_conforming_strings = off
-- @case J102 | lex | standard_conforming_strings by set_config
-- @expect block
SELECT set_config('standard_conforming_strings', 'off', false)
-- @case J103 | lex | backslash_quote
-- @expect block
SET backslash_quote = on
-- @case J104 | lex | escape_string_warning off is refused too
-- @expect block
SET escape_string_warning = off
-- @case J105 | lex | client encoding of two bytes
-- @expect block
SET client_encoding = 'SJIS'
-- @case J106 | lex | client encoding by SET NAMES
-- @expect block
SET NAMES 'GBK'
-- @case J107 | lex | client encoding in the startup packet
-- @expect block
-- @mode startup
-- @msg startup client_encoding=SJIS
-- @msg Q SELECT 1
-- @case J108 | lex | search_path in the startup packet
-- @expect block
-- @mode startup
-- @msg startup options=-c search_path=pg_temp
-- @msg Q SELECT 1
-- @case J109 | lex | role in the startup packet
-- @expect block
-- @mode startup
-- @msg startup options=-c role=postgres
-- @msg Q SELECT 1
-- @case J110 | lex | session_replication_role in the startup packet
-- @expect block
-- @mode startup
-- @msg startup options=--session_replication_role=replica
-- @msg Q SELECT 1
-- @case J111 | lex | dollar quotes
-- @expect block
-- @mode simple-only
SELECT $a$ '; $a$; DELETE FROM refunds
-- @case J112 | lex | nested dollar quotes hide nothing
-- @expect mask
SELECT $$ -- $$ AS a, card_number FROM payments WHERE id = 1
-- @case J113 | lex | unicode escapes with another escape character
-- @expect mask|block
SELECT U&'d!0061t' UESCAPE '!', card_number FROM payments WHERE id = 1
-- @case J114 | lex | national string
-- @expect mask|block
SELECT N'x', card_number FROM payments WHERE id = 1
-- @case J115 | lex | not UTF-8
-- @expect block
-- @mode raw
-- @msg Qraw SELECT '\xff\xfe'\0
-- @case J116 | lex | no terminator
-- @expect block
-- @mode raw
-- @msg Qraw SELECT 1
-- @case J117 | lex | identifier in mixed case with a long tail
-- @expect mask
SELECT card_number AS "A Very Long Identifier That Goes On And On Past The Sixty-Three Bytes" FROM payments WHERE id = 1
-- @case J118 | lex | line comment at the end of input
-- @expect mask
SELECT card_number FROM payments WHERE id = 1 -- the end
-- @case J119 | lex | operator made of comment characters
-- @expect block
-- @mode simple-only
SELECT 1 */* x */ 2; DELETE FROM refunds

-- K. protocol, more of them
-- @case K101 | proto | text, then binary results of the same statement
-- @expect mask|block
-- @mode raw
-- @msg P k | SELECT card_number, amount FROM payments
-- @msg B  | k | 0
-- @msg E
-- @msg B  | k | 1
-- @msg E
-- @msg S
-- @case K102 | proto | Execute without Describe, in binary
-- @expect mask|block
-- @mode raw
-- @msg P  | SELECT substr(card_number,1,16)::bigint FROM payments WHERE id = 1
-- @msg B  |  | 1
-- @msg E
-- @msg S
-- @case K103 | proto | a refused statement in the middle of a batch undoes what stands before it
-- @expect block
-- @mode raw
-- @unchanged
-- @msg P  | INSERT INTO customers(id, name) VALUES (31, 'before')
-- @msg B  |
-- @msg E
-- @msg P  | DROP TABLE refunds
-- @msg B  |
-- @msg E
-- @msg S
-- @case K104 | proto | what stands behind a refused statement is not done
-- @expect block
-- @mode raw
-- @unchanged
-- @msg P  | DROP TABLE refunds
-- @msg B  |
-- @msg E
-- @msg P  | INSERT INTO customers(id, name) VALUES (32, 'after')
-- @msg B  |
-- @msg E
-- @msg S
-- @case K105 | proto | a refused statement in a transaction block aborts it
-- @expect block
-- @mode raw
-- @unchanged
-- @msg Q BEGIN
-- @msg Q INSERT INTO customers(id, name) VALUES (33, 'in the block')
-- @msg Q DROP TABLE refunds
-- @msg Q COMMIT
-- @case K106 | proto | one byte at a time
-- @expect mask|block
-- @mode raw
-- @msg segment 1
-- @msg Q SELECT card_number FROM payments WHERE id = 1
-- @case K107 | proto | two statements written at once
-- @expect mask|block
-- @mode raw
-- @msg Qnowait SELECT reverse(card_number) FROM payments WHERE id = 1
-- @msg Qnowait SELECT card_number FROM payments WHERE id = 2
-- @msg wait
-- @msg wait
-- @case K108 | proto | cancel with a wrong key
-- @expect block
-- @mode raw
-- @msg cancel wrong
-- @case K109 | proto | cancel with a key of zeros
-- @expect block
-- @mode raw
-- @msg cancel zero
-- @case K110 | proto | replication in the startup packet
-- @expect block
-- @mode startup
-- @msg startup replication=database
-- @msg Q IDENTIFY_SYSTEM
-- @case K111 | proto | replication as a boolean
-- @expect block
-- @mode startup
-- @msg startup replication=on
-- @msg Q IDENTIFY_SYSTEM
-- @case K112 | proto | another person's name
-- @expect block
-- @mode startup
-- @msg startup user=app2
-- @msg Q SELECT 1
-- @case K113 | proto | parameters in a bind are echoed
-- @expect mask|block
-- @mode raw
-- @msg P  | SELECT $1::text
-- @msg B  |  |  | 4539577986432614
-- @msg D P
-- @msg E
-- @msg S
-- @case K114 | proto | CopyData outside of a copy
-- @expect mask|block
-- @mode raw
-- @msg d abc
-- @msg Q SELECT card_number FROM payments WHERE id = 1
-- @case K115 | proto | function call with a wrong number
-- @expect mask|block
-- @mode raw
-- @msg F pg_sleep(float8) | 0

-- L. content, more of them
-- @case L101 | scan | plain text with a number
-- @expect mask
SELECT body FROM notes ORDER BY id
-- @case L102 | scan | array of texts
-- @expect mask
SELECT tags FROM notes ORDER BY id
-- @case L103 | scan | bytea as text
-- @expect mask
SELECT raw FROM notes ORDER BY id
-- @case L104 | scan | number in a bigint column
-- @expect mask
SELECT pan FROM ledger
-- @case L105 | scan | number in a numeric column, all columns
-- @expect mask
SELECT * FROM ledger
-- @case L106 | scan | bytea in binary
-- @expect mask
-- @mode extbin
SELECT raw FROM notes WHERE id = 1
-- @case L107 | scan | array in binary
-- @expect mask
-- @mode extbin
SELECT tags FROM notes WHERE id = 1
-- @case L108 | scan | json in binary
-- @expect mask
-- @mode extbin
SELECT doc FROM notes WHERE id = 1
-- @case L109 | scan | as COPY text
-- @expect mask
COPY notes TO STDOUT
-- @case L110 | scan | as COPY CSV
-- @expect mask
COPY notes(body, tags) TO STDOUT (FORMAT csv)
-- @case L111 | scan | in the text of an error that names a literal
-- @expect mask|block
SELECT '4539577986432614'::date
-- @case L112 | scan | as the name of a column
-- @expect mask|block
SELECT 1 AS "4539577986432614"
-- @case L113 | scan | as a notification
-- @expect mask|block
-- @mode simple-only
LISTEN c; NOTIFY c, '4539577986432614'
-- @case L115 | scan | a number that is no card number
-- @expect allow
SELECT body FROM notes WHERE id = 2
-- @case L116 | scan | timestamps, numbers and identifiers stay
-- @expect allow
SELECT id, amount, created_at, status, expiry FROM payments ORDER BY id
-- @case L117 | scan | UUID, inet, macaddr, intervals stay
-- @expect allow
SELECT 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '10.1.2.3'::inet, interval '3 days 04:05:06', 1.5::float8, 12345678901234567890::numeric
-- @case L118 | scan | plain counting
-- @expect allow
SELECT g, g * 1000003 FROM generate_series(1, 500) g
-- @case L119 | scan | unclassified tables
-- @expect allow
SELECT * FROM customers ORDER BY id
-- @case L120 | scan | unclassified tables in binary
-- @expect allow
-- @mode extbin
SELECT id, name, email, score FROM customers ORDER BY id
-- @case L121 | scan | an INSERT with a key
-- @expect allow
INSERT INTO customers(id, name) VALUES (9, 'Dee') RETURNING id, name
-- @case L122 | scan | an UPDATE with a key
-- @expect allow
UPDATE customers SET score = 5 WHERE id = 1
-- @case L123 | scan | a DELETE with a key
-- @expect allow
DELETE FROM customers WHERE id = 99
-- @case L124 | scan | an error of the server stays as it is
-- @expect allow
-- @mode simple-only
SELECT nothing FROM customers
-- @case L125 | scan | a syntax error of the server's own kind
-- @expect mask|block
SELEC 1
-- @case L126 | scan | transactions and savepoints
-- @expect allow
-- @mode simple-only
BEGIN; SAVEPOINT a; UPDATE customers SET score = 1 WHERE id = 1; ROLLBACK TO a; COMMIT
-- @case L127 | scan | a portal in steps
-- @expect allow
-- @mode raw
-- @msg P  | SELECT id, name FROM customers ORDER BY id
-- @msg B  |
-- @msg D P
-- @msg E  | 1
-- @msg E  | 5
-- @msg S
-- @case L128 | scan | COPY FROM STDIN
-- @expect allow
-- @mode raw
-- @msg Qnowait COPY notes(body) FROM STDIN
-- @msg d one\x0a
-- @msg d two\x0a
-- @msg c
-- @msg wait
-- @case L129 | scan | COPY FROM STDIN that the client ends
-- @expect allow
-- @mode raw
-- @msg Qnowait COPY notes(body) FROM STDIN
-- @msg d one\x0a
-- @msg f no more
-- @msg wait
-- @case L130 | scan | empty query
-- @expect allow
-- @mode raw
-- @msg Q 
-- @case L131 | scan | error inside a transaction block
-- @expect allow
-- @mode raw
-- @msg Q BEGIN
-- @msg Q SELECT 1/0
-- @msg Q SELECT 1
-- @msg Q ROLLBACK
-- @case L132 | scan | batch with an error of the server
-- @expect allow
-- @mode raw
-- @msg P  | INSERT INTO customers(id, name) VALUES (20, 'x')
-- @msg B  |
-- @msg E
-- @msg P  | SELECT 1/0
-- @msg B  |
-- @msg E
-- @msg P  | SELECT 2
-- @msg B  |
-- @msg E
-- @msg S

-- M. what an attacker tries who has read the documentation and the source
-- @case M101 | guess | division by zero in a predicate
-- @expect infer
-- @world 4539572130492614
SELECT id FROM payments WHERE 1 / (CASE WHEN card_number LIKE '4539577%' THEN 0 ELSE 1 END) = 1
-- @case M102 | guess | cast that fails only for the right guess
-- @expect infer
-- @world 4539572130492614
SELECT CASE WHEN card_number LIKE '4539577%' THEN 'x'::text::int ELSE 1 END FROM payments WHERE id = 1
-- @case M103 | guess | date that does not exist for one digit
-- @expect infer
-- @world 4539572130492614
SELECT make_date(2026, substr(card_number, 7, 1)::int + 6, 1) FROM payments WHERE id = 1
-- @case M104 | guess | root of a negative number
-- @expect infer
-- @world 4539572130492614
SELECT sqrt(substr(card_number, 7, 1)::int - 5) FROM payments WHERE id = 1
-- @case M105 | guess | range with its bounds the wrong way round
-- @expect infer
-- @world 4539572130492614
SELECT int4range(5, substr(card_number, 7, 1)::int) FROM payments WHERE id = 1
-- @case M106 | guess | length that is negative
-- @expect infer
-- @world 4539572130492614
SELECT repeat('x', 3), substring('abc' FROM 1 FOR substr(card_number, 7, 1)::int - 5) FROM payments WHERE id = 1
-- @case M107 | guess | more than one row from a sub-select
-- @expect infer
-- @world 4539572130492614
SELECT (SELECT g FROM generate_series(1, substr(card_number, 7, 1)::int - 3) g) FROM payments WHERE id = 1
-- @case M108 | guess | overflow of an integer
-- @expect infer
-- @world 4539572130492614
SELECT (substr(card_number, 7, 10)::bigint - 5000000000)::int FROM payments WHERE id = 1
-- @case M109 | guess | regular expression that does not compile for one digit
-- @expect infer
-- @world 4539572130492614
SELECT 'a' ~ ('a{' || substr(card_number, 7, 3) || '}') FROM payments WHERE id = 1
-- @case M110 | guess | time zone made of digits
-- @expect infer
-- @world 4539572130492614
SELECT now() AT TIME ZONE make_interval(hours => substr(card_number, 7, 2)::int) IS NULL FROM payments WHERE id = 1
-- @case M111 | guess | array subscript out of bounds when assigned
-- @expect infer
-- @world 4539572130492614
SELECT (ARRAY[1,2,3,4,5])[substr(card_number, 7, 1)::int] FROM payments WHERE id = 1
-- @case M112 | guess | path of json that fails in strict mode
-- @expect infer
-- @world 4539572130492614
SELECT jsonb_path_query('[1,2,3,4,5]', ('strict $[' || substr(card_number, 7, 1) || ']')::jsonpath) FROM payments WHERE id = 1
-- @case M113 | guess | rows removed by a filter
-- @expect infer
-- @world 4539572130492614
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT 1 FROM payments WHERE card_number LIKE '4539577%'
-- @case M114 | guess | rows of an index scan
-- @expect infer
-- @world 4539572130492614
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off, BUFFERS) SELECT 1 FROM payments WHERE card_number = '4539577986432614'
-- @case M115 | guess | estimates as JSON
-- @expect infer
-- @world 4539572130492614
EXPLAIN (FORMAT json) SELECT 1 FROM payments WHERE card_number < '4539577' AND card_number > '4539571'
-- @case M116 | guess | how many rows a cursor moves over
-- @expect infer
-- @mode simple-only
-- @world 4539572130492614
BEGIN; DECLARE m CURSOR FOR SELECT 1 FROM payments WHERE card_number LIKE '4539577%'; MOVE ALL FROM m; ROLLBACK
-- @case M117 | guess | the tag of a COPY
-- @expect infer
-- @world 4539572130492614
COPY (SELECT 1 FROM payments WHERE card_number > '4539577') TO STDOUT
-- @case M118 | guess | the tag of an INSERT
-- @expect infer
-- @world 4539572130492614
INSERT INTO notes(body) SELECT 'hit' FROM payments WHERE card_number LIKE '4539577%'
-- @case M119 | guess | the tag of an UPDATE elsewhere
-- @expect infer
-- @world 4539572130492614
UPDATE customers SET score = score + 1 WHERE id IN (SELECT customer_id FROM payments WHERE card_number ~ '^4539577')
-- @case M120 | guess | an UPDATE that joins
-- @expect infer
-- @world 4539572130492614
UPDATE customers c SET score = 1 FROM payments p WHERE p.customer_id = c.id AND c.id = 1 AND p.card_number < '4539573'
-- @case M121 | guess | a DELETE that joins
-- @expect infer
-- @world 4539572130492614
DELETE FROM customers c USING payments p WHERE c.id = 99 AND p.card_number = '4539577986432614'
-- @case M122 | guess | MERGE with a predicate on it
-- @expect infer
-- @world 4539572130492614
MERGE INTO notes n USING payments p ON n.id = p.id WHEN MATCHED AND p.card_number LIKE '4539577%' THEN UPDATE SET body = 'hit' WHEN MATCHED THEN DO NOTHING
-- @case M123 | guess | MERGE that joins on a guess
-- @expect infer
-- @world 4539572130492614
MERGE INTO notes n USING (SELECT id FROM payments WHERE card_number = '4539577986432614') p ON n.id = p.id WHEN MATCHED THEN UPDATE SET body = 'hit'
-- @case M124 | guess | a sequence counts the hits
-- @expect infer
-- @world 4539572130492614
SELECT count(nextval('lseq')) FROM payments WHERE card_number LIKE '4539577%'
SELECT last_value FROM lseq
-- @case M125 | guess | a sequence is set to a digit
-- @expect infer
-- @world 4539572130492614
SELECT setval('lseq', substr(card_number, 7, 6)::bigint) FROM payments WHERE id = 1
SELECT currval('lseq')
-- @case M126 | guess | parameter of a prepared statement
-- @expect infer
-- @mode simple-only
-- @world 4539572130492614
PREPARE q(text) AS SELECT count(*) FROM payments WHERE card_number = $1
EXECUTE q('4539577986432614')
-- @case M127 | guess | parameter of the protocol
-- @expect infer
-- @mode raw
-- @world 4539572130492614
-- @msg P  | SELECT count(*) FROM payments WHERE card_number = $1
-- @msg B  |  |  | 4539577986432614
-- @msg D P
-- @msg E
-- @msg S
-- @case M128 | guess | parameter as a pattern
-- @expect infer
-- @mode raw
-- @world 4539572130492614
-- @msg P  | SELECT id FROM payments WHERE card_number LIKE $1 || '%'
-- @msg B  |  |  | 4539577
-- @msg E
-- @msg S
-- @case M129 | order | ORDER BY position
-- @expect infer
-- @world 9939572130492614
SELECT id, card_number FROM payments ORDER BY 2
-- @case M130 | order | ORDER BY USING
-- @expect infer
-- @world 9939572130492614
SELECT id FROM payments ORDER BY card_number USING >
-- @case M131 | order | ORDER BY in a sub-select with LIMIT
-- @expect infer
-- @world 9939572130492614
SELECT id FROM (SELECT id FROM payments ORDER BY card_number DESC LIMIT 1) s
-- @case M132 | order | ORDER BY an output name
-- @expect infer
-- @world 9939572130492614
SELECT id, card_number AS c FROM payments ORDER BY c
-- @case M133 | order | ORDER BY in an aggregate
-- @expect infer
-- @world 9939572130492614
SELECT string_agg(id::text, ',' ORDER BY card_number) FROM payments
-- @case M134 | order | array_agg with an order
-- @expect infer
-- @world 9939572130492614
SELECT (array_agg(id ORDER BY card_number DESC))[1] FROM payments
-- @case M135 | order | row_number over it
-- @expect infer
-- @world 9939572130492614
SELECT id, row_number() OVER (ORDER BY card_number) FROM payments ORDER BY id
-- @case M136 | order | a frame of the window decides
-- @expect infer
-- @world 9939572130492614
SELECT id, count(*) OVER (ORDER BY card_number ROWS UNBOUNDED PRECEDING) FROM payments ORDER BY id
-- @case M137 | order | lag of the key over it
-- @expect infer
-- @world 9939572130492614
SELECT id, lag(id) OVER w FROM payments WINDOW w AS (ORDER BY card_number) ORDER BY id
-- @case M138 | order | partition by its digits
-- @expect infer
-- @world 4539572130492614
SELECT id, count(*) OVER (PARTITION BY substr(card_number, 7, 1)) FROM payments ORDER BY id
-- @case M139 | order | hypothetical rank of a guess
-- @expect infer
-- @world 4539572130492614
SELECT rank('4539575') WITHIN GROUP (ORDER BY card_number) FROM payments
-- @case M140 | order | cume_dist of a guess
-- @expect infer
-- @world 4539572130492614
SELECT cume_dist('4539575') WITHIN GROUP (ORDER BY card_number) FROM payments
-- @case M141 | order | percentile over digits
-- @expect infer
-- @world 4539572130492614
SELECT percentile_disc(0) WITHIN GROUP (ORDER BY substr(card_number, 7, 6)::int) FROM payments WHERE id = 1
-- @case M142 | order | DISTINCT ON it
-- @expect infer
-- @world 9939572130492614
SELECT DISTINCT ON (card_number) id FROM payments ORDER BY card_number, id
-- @case M143 | order | greatest against a guess
-- @expect infer
-- @world 4539572130492614
SELECT greatest(card_number, '4539575') = '4539575' FROM payments WHERE id = 1
-- @case M144 | order | GROUP BY digits
-- @expect infer
-- @world 4539572130492614
SELECT count(*) FROM payments GROUP BY substr(card_number, 7, 1) ORDER BY 1
-- @case M145 | order | GROUPING SETS with HAVING
-- @expect infer
-- @world 4539572130492614
SELECT count(*) FROM payments GROUP BY GROUPING SETS ((card_number), ()) HAVING max(card_number) LIKE '4539577%'
-- @case M146 | order | ROLLUP over digits
-- @expect infer
-- @world 4539572130492614
SELECT count(*), grouping(substr(card_number, 7, 1)) FROM payments GROUP BY ROLLUP (substr(card_number, 7, 1))
-- @case M147 | order | bool_or of a guess
-- @expect infer
-- @world 4539572130492614
SELECT bool_or(card_number LIKE '4539577%'), every(card_number > '3') FROM payments
-- @case M148 | order | IS DISTINCT FROM a guess
-- @expect infer
-- @world 4539572130492614
SELECT id FROM payments WHERE card_number IS NOT DISTINCT FROM '4539577986432614'
-- @case M149 | order | ALL and ANY
-- @expect infer
-- @world 4539572130492614
SELECT id FROM payments WHERE card_number = ANY (ARRAY['4539577986432614', '1']) AND card_number <> ALL (ARRAY['2'])
-- @case M150 | order | BETWEEN SYMMETRIC
-- @expect infer
-- @world 4539572130492614
SELECT id FROM payments WHERE card_number BETWEEN SYMMETRIC '4539578' AND '4539577'
-- @case M151 | order | starts-with operator
-- @expect infer
-- @world 4539572130492614
SELECT id FROM payments WHERE card_number ^@ '4539577'
-- @case M152 | order | other collation, case-blind pattern
-- @expect infer
-- @world 4539572130492614
SELECT id FROM payments WHERE card_number COLLATE "C" ILIKE '4539577%'
-- @case M153 | order | NULLIF shows equality
-- @expect infer
-- @world 4539572130492614
SELECT id, nullif(card_number, '4539577986432614') IS NULL FROM payments
-- @case M154 | order | position of a digit
-- @expect infer
-- @world 4539572130492614
SELECT position('7' IN substr(card_number, 7, 6)), strpos(card_number, '798') FROM payments WHERE id = 1
-- @case M155 | order | backreference
-- @expect infer
-- @world 4539572130492614
SELECT card_number ~ '(\d)(\d)\2' , card_number ~ '5(7)\1' FROM payments WHERE id = 1
-- @case M156 | order | count of matches
-- @expect infer
-- @world 4539572130492614
SELECT regexp_count(card_number, '7'), regexp_instr(card_number, '86'), regexp_like(card_number, '577') FROM payments WHERE id = 1
-- @case M157 | order | distance of texts by length of what is left
-- @expect infer
-- @world 4539572130492614
SELECT length(replace(card_number, '7', '')) FROM payments WHERE id = 1
-- @case M158 | order | join through another table's rows
-- @expect infer
-- @world 4539572130492614
SELECT g FROM payments, generate_series(0, 9) g WHERE id = 1 AND substr(card_number, 7, 1) = g::text
-- @case M159 | order | outer join tells what did not match
-- @expect infer
-- @world 4539572130492614
SELECT v.g, p.id IS NULL FROM (VALUES ('4539577986432614'), ('4539572130492614')) v(g) LEFT JOIN payments p ON p.card_number = v.g ORDER BY 1
-- @case M160 | order | NATURAL JOIN with a table of guesses
-- @expect infer
-- @world 4539572130492614
SELECT id FROM payments NATURAL JOIN (VALUES ('4539577986432614')) v(card_number)
-- @case M161 | order | JOIN USING with a table of guesses
-- @expect infer
-- @world 4539572130492614
SELECT count(*) FROM (VALUES ('4539577986432614')) v(card_number) JOIN payments USING (card_number)
-- @case M162 | order | NOT IN with guesses
-- @expect infer
-- @world 4539572130492614
SELECT count(*) FROM (VALUES ('4539577986432614')) v(g) WHERE g NOT IN (SELECT card_number FROM payments)
-- @case M163 | order | EXCEPT of guesses
-- @expect infer
-- @world 4539572130492614
SELECT '4539577986432614' EXCEPT SELECT card_number FROM payments
-- @case M164 | order | row in rows
-- @expect infer
-- @world 4539572130492614
SELECT (1, '4539577986432614') IN (SELECT id, card_number FROM payments)
-- @case M165 | order | array contains a guess
-- @expect infer
-- @world 4539572130492614
SELECT ARRAY(SELECT card_number FROM payments) @> ARRAY['4539577986432614']
-- @case M166 | order | array overlap of digits
-- @expect infer
-- @world 4539572130492614
SELECT string_to_array(card_number, NULL) && ARRAY['0'] FROM payments WHERE id = 1
-- @case M167 | order | number of rows from a digit
-- @expect infer
-- @world 4539572130492614
SELECT g FROM payments p, LATERAL generate_series(1, substr(p.card_number, 7, 1)::int) g WHERE p.id = 1
-- @case M168 | order | OFFSET from a digit
-- @expect infer
-- @world 4539572130492614
SELECT g FROM generate_series(1, 12) g OFFSET (SELECT substr(card_number, 7, 1)::int FROM payments WHERE id = 1)
-- @case M169 | order | TABLESAMPLE by a digit
-- @expect infer
-- @world 4539572130492614
SELECT count(*) FROM customers TABLESAMPLE bernoulli ((SELECT substr(card_number, 7, 1)::int FROM payments WHERE id = 1) * 11) REPEATABLE (1)
-- @case M170 | order | ctid of a hit
-- @expect infer
-- @world 4539572130492614
SELECT id FROM payments WHERE ctid IN (SELECT ctid FROM payments WHERE card_number LIKE '4539577%')
-- @case M171 | order | text search finds a guess
-- @expect infer
-- @world 4539572130492614
SELECT to_tsvector('simple', card_number) @@ to_tsquery('simple', '4539577:*') FROM payments WHERE id = 1
-- @case M172 | order | time by a regular expression
-- @expect infer
-- @world 4539572130492614
SELECT count(*) FROM payments p, LATERAL generate_series(1, CASE WHEN p.card_number LIKE '4539577%' THEN 9000000 ELSE 1 END) g WHERE p.id = 1
-- @case M173 | order | time by sleeping
-- @expect infer
-- @world 4539572130492614
SELECT pg_sleep(CASE WHEN card_number LIKE '4539577%' THEN 2 ELSE 0 END) FROM payments WHERE id = 1
-- @case M174 | row | row compared with a row
-- @expect infer
-- @world 4539572130492614
SELECT p = ROW(1, 1, '4539577986432614', 'Ann A', '111', '12/29', 10.00, 'ok', '{"k":1}', '2026-01-01')::payments FROM payments p WHERE id = 1
-- @case M175 | row | row as text has a pattern
-- @expect infer
-- @world 4539572130492614
SELECT count(*) FROM payments p WHERE p::text LIKE '%4539577%'
-- @case M176 | row | row through a function call
-- @expect infer
-- @world 4539572130492614
SELECT count(*) FROM payments p WHERE text(p) LIKE '%4539577%' OR concat(p) LIKE '%4539577%'
-- @case M177 | row | row in an ORDER BY
-- @expect infer
-- @world 9939572130492614
SELECT p.id FROM (SELECT card_number, id FROM payments) p ORDER BY p
-- @case M178 | row | row in a GROUP BY with its minimum
-- @expect infer
-- @world 4539572130492614
SELECT min(ROW(card_number, id)) = ROW('4539577986432614', 1) FROM payments WHERE id = 1
-- @case M179 | row | row as json holds a guess
-- @expect infer
-- @world 4539572130492614
SELECT to_jsonb(p) @> '{"card_number": "4539577986432614"}' FROM payments p WHERE id = 1
-- @case M180 | row | path of json with a condition
-- @expect infer
-- @world 4539572130492614
SELECT jsonb_path_exists(to_jsonb(p), '$.card_number ? (@ starts with "4539577")') FROM payments p WHERE id = 1
-- @case M181 | row | path with like_regex
-- @expect infer
-- @world 4539572130492614
SELECT jsonb_path_match(jsonb_build_object('c', card_number), '$.c like_regex "^4539577"') FROM payments WHERE id = 1
-- @case M182 | row | key of an object
-- @expect infer
-- @world 4539572130492614
SELECT jsonb_build_object(card_number, 1) ? '4539577986432614' FROM payments WHERE id = 1
-- @case M183 | row | size of what is compressed
-- @expect infer
-- @world 4539572130492614
SELECT pg_column_size(jsonb_build_object(repeat(substr(card_number, 7, 2), 900), 1)) FROM payments WHERE id = 1
-- @case M184 | row | UNION makes one of two
-- @expect infer
-- @world 4539572130492614
SELECT count(*) FROM (SELECT card_number FROM payments WHERE id = 1 UNION SELECT '4539577986432614') s
-- @case M185 | hash | hashtext of it
-- @expect infer
-- @world 4539572130492614
SELECT hashtext(card_number) FROM payments WHERE id = 1
-- @case M186 | hash | hashtextextended of it
-- @expect infer
-- @world 4539572130492614
SELECT hashtextextended(card_number, 7) FROM payments WHERE id = 1
-- @case M187 | hash | hash_array of it
-- @expect infer
-- @world 4539572130492614
SELECT hash_array(ARRAY[card_number]) FROM payments WHERE id = 1
-- @case M188 | hash | hash_record of it
-- @expect infer
-- @world 4539572130492614
SELECT hash_record(ROW(card_number)) FROM payments WHERE id = 1
-- @case M189 | hash | hashint8 of it
-- @expect infer
-- @world 4539572130492614
SELECT hashint8(substr(card_number, 1, 15)::bigint) FROM payments WHERE id = 1
-- @case M190 | hash | hashbpchar of it
-- @expect infer
-- @world 4539572130492614
SELECT hashbpchar(card_number::bpchar) FROM payments WHERE id = 1
-- @case M191 | hash | encode of it
-- @expect infer
-- @world 4539572130492614
SELECT encode(sha224(card_number::bytea), 'base64') FROM payments WHERE id = 1
-- @case M192 | hash |  of it
-- @expect infer
-- @world 4539572130492614
SELECT ('x' || substr(md5(card_number), 1, 8))::bit(32)::int FROM payments WHERE id = 1
-- @case M193 | hash | uuid of it
-- @expect infer
-- @world 4539572130492614
SELECT uuid(md5(card_number)) FROM payments WHERE id = 1
-- @case M194 | hash | hash_numeric of it
-- @expect infer
-- @world 4539572130492614
SELECT hash_numeric(card_number::numeric) FROM payments WHERE id = 1
-- @case M195 | show | send function of text
-- @expect infer
-- @world 4539572130492614
SELECT textsend(card_number) FROM payments WHERE id = 1
-- @case M196 | show | send function of a number
-- @expect infer
-- @world 4539572130492614
SELECT int8send(substr(card_number, 1, 15)::bigint) FROM payments WHERE id = 1
-- @case M197 | show | output function
-- @expect infer
-- @world 4539572130492614
SELECT textout(card_number) FROM payments WHERE id = 1
-- @case M198 | show | as a name
-- @expect infer
-- @world 4539572130492614
SELECT card_number::name FROM payments WHERE id = 1
-- @case M199 | show | as an LSN
-- @expect infer
-- @world 4539572130492614
SELECT '0/0'::pg_lsn + substr(card_number, 1, 15)::numeric FROM payments WHERE id = 1
-- @case M200 | show | as a point
-- @expect infer
-- @world 4539572130492614
SELECT point(substr(card_number, 1, 8)::float8, substr(card_number, 9, 8)::float8) FROM payments WHERE id = 1
-- @case M201 | show | as a time
-- @expect infer
-- @world 4539572130492614
SELECT to_timestamp(substr(card_number, 1, 11)::float8) FROM payments WHERE id = 1
-- @case M202 | show | as a size
-- @expect infer
-- @world 4539572130492614
SELECT pg_size_pretty(substr(card_number, 1, 15)::bigint) FROM payments WHERE id = 1
-- @case M203 | show | as a uuid
-- @expect infer
-- @world 4539572130492614
SELECT lpad(card_number, 32, '0')::uuid FROM payments WHERE id = 1
-- @case M204 | show | as an array of pairs
-- @expect infer
-- @world 4539572130492614
SELECT regexp_split_to_array(card_number, '(?=(..)+$)') FROM payments WHERE id = 1
-- @case M205 | show | as a multirange
-- @expect infer
-- @world 4539572130492614
SELECT int8multirange(int8range(substr(card_number, 1, 15)::bigint, NULL)) FROM payments WHERE id = 1
-- @case M206 | show | as bits
-- @expect infer
-- @world 4539572130492614
SELECT card_number::numeric::bigint::bit(64) FROM payments WHERE id = 1
-- @case M207 | show | in words of money
-- @expect infer
-- @world 4539572130492614
SELECT cash_words((substr(card_number, 7, 6)::int)::money) FROM payments WHERE id = 1
-- @case M208 | show | normalized
-- @expect infer
-- @world 4539572130492614
SELECT normalize(card_number, NFKD) FROM payments WHERE id = 1
-- @case M209 | show | digits as another script
-- @expect infer
-- @world 4539572130492614
SELECT translate(card_number, '0123456789', '٠١٢٣٤٥٦٧٨٩') FROM payments WHERE id = 1
-- @case M210 | show | as a tid
-- @expect infer
-- @world 4539572130492614
SELECT ('(' || substr(card_number, 5, 9) || ',1)')::tid FROM payments WHERE id = 1
-- @case M211 | show | as a query tree
-- @expect infer
-- @world 4539572130492614
SELECT querytree(plainto_tsquery('simple', card_number)) FROM payments WHERE id = 1
-- @case M212 | show | headline of a search
-- @expect infer
-- @world 4539572130492614
SELECT ts_headline('simple', card_number, to_tsquery('simple', 'x')) FROM payments WHERE id = 1
-- @case M213 | show | token of a search
-- @expect infer
-- @world 4539572130492614
SELECT ts_lexize('simple', card_number) FROM payments WHERE id = 1
-- @case M214 | show | debugged text search
-- @expect infer
-- @world 4539572130492614
SELECT (ts_debug('simple', card_number)).lexemes FROM payments WHERE id = 1
-- @case M215 | show | parsed text search
-- @expect infer
-- @world 4539572130492614
SELECT ts_parse('default', card_number) FROM payments WHERE id = 1
-- @case M216 | show | xml forest
-- @expect infer
-- @world 4539572130492614
SELECT xmlforest(card_number) FROM payments WHERE id = 1
-- @case M217 | show | xml instruction
-- @expect infer
-- @world 4539572130492614
SELECT xmlpi(name x, card_number) FROM payments WHERE id = 1
-- @case M218 | show | xml path
-- @expect infer
-- @world 4539572130492614
SELECT xpath('//text()', xmlelement(name a, card_number)) FROM payments WHERE id = 1
-- @case M219 | show | identifier parsed
-- @expect infer
-- @world 4539572130492614
SELECT parse_ident('a' || card_number) FROM payments WHERE id = 1
-- @case M220 | show | json object from an array
-- @expect infer
-- @world 4539572130492614
SELECT json_object(ARRAY[card_number, 'x']) FROM payments WHERE id = 1
-- @case M221 | show | json path
-- @expect infer
-- @world 4539572130492614
SELECT jsonb_path_query(to_jsonb(card_number), '$') FROM payments WHERE id = 1
-- @case M222 | show | json path as a number
-- @expect infer
-- @world 4539572130492614
SELECT jsonb_path_query(to_jsonb(card_number), '$.double()') FROM payments WHERE id = 1
-- @case M223 | show | jsonb_set
-- @expect infer
-- @world 4539572130492614
SELECT jsonb_set('{}', ARRAY[card_number], '1', true) FROM payments WHERE id = 1
-- @case M224 | show | jsonb_pretty over the row
-- @expect infer
-- @world 4539572130492614
SELECT jsonb_pretty(to_jsonb(payments)) FROM payments WHERE id = 1
-- @case M225 | show | error text of an input function
-- @expect infer
-- @world 4539572130492614
SELECT pg_input_error_message(card_number, 'int') FROM payments WHERE id = 1
-- @case M226 | show | unistr
-- @expect infer
-- @world 4539572130492614
SELECT unistr('\0034' || substr(card_number, 2)) FROM payments WHERE id = 1
-- @case M227 | show | format with a width
-- @expect infer
-- @world 4539572130492614
SELECT format('%1$s %1$s', card_number) FROM payments WHERE id = 1
-- @case M228 | show | money back and forth
-- @expect infer
-- @world 4539572130492614
SELECT (card_number::numeric::money)::numeric FROM payments WHERE id = 1
-- @case M229 | show | width and digits
-- @expect infer
-- @world 4539572130492614
SELECT to_char(card_number::numeric, '9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9') FROM payments WHERE id = 1
-- @case M230 | show | scientific
-- @expect infer
-- @world 4539572130492614
SELECT to_char(card_number::numeric, '9.999999999999999EEEE') FROM payments WHERE id = 1
-- @case M231 | show | roman
-- @expect infer
-- @world 4539572130492614
SELECT to_char(substr(card_number, 7, 3)::int, 'RN') FROM payments WHERE id = 1
-- @case M232 | show | acl item
-- @expect infer
-- @world 4539572130492614
SELECT makeaclitem(substr(card_number, 7, 6)::oid, 10, 'SELECT', false) FROM payments WHERE id = 1
-- @case M233 | show | search and cycle columns of a recursion
-- @expect infer
-- @world 4539572130492614
WITH RECURSIVE t(n, c) AS (SELECT id, card_number FROM payments WHERE id = 1 UNION ALL SELECT n + 1, c FROM t WHERE n < 3) SEARCH DEPTH FIRST BY c SET way CYCLE c SET again USING path SELECT way, path FROM t
-- @case M234 | show | a recursion takes digit by digit
-- @expect infer
-- @world 4539572130492614
WITH RECURSIVE d(i, c) AS (SELECT 1, ''::text UNION ALL SELECT i + 1, substr((SELECT card_number FROM payments WHERE id = 1), i, 1) FROM d WHERE i < 17) SELECT string_agg(c, '.' ORDER BY i) FROM d
-- @case M235 | show | ROWS FROM with an ordinal
-- @expect infer
-- @world 4539572130492614
SELECT t.* FROM ROWS FROM (unnest(ARRAY(SELECT card_number FROM payments WHERE id = 1)), generate_series(1, 2)) WITH ORDINALITY t
-- @case M236 | show | xmltable over a column
-- @expect infer
-- @world 4539572130492614
SELECT x.* FROM payments p, xmltable('/r' PASSING xmlelement(name r, p.card_number) COLUMNS c text PATH 'text()') x WHERE p.id = 1
-- @case M237 | show | json_to_record over a row
-- @expect infer
-- @world 4539572130492614
SELECT x.card_number FROM payments p, jsonb_to_record(to_jsonb(p)) x(card_number text) WHERE p.id = 1
-- @case M238 | show | json_populate_record of another type
-- @expect infer
-- @world 4539572130492614
SELECT x.name FROM payments p, jsonb_populate_record(NULL::customers, jsonb_build_object('name', p.card_number)) x WHERE p.id = 1
-- @case M239 | show | alias over a join
-- @expect infer
-- @world 4539572130492614
SELECT j.* FROM (payments JOIN customers ON payments.customer_id = customers.id) AS j(a, b, c) WHERE a = 1
-- @case M240 | show | alias of USING
-- @expect infer
-- @world 4539572130492614
SELECT u FROM payments JOIN refunds USING (id, card_number) AS u
-- @case M241 | show | slice of an array
-- @expect infer
-- @world 4539572130492614
SELECT (ARRAY(SELECT card_number FROM payments WHERE id = 1))[1:1], (ARRAY[card_number])[1] FROM payments WHERE id = 1
-- @case M242 | show | VALUES with sub-selects
-- @expect infer
-- @world 4539572130492614
VALUES ((SELECT substr(card_number, 7, 3) FROM payments WHERE id = 1), (SELECT substr(card_number, 10, 3) FROM payments WHERE id = 1))
-- @case M243 | show | CASE with the value as its test
-- @expect infer
-- @world 4539572130492614
SELECT CASE card_number WHEN '4539577986432614' THEN 'yes' ELSE 'no' END FROM payments WHERE id = 1
-- @case M244 | show | FILTER and an order inside one aggregate
-- @expect infer
-- @world 4539572130492614
SELECT array_agg(DISTINCT substr(card_number, 7, 2)) FILTER (WHERE id = 1) FROM payments
-- @case M245 | show | window of a window
-- @expect infer
-- @world 4539572130492614
SELECT first_value(nth) OVER () FROM (SELECT nth_value(substr(card_number, 7, 6), 1) OVER (ORDER BY id) AS nth FROM payments) s LIMIT 1
-- @case M246 | show | correlated sub-select far inside
-- @expect infer
-- @world 4539572130492614
SELECT (SELECT (SELECT (SELECT reverse(p.card_number)))) FROM payments p WHERE id = 1
-- @case M247 | show | common table expression in an INSERT
-- @expect infer
-- @world 4539572130492614
WITH c AS (SELECT card_number v FROM payments WHERE id = 1) INSERT INTO notes(body) SELECT reverse(v) FROM c RETURNING body
-- @case M248 | show | default of ON CONFLICT
-- @expect infer
-- @world 4539572130492614
INSERT INTO customers(id, name) SELECT 1, 'x' ON CONFLICT (id) DO UPDATE SET name = (SELECT reverse(card_number) FROM payments WHERE id = 1) RETURNING name
-- @case M249 | show | several columns set from one row
-- @expect infer
-- @world 4539572130492614
UPDATE customers SET (name, email) = (SELECT reverse(card_number), 'x' FROM payments WHERE id = 1) WHERE id = 1 RETURNING name
-- @case M250 | show | RETURNING a sub-select
-- @expect infer
-- @world 4539572130492614
UPDATE customers SET score = 1 WHERE id = 1 RETURNING (SELECT reverse(card_number) FROM payments WHERE id = 1)
-- @case M251 | show | cursor over an expression, fetched in binary
-- @expect infer
-- @mode simple-only
-- @world 4539572130492614
BEGIN; DECLARE b BINARY CURSOR FOR SELECT substr(card_number, 1, 15)::bigint FROM payments WHERE id = 1; FETCH b; ROLLBACK
-- @case M252 | show | what the transaction has said goes on
-- @expect infer
-- @world 4539572130492614
SELECT set_config('app.seen', (SELECT reverse(card_number) FROM payments WHERE id = 1), false)
SELECT current_setting('app.seen')
-- @case M253 | show | XML of a cursor
-- @expect infer
-- @world 4539572130492614
SELECT xmlagg(xmlelement(name c, card_number) ORDER BY id) FROM payments WHERE id = 1
-- @case M254 | show | advisory lock and pg_locks
-- @expect infer
-- @world 4539572130492614
SELECT pg_advisory_xact_lock(substr(card_number, 7, 6)::int) FROM payments WHERE id = 1
SELECT objid FROM pg_locks WHERE locktype = 'advisory'
-- @case M255 | show | logical message
-- @expect infer
-- @world 4539572130492614
SELECT pg_logical_emit_message(false, 'x', card_number) FROM payments WHERE id = 1
-- @case M256 | stmt | policy
-- @expect block
CREATE POLICY p ON notes USING (body = (SELECT card_number FROM payments WHERE id = 1))
-- @case M257 | stmt | generated column
-- @expect block
ALTER TABLE payments ADD COLUMN rev text GENERATED ALWAYS AS (reverse(card_number)) STORED
-- @case M258 | stmt | index on an expression
-- @expect block
CREATE INDEX i2 ON payments((1 / (substr(card_number, 7, 1)::int - 7)))
-- @case M259 | stmt | statistics on an expression
-- @expect block
CREATE STATISTICS s2 ON (reverse(card_number)) FROM payments
-- @case M260 | stmt | check constraint that names rows
-- @expect block
ALTER TABLE payments ADD CHECK (card_number < '4539577')
-- @case M261 | stmt | domain with a check
-- @expect block
CREATE DOMAIN dd AS text CHECK (VALUE < '4539577')
-- @case M262 | stmt | type of a column with USING
-- @expect block
ALTER TABLE payments ALTER COLUMN amount TYPE text USING card_number
-- @case M263 | stmt | materialized view
-- @expect block
CREATE MATERIALIZED VIEW mv2 AS SELECT reverse(card_number) FROM payments
-- @case M264 | stmt | foreign table
-- @expect block
CREATE FOREIGN TABLE ft(x text) SERVER s OPTIONS (filename '/etc/passwd')
-- @case M265 | stmt | server of dblink
-- @expect block
CREATE SERVER s FOREIGN DATA WRAPPER dblink_fdw
-- @case M266 | stmt | user mapping
-- @expect block
CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (password 'x')
-- @case M267 | stmt | language
-- @expect block
CREATE LANGUAGE plperlu
-- @case M268 | stmt | operator
-- @expect block
CREATE OPERATOR public.<<< (LEFTARG = text, RIGHTARG = text, FUNCTION = leakop)
-- @case M269 | stmt | aggregate
-- @expect block
CREATE AGGREGATE public.aa(text) (SFUNC = textcat, STYPE = text)
-- @case M270 | stmt | cast
-- @expect block
CREATE CAST (text AS money) WITH INOUT AS ASSIGNMENT
-- @case M271 | stmt | publication
-- @expect block
CREATE PUBLICATION pp FOR TABLE payments
-- @case M272 | stmt | subscription
-- @expect block
CREATE SUBSCRIPTION ss CONNECTION 'host=127.0.0.1' PUBLICATION pp WITH (connect = false)
-- @case M273 | stmt | event trigger
-- @expect block
CREATE EVENT TRIGGER et ON ddl_command_start EXECUTE FUNCTION noisy()
-- @case M274 | stmt | parser of text search
-- @expect block
CREATE TEXT SEARCH CONFIGURATION cc (COPY = simple)
-- @case M275 | stmt | default privileges
-- @expect block
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC
-- @case M276 | stmt | owner
-- @expect block
ALTER TABLE notes OWNER TO postgres
-- @case M277 | stmt | trigger disabled
-- @expect block
ALTER TABLE refunds DISABLE TRIGGER ALL
-- @case M278 | stmt | ANALYZE of one column
-- @expect block
ANALYZE payments(card_number)
-- @case M279 | stmt | DECLARE of a writing query
-- @expect block
COPY (DELETE FROM refunds RETURNING *) TO STDOUT
-- @case M280 | stmt | COPY FROM PROGRAM
-- @expect block
COPY notes(body) FROM PROGRAM 'id'
-- @case M281 | stmt | COPY binary TO PROGRAM
-- @expect block
COPY notes TO PROGRAM 'cat' WITH (FORMAT binary)
-- @case M282 | stmt | LOAD
-- @expect block
LOAD 'plpgsql'
-- @case M283 | stmt | ALTER SYSTEM
-- @expect block
ALTER SYSTEM SET log_statement = 'all'
-- @case M284 | stmt | ALTER ROLE SET
-- @expect block
ALTER ROLE app SET search_path = pg_temp
-- @case M285 | stmt | reassign
-- @expect block
REASSIGN OWNED BY app TO postgres
-- @case M286 | stmt | two-phase end
-- @expect block
COMMIT PREPARED 'x'
-- @case M287 | stmt | CALL with a dynamic text
-- @expect block
CALL pr((SELECT card_number FROM payments WHERE id = 1))
-- @case M288 | stmt | MERGE that writes it
-- @expect block
MERGE INTO payments p USING customers c ON p.id = c.id WHEN MATCHED THEN UPDATE SET card_number = '4111111111111111'
-- @case M289 | stmt | MERGE that deletes all
-- @expect block
MERGE INTO refunds r USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE
-- @case M290 | fn | pg_read_binary_file
-- @expect mask|block
-- @unchanged
SELECT pg_read_binary_file('PG_VERSION')
-- @case M291 | fn | pg_stat_file
-- @expect mask|block
-- @unchanged
SELECT pg_stat_file('PG_VERSION')
-- @case M292 | fn | lo_import
-- @expect mask|block
-- @unchanged
SELECT lo_import('/etc/passwd')
-- @case M293 | fn | lo_from_bytea of a number
-- @expect mask|block
-- @unchanged
SELECT lo_from_bytea(0, card_number::bytea) FROM payments WHERE id = 1
-- @case M294 | fn | lo_put
-- @expect mask|block
-- @unchanged
SELECT lo_put(1, 0, card_number::bytea) FROM payments WHERE id = 1
-- @case M295 | fn | query_to_xml in an xmltable
-- @expect mask|block
-- @unchanged
SELECT x.* FROM xmltable('//card_number' PASSING query_to_xml('select card_number from payments', true, false, '') COLUMNS c text PATH 'text()') x
-- @case M296 | fn | table_to_xmlschema with its data
-- @expect mask|block
-- @unchanged
SELECT table_to_xml_and_xmlschema('payments', true, false, '')
-- @case M297 | fn | cursor_to_xmlschema
-- @expect mask|block
-- @unchanged
SELECT cursor_to_xmlschema('c1', true, false, '')
-- @case M298 | fn | schema and data of a schema
-- @expect mask|block
-- @unchanged
SELECT schema_to_xml_and_xmlschema('public', true, false, '')
-- @case M299 | fn | snapshot for somebody else
-- @expect mask|block
-- @unchanged
SELECT pg_export_snapshot()
-- @case M300 | fn | statistics reset
-- @expect mask|block
-- @unchanged
SELECT pg_stat_reset()
-- @case M301 | fn | another backend's memory
-- @expect mask|block
-- @unchanged
SELECT pg_log_backend_memory_contexts(pg_backend_pid())
-- @case M302 | fn | promote
-- @expect mask|block
-- @unchanged
SELECT pg_promote()
-- @case M303 | fn | replication slot
-- @expect mask|block
-- @unchanged
SELECT pg_create_physical_replication_slot('s')
-- @case M304 | fn | logical changes
-- @expect mask|block
-- @unchanged
SELECT data FROM pg_logical_slot_get_changes('s', NULL, NULL)
-- @case M305 | fn | dynamic text in plpgsql
-- @expect mask|block
-- @unchanged
SELECT run_sql('select reverse(card_number) from payments')
-- @case M306 | fn | a function behind an operator
-- @expect mask|block
-- @unchanged
SELECT id FROM payments WHERE card_number === 'x'
-- @case M307 | fn | an operator by its schema
-- @expect mask|block
-- @unchanged
SELECT id FROM payments WHERE card_number OPERATOR(public.===) 'x'
-- @case M308 | fn | cancel another
-- @expect mask|block
-- @unchanged
SELECT pg_cancel_backend(1)
-- @case M309 | fn | WAL switched
-- @expect mask|block
-- @unchanged
SELECT pg_switch_wal()
-- @case M310 | cat | statistics as text
-- @expect mask|block
SELECT translate(most_common_vals::text || histogram_bounds::text, '0123456789', 'abcdefghij') FROM pg_stats WHERE tablename = 'payments'
-- @case M311 | cat | statistics as an array, unnested
-- @expect mask|block
SELECT reverse(v) FROM pg_stats, unnest(histogram_bounds::text::text[]) v WHERE tablename = 'payments' AND attname = 'card_number'
-- @case M312 | cat | slots of pg_statistic
-- @expect mask|block
SELECT reverse(stavalues1::text), reverse(stavalues2::text) FROM pg_statistic
-- @case M313 | cat | statistics of expressions
-- @expect mask|block
SELECT reverse(most_common_vals::text) FROM pg_stats_ext_exprs
-- @case M314 | cat | extended statistics
-- @expect mask|block
SELECT reverse(most_common_vals::text) FROM pg_stats_ext
-- @case M315 | cat | index definition in hex
-- @expect mask|block
SELECT encode(convert_to(pg_get_indexdef('pay_part_idx'::regclass), 'UTF8'), 'hex')
-- @case M316 | cat | index predicate by pg_get_expr, as letters
-- @expect mask|block
SELECT translate(pg_get_expr(indpred, indrelid), '0123456789', 'abcdefghij') FROM pg_index WHERE indpred IS NOT NULL
-- @case M317 | cat | index predicate as its tree
-- @expect mask|block
SELECT reverse(indpred::text), indpred::text FROM pg_index WHERE indpred IS NOT NULL
-- @case M318 | cat | indexes of pg_indexes in base64
-- @expect mask|block
SELECT encode(indexdef::bytea, 'base64') FROM pg_indexes WHERE tablename = 'payments'
-- @case M319 | cat | plan of what the partial index is for
-- @expect mask|block
EXPLAIN (VERBOSE) SELECT id FROM payments WHERE card_number = reverse('4162346897759354')
-- @case M320 | cat | plan with a folded constant
-- @expect mask|block
EXPLAIN (VERBOSE) SELECT id FROM customers WHERE name = get_card_imm(1)
-- @case M321 | cat | own statement in pg_stat_activity, transformed
-- @expect mask|block
SELECT reverse(query) FROM pg_stat_activity WHERE query LIKE '%' || 4539577986432614
-- @case M322 | cat | settings of the session
-- @expect mask|block
SELECT reverse(setting) FROM pg_settings WHERE name = 'app.seen'
-- @case M323 | cat | files of the server's configuration
-- @expect mask|block
SELECT * FROM pg_file_settings
-- @case M324 | action | a trigger that raises it reversed
-- @expect mask|block
-- @direct CREATE FUNCTION t2() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'n %', reverse((SELECT card_number FROM public.payments WHERE id = 1)); RETURN NEW; END$$
-- @direct CREATE TRIGGER t2 BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION t2()
INSERT INTO notes(body) VALUES ('x')
-- @case M325 | action | a trigger that fails with it as letters
-- @expect mask|block
-- @direct CREATE FUNCTION t3() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION '%', translate((SELECT card_number FROM public.payments WHERE id = 1), '0123456789', 'abcdefghij'); END$$
-- @direct CREATE TRIGGER t3 BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION t3()
INSERT INTO notes(body) VALUES ('x')
-- @case M326 | action | a rule that answers an INSERT
-- @expect mask|block
-- @direct CREATE RULE r2 AS ON INSERT TO notes DO ALSO SELECT reverse(card_number) FROM payments
INSERT INTO notes(body) VALUES ('x')
-- @case M327 | action | a rule that answers an UPDATE instead
-- @expect mask|block
-- @direct CREATE RULE r3 AS ON UPDATE TO customers DO INSTEAD SELECT reverse(card_number) FROM payments WHERE id = NEW.id
UPDATE customers SET score = 1 WHERE id = 1
-- @case M328 | action | a default that calls a function
-- @expect mask|block
-- @direct CREATE FUNCTION d2() RETURNS text LANGUAGE sql AS $$SELECT reverse(card_number) FROM public.payments WHERE id = 1$$
-- @direct ALTER TABLE customers ALTER COLUMN name SET DEFAULT d2()
INSERT INTO customers(id) VALUES (77) RETURNING name
-- @case M329 | action | a policy of rows that reads it
-- @expect mask|block
-- @direct CREATE FUNCTION p2(i int) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE '%', reverse((SELECT card_number FROM public.payments WHERE id = 1)); RETURN true; END$$
-- @direct ALTER TABLE customers ENABLE ROW LEVEL SECURITY
-- @direct CREATE POLICY p2 ON customers USING (p2(id))
SELECT id FROM customers
-- @case M330 | object | a view with a function over it
-- @expect mask|block
-- @direct CREATE VIEW v9 AS SELECT get_card(id) AS x, id FROM customers
-- @direct GRANT SELECT ON v9 TO app
SELECT x FROM v9
-- @case M331 | object | a view that folds it away
-- @expect mask|block
-- @direct CREATE VIEW v10 AS SELECT coalesce(nullif(c, ''), 'none') AS x FROM (SELECT max(card_number) AS c FROM payments GROUP BY id) s
-- @direct GRANT SELECT ON v10 TO app
SELECT reverse(x) FROM v10
-- @case M332 | object | a view over a view over the partition
-- @expect mask|block
-- @direct CREATE VIEW v11 AS SELECT card_number || '' AS x FROM payments_eu
-- @direct CREATE VIEW v12 AS SELECT x AS y FROM v11
-- @direct GRANT SELECT ON v12 TO app
SELECT reverse(y) FROM v12
-- @case M333 | object | a view that is recursive
-- @expect mask|block
-- @direct CREATE RECURSIVE VIEW v13(n, c) AS SELECT id, card_number FROM payments UNION ALL SELECT n + 100, c FROM v13 WHERE n < 10
-- @direct GRANT SELECT ON v13 TO app
SELECT reverse(c) FROM v13
-- @case M334 | object | a composite column
-- @expect mask|block
-- @direct CREATE VIEW t15 AS SELECT p AS w FROM payments p
-- @direct GRANT SELECT ON t15 TO app
SELECT (w).card_number, reverse((w).card_number) FROM t15
-- @case M335 | object | a function that returns the table
-- @expect mask|block
SELECT reverse(card_number) FROM all_pay() WHERE id = 1
-- @case M336 | object | a function in a join
-- @expect mask|block
SELECT reverse(a.card_number) FROM customers c JOIN LATERAL (SELECT * FROM all_pay()) a ON a.customer_id = c.id
-- @case M337 | object | an operator class of its own
-- @expect mask|block
SELECT id FROM payments ORDER BY card_number USING OPERATOR(pg_catalog.<)
-- @case M338 | object | a view that filters by a setting
-- @expect infer
-- @direct CREATE VIEW v16 AS SELECT id FROM payments WHERE card_number LIKE current_setting('app.guess', true)
-- @direct GRANT SELECT ON v16 TO app
-- @world 4539572130492614
SET app.guess = '4539577%'
SELECT count(*) FROM v16
-- @case M339 | object | a generated column of another table's type
-- @expect infer
-- @world 4539572130492614
SELECT ROW(NULL, NULL, (SELECT card_number FROM payments WHERE id = 1))::text
-- @case M340 | object | hash partition of a value
-- @expect infer
-- @world 4539572130492614
SELECT satisfies_hash_partition('payments_part'::regclass, 2, 0, card_number) FROM payments WHERE id = 1
-- @case M341 | control | errors of the server stay
-- @expect allow
SELECT 1 / (score - score) FROM customers
-- @case M342 | control | plans of unclassified tables
-- @expect allow
EXPLAIN (COSTS off) SELECT id FROM customers WHERE score > 1 ORDER BY name
-- @case M343 | control | grouping sets
-- @expect allow
SELECT name, count(*) FROM customers GROUP BY GROUPING SETS ((name), ()) ORDER BY 1
-- @case M344 | control | ordered-set aggregates
-- @expect allow
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY score), mode() WITHIN GROUP (ORDER BY name) FROM customers
-- @case M345 | control | recursion with search and cycle
-- @expect allow
WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 5) SEARCH DEPTH FIRST BY n SET o CYCLE n SET c USING p SELECT n, o, c, p FROM t ORDER BY n
-- @case M346 | control | xmltable of a literal
-- @expect mask|block
SELECT x.* FROM xmltable('/a/b' PASSING '<a><b>1</b><b>2</b></a>'::xml COLUMNS b int PATH '.') x
-- @case M347 | control | window frames
-- @expect allow
SELECT id, sum(id) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM customers
-- @case M348 | control | sub-selects at every place
-- @expect allow
SELECT (SELECT max(id) FROM customers), ARRAY(SELECT id FROM customers ORDER BY id) WHERE EXISTS (SELECT 1 FROM customers)
-- @case M349 | control | the safe columns beside classified ones
-- @expect allow
SELECT p.id, c.name, p.amount, p.status FROM payments p JOIN customers c ON c.id = p.customer_id WHERE p.amount > 20 ORDER BY p.id
-- @case M350 | control | counting and grouping of what is safe
-- @expect allow
SELECT status, count(*), sum(amount) FROM payments GROUP BY status ORDER BY status
-- @case M351 | control | regular expressions with backreferences
-- @expect allow
SELECT regexp_replace('abcabc', '(abc)\1', '[\1]'), 'xx' ~ '(x)\1'
-- @case M352 | control | cursors that move
-- @expect allow
-- @mode simple-only
BEGIN; DECLARE m SCROLL CURSOR FOR SELECT id FROM customers ORDER BY id; MOVE 2 FROM m; FETCH PRIOR FROM m; COMMIT

-- @case Y901 | files | an operator of a name that PostgreSQL has too reads the table
-- @expect block
-- @direct CREATE FUNCTION peek(int, int) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN RETURN (SELECT reverse(card_number) FROM payments WHERE id = $1); END $$
-- @direct CREATE OPERATOR public.|| (LEFTARG=int, RIGHTARG=int, FUNCTION=peek)
SELECT 1 || 1

-- @case Y902 | files | such an operator behind BETWEEN
-- @expect block
-- @direct CREATE FUNCTION peek(point, point) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN RAISE NOTICE '%', (SELECT reverse(card_number) FROM payments WHERE id = 1); RETURN true; END $$
-- @direct CREATE OPERATOR public.>= (LEFTARG=point, RIGHTARG=point, FUNCTION=peek)
-- @direct CREATE OPERATOR public.<= (LEFTARG=point, RIGHTARG=point, FUNCTION=peek)
SELECT point(1, 1) BETWEEN point(0, 0) AND point(2, 2)

-- @case Y903 | files | such an operator behind USING, CASE and IN
-- @expect block
-- @direct CREATE FUNCTION peek(int, text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN RAISE NOTICE '%', (SELECT reverse(card_number) FROM payments WHERE id = 1); RETURN true; END $$
-- @direct CREATE OPERATOR public.= (LEFTARG=int, RIGHTARG=text, FUNCTION=peek)
SELECT 1 FROM (SELECT 1 AS a) x JOIN (SELECT 'b'::text AS a) y USING (a)
SELECT CASE 1 WHEN 'b'::text THEN 1 END
SELECT 1 IN ('b'::text)

-- @case Y904 | files | a cast of a type of its own reads the table
-- @expect block
-- @direct CREATE TYPE peeked AS (n int)
-- @direct CREATE FUNCTION peek(peeked) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN RETURN (SELECT reverse(card_number) FROM payments WHERE id = ($1).n); END $$
-- @direct CREATE CAST (peeked AS text) WITH FUNCTION peek(peeked)
SELECT ROW(1)::peeked::text
SELECT CAST(CAST(ROW(1) AS public.peeked) AS text)

-- @case Y905 | files | a cast that nobody writes reads the table
-- @expect block
-- @direct CREATE TYPE peeked AS (n int)
-- @direct CREATE FUNCTION peek(peeked) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN RETURN (SELECT reverse(card_number) FROM payments WHERE id = ($1).n); END $$
-- @direct CREATE CAST (peeked AS text) WITH FUNCTION peek(peeked) AS IMPLICIT
-- @direct CREATE TABLE holder(b peeked)
-- @direct INSERT INTO holder VALUES (ROW(1))
-- @direct GRANT SELECT ON holder TO app
SELECT upper(b) FROM holder
