"""One write under way: what its steps share (who, where, which options) and what they leave for their caller.

The steps themselves are functions in :mod:`pipeline`, :mod:`nested` and :mod:`tracking`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tabulary.access.accountability import Accountability
from tabulary.core.errors import InvalidPayload
from tabulary.core.events import Action, EventContext
from tabulary.database.connection import Connection
from tabulary.database.errors import UNFIT
from tabulary.items.blueprint import Blueprint, FieldPlan
from tabulary.items.options import IntegrityFlags, Key, MutationOptions
from tabulary.items.payload import Secrets, Stamp
from tabulary.items.platform import Platform
from tabulary.items.statements import Prepared, Statements, padded
from tabulary.schema.overview import Schema


def event_names(blueprint: Blueprint, verb: str) -> tuple[str, ...]:
    """``items.create`` and ``books.items.create``, or ``users.create`` for a system collection (spec §1.4)."""
    if blueprint.collection.is_system:
        return (f"{blueprint.name.removeprefix('directus_')}.{verb}",)
    return (f"items.{verb}", f"{blueprint.name}.items.{verb}")


@dataclass
class WriteContext:
    """``actions`` takes the action events of children; ``revisions`` and ``flags`` are what children reported."""

    platform: Platform
    schema: Schema
    blueprint: Blueprint
    accountability: Accountability | None
    connection: Connection
    nested: tuple[str, ...]
    options: MutationOptions
    actions: Callable[[Action], None]
    revisions: list[Key] = field(default_factory=list)
    flags: IntegrityFlags = IntegrityFlags.NONE

    def __post_init__(self) -> None:
        self.flags |= self.options.user_integrity_check_flags

    @property
    def primary(self) -> FieldPlan:
        return self.blueprint.primary

    @property
    def stamp(self) -> Stamp:
        return Stamp.of(self.accountability, self.options.overwrite_defaults)

    @property
    def secrets(self) -> Secrets:
        return Secrets(self.platform.passwords, str(self.platform.settings.get("SECRET") or ""))

    @property
    def event_context(self) -> EventContext:
        return EventContext(self.connection, self.schema, self.accountability)

    def statements(self, collection: str | None = None) -> Statements:
        return Statements(self.platform.writes, self.connection.dialect, collection or self.blueprint.name)

    def driver_value(self, plan: FieldPlan, value: Any) -> Any:
        """A value as the driver takes it. Raises :class:`InvalidPayload` for one that the column cannot hold."""
        try:
            return self.connection.dialect.values.write(value, plan.column)
        except ValueError as problem:
            raise _unfit(plan.name) from problem

    # --- children ---------------------------------------------------------------------------
    def service(self, collection: str, field_name: str) -> Any:
        """The service of a related collection, working inside this write."""
        return self.platform.service(
            collection,
            schema=self.schema,
            accountability=self.accountability,
            connection=self.connection,
            nested=(*self.nested, field_name),
        )

    def child_options(self, defaults: Any = None, **changes: Any) -> MutationOptions:
        """Options for a nested call: same tracker and limits, its events, revisions and flags come back to us."""
        return MutationOptions(
            emit_events=self.options.emit_events,
            bypass_emit_action=self.actions,
            auto_purge_cache=False,
            auto_purge_system_cache=self.options.auto_purge_system_cache,
            on_revision_create=self.revisions.append,
            on_item_create=self.options.on_item_create,
            bypass_limits=self.options.bypass_limits,
            mutation_tracker=self.options.mutation_tracker,
            skip_tracking=self.options.skip_tracking,
            overwrite_defaults=defaults if isinstance(defaults, Mapping) else None,
            on_require_user_integrity_check=self.require_integrity,
            **changes,
        )

    def defaults_of(self, name: str) -> Any:
        """The part of ``overwrite_defaults`` that speaks of a relation."""
        return (self.options.overwrite_defaults or {}).get(name)

    def require_integrity(self, flags: IntegrityFlags) -> None:
        self.flags |= flags

    async def check_integrity(self) -> None:
        """Pass the flags up, or check them here when this is the outermost call (spec items-and-query §1.2).

        Raises :class:`UnprocessableContent` when no admin would be left.
        """
        if not self.flags:
            return
        if self.options.on_require_user_integrity_check is not None:
            self.options.on_require_user_integrity_check(self.flags)
            return
        await self.platform.access.check_integrity(self.connection, self.flags)

    # --- look-ups ---------------------------------------------------------------------------
    async def rows(self, collection: str, columns: list[str], where: str, values: list[Any]) -> list[tuple[Any, ...]]:
        """Raw rows whose column ``where`` has one of the values, without permissions or events.

        Raises :class:`InvalidPayload` for a value that the column cannot hold.
        """
        blueprint = self.platform.writes.blueprint(self.schema, collection)
        plan = blueprint.fields[where]
        found: list[tuple[Any, ...]] = []
        for part in padded([self.driver_value(plan, value) for value in values]):
            statement = self.statements(collection).select(columns, plan, len(part))
            try:
                found += await self.connection.fetch_rows(statement.sql, statement.values(part))
            except Exception as problem:
                if (known := self.connection.dialect.classify(problem)) and known.kind in UNFIT:
                    raise _unfit(where) from problem
                raise
        return found

    async def value(self, statement: Prepared, *parameters: Any) -> Any:
        return await self.connection.fetch_value(statement.sql, statement.values(parameters))


def _unfit(field: str) -> InvalidPayload:
    return InvalidPayload(f'A value does not fit the type of "{field}"')
