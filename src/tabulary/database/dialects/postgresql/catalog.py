"""The catalog of PostgreSQL, read from ``pg_catalog`` for the schemas of the connection's search path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tabulary.database.catalog import (
    Catalog,
    ColumnFacts,
    ForeignKeyFacts,
    IndexFacts,
    SearchIndexFacts,
    TableFacts,
    without_quotes,
)
from tabulary.database.connection import Connection

_TABLES = """
SELECT c.relname, n.nspname, obj_description(c.oid, 'pg_class'),
    ARRAY(
        SELECT a.attname::text
        FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
        WHERE k.conrelid = c.oid AND k.contype = 'p' ORDER BY array_position(k.conkey, a.attnum)
    )
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname = ANY (current_schemas(false))
ORDER BY c.relname
"""

_COLUMNS = """
SELECT a.attname, c.relname, format_type(a.atttypid, NULL),
    CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
    CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END,
    CASE WHEN a.atttypid IN (1042, 1043) THEN a.atttypmod - 4
        WHEN a.atttypid IN (1560, 1562) THEN NULLIF(a.atttypmod, -1) END,
    CASE a.atttypid WHEN 21 THEN 16 WHEN 23 THEN 32 WHEN 20 THEN 64 WHEN 700 THEN 24 WHEN 701 THEN 53
        WHEN 1700 THEN CASE WHEN a.atttypmod <> -1 THEN ((a.atttypmod - 4) >> 16) & 65535 END END,
    CASE WHEN a.atttypid IN (20, 21, 23) THEN 0
        WHEN a.atttypid = 1700 AND a.atttypmod <> -1 THEN (a.atttypmod - 4) & 65535 END,
    a.attgenerated <> '', NOT a.attnotnull,
    EXISTS (SELECT 1 FROM pg_constraint k
        WHERE k.conrelid = c.oid AND k.contype IN ('u', 'p') AND k.conkey = ARRAY[a.attnum]),
    EXISTS (SELECT 1 FROM pg_index i
        WHERE i.indrelid = c.oid AND NOT i.indisunique AND i.indnatts = 1 AND i.indkey[0] = a.attnum),
    p.conkey IS NOT NULL,
    p.conkey IS NOT NULL AND (a.attidentity <> '' OR EXISTS (
        SELECT 1 FROM pg_depend o JOIN pg_class s ON s.oid = o.objid
        WHERE o.classid = 'pg_class'::regclass AND o.refclassid = 'pg_class'::regclass AND o.refobjid = c.oid
            AND o.refobjsubid = a.attnum AND o.deptype = 'a' AND s.relkind = 'S')),
    f.nspname, f.relname, f.attname, col_description(c.oid, a.attnum)
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
LEFT JOIN pg_constraint p ON p.conrelid = c.oid AND p.contype = 'p' AND a.attnum = ANY (p.conkey)
LEFT JOIN LATERAL (
    SELECT fn.nspname, fc.relname, fa.attname
    FROM pg_constraint k JOIN pg_class fc ON fc.oid = k.confrelid JOIN pg_namespace fn ON fn.oid = fc.relnamespace
    JOIN pg_attribute fa ON fa.attrelid = k.confrelid AND fa.attnum = k.confkey[1]
    WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.conkey = ARRAY[a.attnum] ORDER BY k.oid LIMIT 1
) f ON true
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname = ANY (current_schemas(false))
    AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.relname, a.attnum
"""

_FOREIGN_KEYS = """
SELECT c.relname, a.attname, fc.relname, fa.attname, k.confupdtype::text, k.confdeltype::text, k.conname, fn.nspname
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
JOIN pg_class fc ON fc.oid = k.confrelid
JOIN pg_namespace fn ON fn.oid = fc.relnamespace
JOIN pg_attribute fa ON fa.attrelid = k.confrelid AND fa.attnum = k.confkey[1]
WHERE k.contype = 'f' AND cardinality(k.conkey) = 1 AND NOT c.relispartition
    AND n.nspname = ANY (current_schemas(false))
ORDER BY c.relname, k.conname
"""

_INDEXES = """
SELECT i.relname, x.indisunique, k.oid IS NOT NULL, x.indisvalid,
    ARRAY(SELECT a.attname::text FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS u(n, place)
        JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = u.n ORDER BY u.place)
FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_class c ON c.oid = x.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_constraint k ON k.conindid = x.indexrelid AND k.contype = 'u' AND k.conrelid = c.oid
WHERE c.relname = $1 AND n.nspname = ANY (current_schemas(false)) AND NOT x.indisprimary AND x.indpred IS NULL
    AND NOT 0 = ANY (x.indkey::int2[])
ORDER BY i.relname
"""

_SEARCH_INDEXES = """
SELECT i.relname, c.relname, ARRAY(
    SELECT pg_get_indexdef(x.indexrelid, p, true) FROM generate_series(1, x.indnkeyatts::int) AS p ORDER BY p)
FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_class c ON c.oid = x.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY (current_schemas(false)) AND x.indpred IS NULL AND x.indisvalid AND x.indexprs IS NOT NULL
    AND (SELECT count(*) FROM unnest(x.indclass::oid[]) AS u(o) JOIN pg_opclass p ON p.oid = u.o
        WHERE p.opcname IN ('gin_trgm_ops', 'gist_trgm_ops')) = x.indnkeyatts
ORDER BY c.relname, i.relname
"""

_RULES = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_LOWERED = re.compile(r'lower\(\(*(?:"((?:[^"]|"")+)"|(\w+))(?:\)?::text)?\)+(?: gi\w+_trgm_ops)?')
"""``lower(title)``, ``lower((title)::text)`` or with quotes, as the catalog writes it."""
_LITERAL = re.compile(r"'(?:[^']|'')*'")


class PostgreSQLCatalog(Catalog):
    async def tables(self, connection: Connection, settings: Mapping[str, Any] | None = None) -> list[TableFacts]:
        return [
            TableFacts(name, tuple(keys), {"schema": schema, "name": name, "comment": comment})
            for name, schema, comment, keys in await connection.fetch_rows(_TABLES)
        ]

    async def columns(self, connection: Connection, settings: Mapping[str, Any] | None = None) -> list[ColumnFacts]:
        return [
            ColumnFacts(name, table, data_type, default_text(default), *rest)
            for name, table, data_type, default, *rest in await connection.fetch_rows(_COLUMNS)
        ]

    async def foreign_keys(
        self, connection: Connection, settings: Mapping[str, Any] | None = None
    ) -> list[ForeignKeyFacts]:
        rows = await connection.fetch_rows(_FOREIGN_KEYS)
        return [
            ForeignKeyFacts(
                table, column, target, target_column, _RULES[on_update], _RULES[on_delete], constraint, schema
            )
            for table, column, target, target_column, on_update, on_delete, constraint, schema in rows
        ]

    async def indexes(self, connection: Connection, table: str) -> list[IndexFacts]:
        return [
            IndexFacts(name, tuple(columns), unique, constraint, valid)
            for name, unique, constraint, valid, columns in await connection.fetch_rows(_INDEXES, [table])
        ]

    async def search_indexes(self, connection: Connection) -> list[SearchIndexFacts]:
        found = []
        for name, table, expressions in await connection.fetch_rows(_SEARCH_INDEXES):
            columns = [_lowered(expression) for expression in expressions]
            found.append(SearchIndexFacts(name, table, tuple(column for column in columns if column)))
        return found


def _lowered(expression: str) -> str | None:
    """The column whose lower-cased text an index holds; None for any other expression."""
    found = _LOWERED.fullmatch(expression)
    return None if found is None else found[1].replace('""', '"') if found[1] else found[2]


def default_text(expression: str | None) -> str | None:
    """The text of a default: without the cast behind it and without quotes; ``nextval(…)`` as it is."""
    if expression is None or expression.startswith("nextval("):
        return expression
    literal = _LITERAL.match(expression)
    return without_quotes(literal[0] if literal else expression.partition("::")[0])
