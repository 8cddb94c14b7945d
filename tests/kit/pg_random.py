"""Random statements: over the classified schema (judged by an oracle) and over tables without classified columns (compared with
direct). The same seed gives the same statements."""

import random

TEXT_EXPRESSIONS = ("{c}", "{c}", "{c}", "reverse({c})", "substr({c}, {n}, {m})", "left({c}, {n})", "right({c}, {n})", "{c} || '-'", "'x' || {c}",
                    "md5({c})", "upper({c})", "lpad({c}, 25, '*')", "translate({c}, '0123456789', 'abcdefghij')", "encode({c}::bytea, 'hex')",
                    "encode({c}::bytea, 'base64')", "{c}::varchar", "coalesce({c}, 'none')", "nullif({c}, '')", "regexp_replace({c}, '(.)', '\\1 ', 'g')",
                    "split_part({c}, '5', 2)", "concat_ws('/', {c}, id::text)", "format('%s', {c})", "quote_literal({c})", "repeat({c}, 2)",
                    "to_json({c})::text", "ARRAY[{c}]::text", "overlay({c} placing '' from 3 for 0)", "initcap({c})", "btrim({c}, '4')",
                    "CASE WHEN id > 2 THEN {c} ELSE reverse({c}) END", "(SELECT max(q.{k}) FROM {r} q WHERE q.id = {i})", "{c}::numeric::text",
                    "substr({c},1,15)::bigint::text", "(substr({c},1,15)::bigint + {n})::text", "(-(substr({c},1,15)::bigint))::text",
                    "ascii(substr({c}, {n}, 1))::text", "length({c})::text", "md5({c} || 'salt')", "sha256({c}::bytea)::text", "row({c}, id)::text",
                    "json_build_object('k', {c})::text", "string_to_array({c}, NULL)::text", "to_hex(substr({c},1,15)::bigint)")
AGGREGATES = ("min({c})", "max({c})", "string_agg({c}, ',')", "array_agg({c})::text", "json_agg({c})::text", "count({c})::text", "max(reverse({c}))",
              "count(DISTINCT {c})::text", "jsonb_object_agg(id, {c})::text", "string_agg(substr({c}, 7, 6), '|')")
PREDICATES = ("id = {i}", "id < {i}", "id BETWEEN 1 AND {i}", "{c} LIKE '4%'", "{c} > '5'", "status = 'ok'", "amount > {n}", "id IN (1, 2, {i})",
              "substr({c}, {n}, 1) = '{n}'", "length({c}) = 16", "EXISTS (SELECT 1 FROM refunds x WHERE x.id = {i})", "true")
SOURCES = (("payments", "card_number"), ("payments", "card_number"), ("payments", "cvv"), ("refunds", "card_number"), ("payments_part", "card_number"),
           ("dropcol", "card_number"), ("v_rename", "ref"), ("v_expr", "r"), ("mv_pay", "c"), ("payments_2024", "card_number"), ("notes", "body"))
# Text with a number in it, in a column that nobody classified: only a look at the content protects it, so it is not transformed.
AS_IT_IS = ("{c}", "'x' || {c}", "coalesce({c}, 'none')", "nullif({c}, '')", "btrim({c}, '4')", "length({c})::text", "{c}::varchar")
NO_ID = {"dropcol": "b", "v_rename": "k"}


def classified(dice: random.Random) -> str:
    """One statement that touches classified columns, or unclassified text with numbers in it."""
    relation, column = dice.choice(SOURCES)
    key = NO_ID.get(relation, "id")
    use = {"c": column, "k": column, "r": relation, "n": dice.randint(1, 9), "m": dice.randint(1, 12), "i": dice.randint(1, 8)}

    def fill(pattern: str) -> str:
        text = pattern.format(**use)
        if key != "id":
            text = text.replace("q.id", f"q.{key}").replace("id", key) if "EXISTS" not in pattern else text
        if relation not in ("payments", "payments_2024"):
            text = text.replace("status = 'ok'", f"{key} > 0").replace("amount >", f"{key} <")
        return text
    def output() -> str:
        return fill(dice.choice(AS_IT_IS if relation == "notes" else TEXT_EXPRESSIONS))
    shape = dice.choice((1, 2, 3, 5, 6, 8, 11, 12)) if relation == "notes" else dice.randrange(17)
    outputs = ", ".join(f"{output()} AS o{i}" for i in range(dice.randint(1, 3)))
    where = f" WHERE {fill(dice.choice(PREDICATES))}" if dice.random() < 0.6 else ""
    plain = f"SELECT {outputs} FROM {relation}{where}"
    if shape == 0:
        return f"SELECT {fill(dice.choice(AGGREGATES))} FROM {relation}{where}"
    if shape == 1:
        return f"WITH t AS ({plain}) SELECT * FROM t"
    if shape == 2:
        return f"SELECT s.* FROM ({plain}) s LIMIT {use['i']}"
    if shape == 3:
        return f"{plain} UNION ALL {plain}"
    if shape == 4:
        return f"SELECT {fill(dice.choice(TEXT_EXPRESSIONS))} AS a, count(*) FROM {relation}{where} GROUP BY 1 ORDER BY 1"
    if shape == 5:
        return f"COPY ({plain}) TO STDOUT"
    if shape == 6:
        return f"SELECT l.* FROM generate_series(1, 2) g, LATERAL ({plain}) l"
    if shape == 7:
        return f"SELECT p FROM {relation} p"
    if shape == 8:
        return f"SELECT DISTINCT {outputs} FROM {relation}{where}"
    if shape == 9:
        return f"SELECT {fill(dice.choice(TEXT_EXPRESSIONS))} AS a, row_number() OVER (ORDER BY {key}) FROM {relation}{where}"
    if shape == 10:
        return f"{plain} ORDER BY 1 DESC"
    if shape == 12:
        return f"({plain}) {dice.choice(('EXCEPT', 'EXCEPT ALL', 'INTERSECT'))} ({plain} LIMIT {use['i'] % 3})"
    if shape == 13:
        on = dice.choice(("l.card_number = r.card_number", "l.id = r.id", "left(l.card_number, 6) = left(r.card_number, 6)", "l.card_number < r.card_number"))
        return f"SELECT l.id, r.{dice.choice(('card_number', 'id'))} AS a, l.card_number || r.card_number AS b FROM payments l JOIN refunds r ON {on}"
    if shape == 14:
        return f"UPDATE payments SET status = 'ok' WHERE id = {use['i']} RETURNING {', '.join(('id', dice.choice(('*', 'card_number', 'reverse(card_number)', 'cvv', 'payments'))))}"
    if shape == 15:
        return f"SELECT l.card_number, s.z FROM payments l LEFT JOIN LATERAL (SELECT {fill(dice.choice(TEXT_EXPRESSIONS))} AS z FROM {relation} LIMIT 2) s ON true"
    if shape == 16:
        return f"SELECT GROUPING({fill('{c}')}), {fill('{c}')} AS a, count(*) FROM {relation} GROUP BY GROUPING SETS (({fill('{c}')}), ())"
    return plain


NUMBERS = ("{v}", "{v} + {n}", "{v} % {n}", "abs({v} - {n})", "{v}::numeric / {n}", "round({v} * 1.5, 2)", "coalesce(nullif({v}, {n}), 0)", "{v}::text",
           "power({v} % 10, 2)", "{v} = {n}", "greatest({v}, {n})", "CASE WHEN {v} > {n} THEN 'big' ELSE 'small' END", "{v}::float8 / 7",
           "to_char({v}, '000')", "to_hex({v})", "make_interval(days => {v} % 40)", "date '2026-01-01' + ({v} % 90)", "ARRAY[{v}, {n}]",
           "jsonb_build_object('v', {v})", "row({v}, {n})", "int4range(least({v}, {n}), greatest({v}, {n}) + 1)", "{v}::bit(8)", "md5({v}::text)")
TEXTS = ("name", "email", "upper(name)", "length(email)", "split_part(email, '@', 2)", "name || '/' || email", "substr(name, 1, 2)", "reverse(name)",
         "position('n' in name)", "left(email, 3)", "initcap(email)", "name ~ '^A'", "name LIKE 'B%'", "encode(name::bytea, 'hex')", "md5(email)",
         "regexp_replace(email, '@.*', '')", "quote_literal(name)", "to_tsvector('simple', name)", "format('%s-%s', id, name)")


def harmless(dice: random.Random) -> str:
    """One statement whose answer depends on nothing but the data: deterministic, and without classified columns."""
    def number() -> str:
        return dice.choice(NUMBERS).format(v=dice.choice(("id", "score", "id * 3", "score + id")), n=dice.randint(1, 9))

    outputs = ", ".join(dice.choice((number, lambda: dice.choice(TEXTS)))() + f" AS o{i}" for i in range(dice.randint(1, 4)))
    where = dice.choice(("", "", " WHERE id > 1", " WHERE name LIKE 'A%'", f" WHERE id = {dice.randint(1, 4)}", " WHERE score IS NOT NULL"))
    plain = f"SELECT {outputs} FROM customers{where} ORDER BY id"
    return dice.choice((
        plain, plain, plain, f"WITH t AS ({plain}) SELECT * FROM t", f"SELECT count(*), sum(id), string_agg(name, ',' ORDER BY id) FROM customers{where}",
        f"SELECT g, {number().replace('id', 'g').replace('score', 'g')} AS v FROM generate_series(1, {dice.randint(1, 40)}) g",
        f"COPY (SELECT id, name FROM customers{where} ORDER BY id) TO STDOUT (FORMAT {dice.choice(('text', 'csv', 'binary'))})",
        f"SELECT a.id, b.name FROM customers a JOIN customers b ON a.id <= b.id{where.replace('WHERE ', 'WHERE a.')} ORDER BY 1, 2",
        f"SELECT id, rank() OVER (ORDER BY name), lag(id) OVER (ORDER BY id) FROM customers ORDER BY id", "VALUES (1, 'a'), (2, NULL)",
        f"SELECT {dice.randint(1, 9)} / ({dice.randint(0, 3)} - 1)", "SELECT nothing FROM customers", "SHOW server_version", "",
        f"SELECT * FROM (SELECT id, {number()} AS x FROM customers) s ORDER BY id LIMIT {dice.randint(0, 3)} OFFSET {dice.randint(0, 2)}",
        "SELECT NULL::int, ''::text, 'NaN'::float8, 'Infinity'::numeric, '{}'::int[], '\\x00ff'::bytea",
        "SELECT relname FROM pg_catalog.pg_class WHERE relname LIKE 'pg_a%' ORDER BY 1 LIMIT 5",
        f"SELECT date_trunc('month', timestamptz '2026-03-0{dice.randint(1, 9)} 12:00+00' AT TIME ZONE 'UTC')"))
