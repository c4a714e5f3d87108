"""The text of a CREATE TABLE statement, taken apart just far enough to change one column or constraint.

Everything that is not touched stays as it was written: checks, collations, generated columns, names, comments. That is
why tables are rebuilt from their own text and not from what pragmas tell about them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

_TOKEN = re.compile(
    r"""\s+ | --[^\n]* | /\*.*?\*/ | '(?:[^']|'')*' | "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\] | [\w$]+ | .""",
    re.VERBOSE | re.DOTALL,
)
_CONSTRAINTS = frozenset({"constraint", "primary", "unique", "check", "foreign"})
_CLAUSES = frozenset(
    {"constraint", "primary", "not", "null", "unique", "check", "default", "collate", "references", "generated", "as"}
)
_CONTINUES = {"null": {"not", "default", "set"}, "default": {"set"}, "as": {"always"}}
"""Clause words that belong to the clause before them when they follow one of these words."""
_KEPT = frozenset({"primary", "unique", "check", "collate", "references"})


@dataclass(frozen=True, slots=True)
class TableText:
    """Definitions of columns by name and of constraints, in order, and what follows the closing parenthesis."""

    columns: tuple[tuple[str, str], ...]
    constraints: tuple[str, ...]
    options: str

    @classmethod
    def parse(cls, sql: str) -> TableText:
        """Take a CREATE TABLE statement apart. Raises ``ValueError`` when it has no list of columns."""
        body, options = _body(sql)
        columns: list[tuple[str, str]] = []
        constraints: list[str] = []
        for part in _split(body):
            first = next(_words(part))
            if first.lower() in _CONSTRAINTS:
                constraints.append(part)
            else:
                columns.append((unquoted(first), part))
        return cls(tuple(columns), tuple(constraints), options)

    def create(self, quoted_name: str) -> str:
        """The statement that makes the table under a name."""
        parts = [definition for _, definition in self.columns] + list(self.constraints)
        return f"CREATE TABLE {quoted_name} (\n  " + ",\n  ".join(parts) + f"\n) {self.options}".rstrip()

    @property
    def stored_columns(self) -> list[str]:
        """Columns that hold values, so without the generated ones."""
        return [n for n, text in self.columns if not any(_kind(c) in ("generated", "as") for c in _clauses(text)[1])]

    # --- changes -----------------------------------------------------------------------------
    def add_column(self, name: str, definition: str) -> TableText:
        return replace(self, columns=(*self.columns, (name, definition)))

    def drop_column(self, name: str) -> TableText:
        """Without a column and the constraints that mention it."""
        kept = tuple(c for c in self.constraints if name.lower() not in {unquoted(w).lower() for w in _own_words(c)})
        return replace(self, columns=tuple(c for c in self.columns if not _same(c[0], name)), constraints=kept)

    def alter_column(self, name: str, definition: str) -> TableText:
        """Put a new name, type, NOT NULL and default in place; key, references, checks and collation stay."""

        def merged(old: str) -> str:
            kept = [clause for clause in _clauses(old)[1] if _kind(clause) in _KEPT]
            return " ".join([definition, *kept])

        return self._change(name, merged)

    def add_constraint(self, text: str) -> TableText:
        return replace(self, constraints=(*self.constraints, text))

    def drop_foreign_key(self, column: str) -> TableText:
        """Without the foreign keys of this column alone."""
        return self._without(column, "references", "foreign")

    def drop_unique(self, column: str) -> TableText:
        """Without the UNIQUE constraints of this column alone."""
        return self._without(column, "unique", "unique")

    def _without(self, column: str, clause_kind: str, constraint_kind: str) -> TableText:
        def stripped(old: str) -> str:
            head, clauses = _clauses(old)
            return " ".join([head, *(c for c in clauses if _kind(c) != clause_kind)])

        kept = tuple(
            c for c in self.constraints if not (_kind(c) == constraint_kind and _same_list(_first_list(c), column))
        )
        return replace(self._change(column, stripped), constraints=kept)

    def _change(self, name: str, change: object) -> TableText:
        assert callable(change)
        columns = tuple((n, change(text) if _same(n, name) else text) for n, text in self.columns)
        return replace(self, columns=columns)


def unquoted(word: str) -> str:
    """An identifier without its quotes."""
    if len(word) > 1 and word[0] in "\"`'" and word[-1] == word[0]:
        return word[1:-1].replace(word[0] * 2, word[0])
    return word[1:-1] if word.startswith("[") else word


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    """Tokens with the depth of parentheses at which they stand."""
    depth = 0
    for token in _TOKEN.findall(text):
        if token == ")":
            depth -= 1
        yield token, depth
        if token == "(":
            depth += 1


def _is_blank(token: str) -> bool:
    return token.isspace() or token.startswith(("--", "/*"))


def _words(text: str) -> Iterator[str]:
    return (token for token, _ in _tokens(text) if not _is_blank(token))


def _body(sql: str) -> tuple[str, str]:
    inside: list[str] = []
    after: list[str] = []
    opened = False
    for token, depth in _tokens(sql):
        if not opened:
            opened = token == "("
        elif after or depth == 0:
            after.append(token)
        else:
            inside.append(token)
    if not opened:
        raise ValueError("not a CREATE TABLE statement with a list of columns")
    return "".join(inside), "".join(after[1:]).strip()


def _split(body: str) -> list[str]:
    """The definitions between top-level commas. Comments go: a line comment would swallow what follows it later."""
    parts: list[list[str]] = [[]]
    for token, depth in _tokens(body):
        if token == "," and depth == 0:
            parts.append([])
        else:
            parts[-1].append(" " if _is_blank(token) else token)
    return [text for part in parts if (text := "".join(part).strip())]


def _clauses(definition: str) -> tuple[str, list[str]]:
    """Name and type of a column, then its clauses."""
    parts: list[list[str]] = [[]]
    previous = ""
    is_name = False
    for token, depth in _tokens(definition):
        if depth == 0 and not token.isspace():
            word = token.lower()
            if word in _CLAUSES and previous and not is_name and _starts(word, previous, definition, parts[-1]):
                parts.append([])
            is_name = previous != "constraint" and word == "constraint"
            previous = word
        parts[-1].append(token)
    head, *clauses = ("".join(part).strip() for part in parts)
    return head, clauses


def _starts(word: str, previous: str, definition: str, current: list[str]) -> bool:
    """Whether a clause word opens a clause, or goes on with the one before (``ON DELETE SET NULL``, ``NOT NULL``)."""
    if previous in _CONTINUES.get(word, ()):
        return False
    text = "".join(current).strip().lower()
    if re.fullmatch(r"constraint\s+(\"[^\"]*\"|`[^`]*`|\[[^\]]*\]|\S+)", text):
        return False
    if word == "not" and text.startswith("references"):
        rest = definition.lower().split(text, 1)[1]
        return not re.match(r"\s*not\s+deferrable", rest)
    return True


def _kind(clause: str) -> str:
    """The word that says what a clause or constraint is, behind ``CONSTRAINT name``."""
    words = [w.lower() for w in _words(clause)]
    return words[2] if words and words[0] == "constraint" and len(words) > 2 else words[0] if words else ""


def _first_list(constraint: str) -> list[str]:
    """The names in the first parentheses."""
    names: list[str] = []
    opened = False
    for token, depth in _tokens(constraint):
        if token == "(" and depth == 0:
            opened = True
        elif token == ")" and depth == 0 and opened:
            break
        elif opened and depth == 1 and token != "," and not _is_blank(token):
            names.append(unquoted(token))
    return names


def _own_words(constraint: str) -> list[str]:
    """Words that speak of the table's own columns: all of a CHECK, else the first list."""
    return list(_words(constraint)) if _kind(constraint) == "check" else _first_list(constraint)


def _same(left: str, right: str) -> bool:
    return left.lower() == right.lower()


def _same_list(names: list[str], column: str) -> bool:
    return len(names) == 1 and _same(names[0], column)
