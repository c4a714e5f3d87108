"""Options of reads and writes, and what a whole nested mutation shares (spec items-and-query §1.2, §1.13)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tabulary.access.integrity import IntegrityFlags as IntegrityFlags
from tabulary.core.errors import InvalidPayload
from tabulary.core.events import Action

Key = Any
"""A primary key as it travels: text or number."""


@dataclass(slots=True)
class MutationTracker:
    """Counts the items that one mutation touches, children included, against ``MAX_BATCH_MUTATION``."""

    limit: float = math.inf
    count: int = 0

    def track(self, items: int) -> None:
        """Count more items. Raises :class:`InvalidPayload` beyond the limit."""
        self.count += items
        if self.count > self.limit:
            raise InvalidPayload(f"Exceeded the maximum of {self.limit:g} items in one mutation")


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """``emit_events``: run ``query`` and ``read`` hooks. ``strip_non_requested``: drop helper columns of the answer."""

    emit_events: bool = True
    strip_non_requested: bool = True


@dataclass(frozen=True, slots=True)
class MutationOptions:
    """How a write behaves (spec items-and-query §1.2); the defaults are those of a request.

    * ``emit_events``: False silences filter and action events of this call and its children.
    * ``bypass_emit_action``: receives each action event instead of the hooks; parents postpone their children's so.
    * ``auto_purge_cache``, ``auto_purge_system_cache``: False leaves the caches alone.
    * ``on_revision_create``, ``on_item_create``: called with each revision's key and each created item.
    * ``bypass_limits``: do not count against ``MAX_BATCH_MUTATION``; ``mutation_tracker``: the shared counter.
    * ``skip_tracking``: neither activity nor revisions.
    * ``overwrite_defaults``: ``{_user, _date, _key, <relation field>: …}`` for "current user", "now", a new key.
    * ``pre_mutation_error``: raised right before the write, after all checks (keeps timing equal).
    * ``bypass_auto_increment_sequence_reset``: the caller will reset the sequence once for many items.
    * ``user_integrity_check_flags``, ``on_require_user_integrity_check``: see :class:`IntegrityFlags`.
    """

    emit_events: bool = True
    bypass_emit_action: Callable[[Action], None] | None = None
    auto_purge_cache: bool | None = None
    auto_purge_system_cache: bool | None = None
    on_revision_create: Callable[[Key], None] | None = None
    on_item_create: Callable[[str, Key], None] | None = None
    bypass_limits: bool = False
    mutation_tracker: MutationTracker | None = None
    skip_tracking: bool = False
    overwrite_defaults: Mapping[str, Any] | None = None
    pre_mutation_error: Exception | None = None
    bypass_auto_increment_sequence_reset: bool = False
    user_integrity_check_flags: IntegrityFlags = IntegrityFlags.NONE
    on_require_user_integrity_check: Callable[[IntegrityFlags], None] | None = None
