"""What advice consists of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tabulary.services.advice.tries import Measure
from tabulary.services.advice.wanted import Wanted

Status = Literal["helps", "no effect", "not measured", "made", "failed"]


@dataclass(frozen=True, slots=True)
class Effect:
    """A read before and after: best time in milliseconds, and work in the unit of the database (None: not tried)."""

    why: tuple[str, ...]
    before_ms: float
    before_work: int
    after_ms: float | None = None
    after_work: int | None = None

    @classmethod
    def of(cls, why: tuple[str, ...], before: Measure, after: Measure | None = None) -> Effect:
        if after is None:
            return cls(why, round(before.milliseconds, 2), before.work)
        return cls(why, round(before.milliseconds, 2), before.work, round(after.milliseconds, 2), after.work)

    @property
    def saved_ms(self) -> float:
        return 0.0 if self.after_ms is None else self.before_ms - self.after_ms


@dataclass
class Proposal:
    """An index that a read in use could use.

    Attributes:
        kind: ``index`` for an ordinary one, ``search`` for one that finds parts of words.
        sql: the statements that make it, ``undo`` those that remove it.
        why: what asks for reads that use it.
        bytes: its size, where it was made or tried.
        status: ``helps`` was tried with effect, ``made`` is there now; ``failed`` and ``not measured`` have
            a ``problem``.
    """

    collection: str
    columns: tuple[str, ...]
    kind: Literal["index", "search"]
    name: str
    sql: list[str]
    undo: list[str]
    why: list[str] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    bytes: int | None = None
    status: Status = "no effect"
    problem: str | None = None

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.collection, self.columns, searches=self.kind == "search")

    @property
    def best(self) -> Effect | None:
        """The read that gains most."""
        return max(self.effects, key=lambda effect: effect.saved_ms, default=None)

    def add(self, effect: Effect) -> None:
        self.effects.append(effect)
        self.why = list(dict.fromkeys((*self.why, *effect.why)))


@dataclass
class Advice:
    """Proposals, those with most effect first. ``unit``: what work is counted in. ``notes``: what was passed over."""

    database: str
    unit: str
    proposals: list[Proposal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def of(self, *statuses: Status) -> list[Proposal]:
        return [proposal for proposal in self.proposals if proposal.status in statuses]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return asdict(self)


def without_prefixes(proposals: Sequence[Proposal]) -> list[Proposal]:
    """Without helping indexes whose columns are the first of another one that helps, too: that serves their reads."""
    helping = [p for p in proposals if p.status == "helps" and p.kind == "index"]
    kept = []
    for proposal in proposals:
        longer = next((p for p in helping if proposal in helping and _begins_with(p, proposal)), None)
        if longer is None:
            kept.append(proposal)
        else:
            for effect in proposal.effects:
                longer.add(effect)
    return kept


def _begins_with(longer: Proposal, proposal: Proposal) -> bool:
    size = len(proposal.columns)
    same = longer.collection == proposal.collection and longer.columns[:size] == proposal.columns
    return same and len(longer.columns) > size
