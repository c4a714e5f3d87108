"""State as code: data model, roles, policies, permissions, settings, presets and translations as one document.

Applying a state is idempotent: it is compared with what is there, and only differences are written, in one transaction
with the changes of the data model. Nothing is dropped unless that is asked for. A state has no content and no secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tabulary.core.errors import InvalidPayload
from tabulary.database.connection import Connection
from tabulary.items.options import MutationOptions
from tabulary.items.platform import Platform
from tabulary.items.query import Query
from tabulary.schema.diff import Entry, is_deletion
from tabulary.schema.overview import Schema
from tabulary.schema.snapshot import LISTS
from tabulary.services.change_list import change_list, effective, entry_name
from tabulary.services.schema import SchemaService
from tabulary.services.schema_apply import apply_diff
from tabulary.services.schema_change import SchemaChange, run_change
from tabulary.services.schema_snapshots import check_snapshot
from tabulary.services.state_parts import PARTS, Part, Row, StateChange, check_parts, compared, in_order

VERSION: Final = 1
State = dict[str, Any]
_UNLIMITED = MutationOptions(bypass_limits=True)


@dataclass(frozen=True)
class StatePlan:
    """What leads from here to a state.

    Attributes:
        schema: the difference of the data models, as ``/schema/diff`` has it.
        changes: rows to write, in order.
        kept: names of what the state does not have and nobody allowed to drop.
    """

    schema: Mapping[str, list[Entry]]
    changes: list[StateChange] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.changes) or any(self.schema[name] for name in LISTS)

    @property
    def dropped(self) -> list[str]:
        """Names of what would go."""
        entries = [entry for name in LISTS for entry in self.schema[name] if is_deletion(entry)]
        gone = [f"{change.part.name} {change.label}" for change in self.changes if change.verb == "delete"]
        return [*map(entry_name, entries), *gone]

    def lines(self) -> list[str]:
        """The plan in words."""
        lines = change_list(self.schema)
        for part in PARTS:
            own = [change for change in self.changes if change.part is part]
            if own:
                lines.append(f"{part.name.capitalize()}:")
            for change in own:
                lines.append(f"  - {change.verb.capitalize()} {change.label}")
                if change.verb == "update":
                    lines += [f"    - Set {name} to {value!r}" for name, value in change.data.items()]
        return lines


class StateService:
    """States of one platform, on behalf of the system."""

    def __init__(self, *, platform: Platform, schema: Schema, connection: Connection | None = None) -> None:
        self.platform = platform
        self.schema = schema
        self.connection = connection

    async def export(self) -> State:
        """The state as it is now."""
        state: State = {"tabulary": VERSION, "schema": await self._schemas().snapshot()}
        for part in PARTS:
            rows = [_without_key(part, row) for row in await self._rows(self.schema, part)]
            rows.sort(key=lambda row, part=part: [str(row.get(n) or "") for n in (*part.identity, "id")])  # type: ignore[misc]
            state[part.name] = (rows[0] if rows else {}) if part.single else rows
        return state

    async def plan(self, state: Mapping[str, Any], *, allow_drop: bool = False) -> StatePlan:
        """What applying a state would change; parts that it does not have stay as they are.

        Raises :class:`InvalidPayload` for what is no state.
        """
        check_state(state)
        difference: dict[str, list[Entry]] = {name: [] for name in LISTS}
        if "schema" in state:
            target: dict[str, Any] = {name: [] for name in LISTS if name != "systemFields"} | dict(state["schema"])
            if found := await self._schemas().diff(target, force=True):
                difference = effective(found["diff"])
        changes: list[StateChange] = []
        mapped: dict[tuple[str, Any], Any] = {}
        for part in PARTS:
            if part.name in state:
                wanted = [state[part.name]] if part.single else state[part.name]
                changes += self._compared(part, wanted, await self._rows(self.schema, part), mapped)
        if allow_drop:
            return StatePlan(difference, in_order(changes))
        return _without_drops(difference, in_order(changes))

    async def apply(self, plan: StatePlan) -> None:
        """Carry a plan out, all or nothing. Raises what writing raises: the last administrator, for one, may not go."""

        async def work(change: SchemaChange) -> None:
            await apply_diff(change, plan.schema)
            schema = (await change.model()).schema
            for entry in plan.changes:
                await self._write(schema, change.connection, entry)

        if plan:
            await run_change(self.platform, self.schema, None, self.connection, work)

    async def _write(self, schema: Schema, connection: Connection, change: StateChange) -> None:
        service = self.platform.service(change.part.collection, schema=schema, connection=connection)
        columns = set(schema.collections[change.part.collection].fields)
        data = {name: value for name, value in change.data.items() if name in columns}
        if change.verb == "delete":
            await service.delete_many([change.key], _UNLIMITED)
        elif change.part.single:
            await service.upsert_singleton(data, _UNLIMITED)
        elif change.verb == "create":
            await service.create_one(data, _UNLIMITED)
        else:
            await service.update_many([change.key], data, _UNLIMITED)

    def _compared(
        self, part: Part, wanted: list[Row], current: list[Row], mapped: dict[tuple[str, Any], Any]
    ) -> list[StateChange]:
        if not part.single:
            return compared(part, wanted, current, mapped)
        found = compared(part, wanted, current[:1] or [{"id": None}], mapped)
        return [change for change in found if change.verb == "update"]

    async def _rows(self, schema: Schema, part: Part) -> list[Row]:
        """The rows of a part as they are here, always with their key."""
        primary = schema.collections[part.collection].primary
        fields = dict.fromkeys([primary, *part.columns(schema)])
        raw = {"fields": list(fields), "filter": part.chosen, "limit": -1, "sort": [primary]}
        query = Query.parse(raw, self.platform.settings)
        rows = await self.platform.reader.read(schema, part.collection, query, None, self.connection)
        return [{"id": row[primary], **row} for row in rows]

    def _schemas(self) -> SchemaService:
        return SchemaService(platform=self.platform, schema=self.schema, connection=self.connection)


def check_state(given: Any) -> None:
    """Raise :class:`InvalidPayload` for what is no state."""
    if not isinstance(given, Mapping):
        raise InvalidPayload("A state has to be an object")
    if given.get("tabulary") != VERSION:
        raise InvalidPayload(f'"tabulary" has to be {VERSION}: the version of the format of states')
    unknown = [name for name in given if name not in ("tabulary", "schema", *(part.name for part in PARTS))]
    if unknown:
        raise InvalidPayload(f'"{unknown[0]}" is not a part of a state')
    if "schema" in given:
        check_snapshot(given["schema"])
    check_parts(given)


def _without_key(part: Part, row: Row) -> Row:
    return row if part.keyed else {name: value for name, value in row.items() if name != "id"}


def _without_drops(difference: Mapping[str, list[Entry]], changes: list[StateChange]) -> StatePlan:
    """A plan that keeps what is there: also a field that would have to go because it is an alias on one side only."""
    schema: dict[str, list[Entry]] = {}
    kept: list[str] = []
    for name in LISTS:
        gone = {entry_name(entry) for entry in difference[name] if is_deletion(entry)}
        schema[name] = [entry for entry in difference[name] if entry_name(entry) not in gone]
        kept += sorted(gone)
    deleted = [change for change in changes if change.verb == "delete"]
    kept += [f"{change.part.name} {change.label}" for change in deleted]
    return StatePlan(schema, [change for change in changes if change.verb != "delete"], kept)
