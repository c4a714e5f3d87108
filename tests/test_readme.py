"""What the README shows in Python does what it says."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tabulary import Tabulary

pytestmark = pytest.mark.anyio
README = Path(__file__).parents[1] / "README.md"


async def test_the_example_runs_in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"(?:^    .*\n|^\n)+", README.read_text(), re.MULTILINE)
    (example,) = [textwrap.dedent(block) for block in blocks if "async with Tabulary(" in block]
    scope: dict[str, Any] = {}
    exec("async def example():\n" + textwrap.indent(example, "    "), scope)
    await scope["example"]()
    async with Tabulary("sqlite:///books.db") as tabulary:
        assert [book["title"] for book in await tabulary.items("books").read_by_query()] == ["Emma"]


async def test_the_data_model_from_python(tmp_path: Path) -> None:
    async with Tabulary(f"sqlite:///{tmp_path}/model.db") as tabulary:
        collections = await tabulary.collections()
        await collections.create_many([{"collection": name, "schema": {}} for name in ("authors", "books")])
        await (await tabulary.fields()).create_field("books", {"field": "author", "type": "integer"})
        relation = {"collection": "books", "field": "author", "related_collection": "authors"}
        await (await tabulary.relations()).create_one(relation)
        key = await tabulary.items("books").create_one({"author": {}})
        assert (await tabulary.items("books").read_one(key, {"fields": ["author.id"]})) == {"author": {"id": 1}}
        await collections.delete_one("books")
        assert "books" not in (await tabulary.schema()).collections
