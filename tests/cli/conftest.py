"""The command line in this process: a command's output and exit code, with an environment of its own."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tabulary.cli.main import main


@dataclass(frozen=True)
class Said:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


Tabulary = Callable[..., Said]


@pytest.fixture
def tabulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tabulary:
    """``tabulary("users", "list", stdin="", SETTING="value")`` on an installed database in a folder of its own."""
    for name in list(os.environ):
        if name not in ("PATH", "HOME", "LANG", "PYTHONPATH"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    settings = {"SECRET": "0123456789abcdef0123456789abcdef", "HASH_MEMORY_COST": "1024", "HASH_TIME_COST": "1"}
    for name, value in {**settings, "DATABASE_URL": f"sqlite:///{tmp_path}/cli.db"}.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, stdin: str = "", **environment: str) -> Said:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["tabulary", *arguments])
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            for name, value in environment.items():
                patch.setenv(name, value)
            capsys.readouterr()
            with pytest.raises(SystemExit) as ended:
                main()
        out, err = capsys.readouterr()
        return Said(int(ended.value.code or 0), out, err)

    assert run("bootstrap", ADMIN_EMAIL="admin@example.com", ADMIN_PASSWORD="password").code == 0
    return run
