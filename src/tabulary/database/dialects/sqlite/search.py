"""The index behind ``?search=`` on SQLite: an FTS5 table of trigrams beside the table, kept by triggers.

FTS5 finds rows that have all trigrams of a term somewhere; the search's own comparison then decides about them, so
that the index changes no answer. For that it needs neither texts nor places (``content=''``, ``detail=none``). Rows are
known by their rowid, which stays only where it is the table's key (``INTEGER PRIMARY KEY``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from tabulary.database.connection import Connection

PREFIX = "_tabulary_search_"
"""Names of our tables and triggers begin so; they are nobody's collections."""
_COLUMN = "c_"
"""Begins the names of FTS5's columns: FTS5 reserves some that a table may have."""
_OPTIONS = "content='', tokenize='trigram', detail=none, columnsize=0"
_TRIGGERS = ("insert", "delete", "update")
_TRIGRAM = 3
_MOST_TRIGRAMS = 12
_WILDCARDS = re.compile(r"[%_]")

Quote = Callable[[str], str]


def index_name(table: str) -> str:
    """The FTS5 table of a table. FTS5 appends words to it for tables of its own; none of them ends like this."""
    return f"{PREFIX}{table}_index"


def creation(quote: Quote, table: str, key: str, columns: Sequence[str]) -> list[str]:
    """The statements that make the index and fill it."""
    name, source = quote(index_name(table)), quote(table)
    mirrored = ", ".join(quote(_COLUMN + column) for column in columns)
    insert = f"INSERT INTO {name} (rowid, {mirrored})"
    delete = f"INSERT INTO {name} ({name}, rowid, {mirrored})"

    def values(row: str) -> str:
        return ", ".join(f"{row}.{quote(column)}" for column in (key, *columns))

    remove, add = f"{delete} VALUES ('delete', {values('old')})", f"{insert} VALUES ({values('new')})"
    changed = ", ".join(quote(column) for column in (key, *columns))
    named = {kind: quote(f"{index_name(table)}_{kind}") for kind in _TRIGGERS}
    return [
        f"CREATE VIRTUAL TABLE {name} USING fts5({mirrored}, {_OPTIONS})",
        f"{insert} SELECT {changed} FROM {source}",  # noqa: S608
        f"CREATE TRIGGER {named['insert']} AFTER INSERT ON {source} BEGIN {add}; END",
        f"CREATE TRIGGER {named['delete']} AFTER DELETE ON {source} BEGIN {remove}; END",
        f"CREATE TRIGGER {named['update']} AFTER UPDATE OF {changed} ON {source} BEGIN {remove}; {add}; END",
    ]


def removal(quote: Quote, table: str) -> list[str]:
    """The statements that remove the index, whatever is left of it."""
    name = index_name(table)
    triggers = [f"DROP TRIGGER IF EXISTS {quote(f'{name}_{kind}')}" for kind in _TRIGGERS]
    return [*triggers, f"DROP TABLE IF EXISTS {quote(name)}"]


FOUND = f"""
SELECT t.name, i.name, (SELECT json_group_array(c.name) FROM (
        SELECT substr(name, {len(_COLUMN) + 1}) AS name FROM pragma_table_info(i.name) ORDER BY cid) AS c),
    (SELECT count(*) FROM sqlite_master g WHERE g.type = 'trigger' AND g.tbl_name = t.name
        AND g.name IN (i.name || '_insert', i.name || '_delete', i.name || '_update'))
FROM sqlite_master t JOIN sqlite_master i ON i.type = 'table' AND i.name = '{PREFIX}' || t.name || '_index'
WHERE t.type = 'table' ORDER BY t.name
"""  # noqa: S608 (constants)
"""Tables with an index of ours: its name, its columns, and how many of its triggers are there."""
COMPLETE = len(_TRIGGERS)


async def key_is_rowid(connection: Connection, table: str) -> bool:
    """True when the table's key is its rowid; any other key has an index of its own (or there is no rowid at all)."""
    sql = "SELECT count(*) FROM pragma_table_info(?) k WHERE k.pk > 0"
    if await connection.fetch_value(sql, [table]) != 1:
        return False
    return not await connection.fetch_value("SELECT 1 FROM pragma_index_list(?) WHERE origin = 'pk'", [table])


def trigrams(term: str) -> list[str]:
    """Trigrams that every text has in which LIKE finds the term; none for a term that is too short.

    Side by side rather than overlapping: they narrow as much and cost less.
    """
    found: dict[str, None] = {}
    for run in _WILDCARDS.split(term.lower()):
        last = len(run) - _TRIGRAM
        if last >= 0:
            places = [*range(0, last + 1, _TRIGRAM), last]
            found |= dict.fromkeys(run[place : place + _TRIGRAM] for place in places)
    return list(found)[:_MOST_TRIGRAMS]


def match(term: object) -> str:
    """FTS5's expression for the rows that may have the term."""
    return " AND ".join('"' + trigram.replace('"', '""') + '"' for trigram in trigrams(str(term)))
