"""What others rely on: exported names, the README's commands, modules of bearable size."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tabulary

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", tabulary.__all__)
def test_every_exported_name_is_there(name: str) -> None:
    assert getattr(tabulary, name) is not None


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError):
        tabulary.nope  # type: ignore[attr-defined]  # noqa: B018


def test_ci_runs_the_test_command_of_the_readme() -> None:
    commands = re.findall(r"^    (python3 -m venv .*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(commands) == 2, "one to start, one to test"
    assert commands[0].endswith("tabulary start")
    assert f"\n{commands[1]}\n" in (ROOT / ".ci/run").read_text()


def test_the_changelog_knows_the_version() -> None:
    assert f"## {tabulary.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_no_module_is_longer_than_600_lines() -> None:
    sources = (ROOT / "src").rglob("*.py")
    assert [p.name for p in sources if len(p.read_text().splitlines()) > 600] == []


def test_links_in_the_documents_lead_somewhere() -> None:
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / link).exists(), f"{document.name}: {link}"
