"""``tabulary advise``: tables for people, JSON for programs, indexes on request."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from .conftest import Tabulary


def fill(folder: Path) -> None:
    """A table with an order that a bookmark asks for, and no index for it."""
    with sqlite3.connect(folder / "cli.db") as database:
        database.execute("CREATE TABLE logs (id integer primary key autoincrement, moment integer, text varchar(255))")
        rows = [(n * 7919 % 10_007, f"entry{n}x") for n in range(3000)]
        database.executemany("INSERT INTO logs (moment, text) VALUES (?, ?)", rows)
        layout = '{"tabular": {"sort": ["-moment"]}}'
        database.execute(
            "INSERT INTO directus_presets (bookmark, collection, layout, layout_query) VALUES ('Last', 'logs', 'tabular', ?)",
            [layout],
        )
    database.close()


def test_advice_is_shown_and_applied(tabulary: Tabulary, tmp_path: Path) -> None:
    fill(tmp_path)
    said = tabulary("advise", "--no-search")
    assert said.code == 0, said.err
    assert "logs (moment)" in said.out and "would help" in said.out and 'bookmark "Last"' in said.out
    assert "CREATE INDEX logs_moment_index ON logs (moment);" in said.out.replace('"', "")
    assert "Nothing was changed" in said.out
    made = tabulary("advise", "--apply", "--json").json
    assert {(p["kind"], p["status"]) for p in made["proposals"]} == {("index", "made"), ("search", "made")}
    assert made["unit"] == "steps" and all(p["effects"] and p["undo"] for p in made["proposals"])
    assert "No index is missing." in tabulary("advise").out


def test_a_collection_that_is_not_there(tabulary: Tabulary) -> None:
    said = tabulary("advise", "--collection", "nothing")
    assert said.code == 1 and 'There is no collection "nothing"' in said.err
