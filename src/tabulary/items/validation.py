"""A payload before it is written: permission, presets, rules (spec items-and-query §7.4).

Admins skip permissions but not the rules of fields; internal calls (no accountability) skip both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tabulary.access.accountability import Accountability
from tabulary.access.permissions import Permission, PermissionSet
from tabulary.core.errors import ErrorGroup, FailedValidation, Forbidden
from tabulary.database.connection import Connection
from tabulary.items.blueprint import Blueprint, Rule
from tabulary.items.evaluate import Operands, evaluate
from tabulary.items.filter import is_variable
from tabulary.items.platform import Platform
from tabulary.schema.overview import Schema


async def process_payload(
    platform: Platform,
    schema: Schema,
    blueprint: Blueprint,
    action: str,
    payload: Mapping[str, Any],
    accountability: Accountability | None,
    nested: Sequence[str] = (),
    connection: Connection | None = None,
) -> dict[str, Any]:
    """The payload with presets, checked.

    Raises :class:`Forbidden` for a missing permission or a field that the caller may not write, and
    :class:`FailedValidation` (or an :class:`ErrorGroup` of several: all failures at once).
    """
    if accountability is None:
        return dict(payload)
    permissions = await platform.access.permissions(accountability, schema, connection)
    rows = () if permissions.unrestricted else permissions.of_action(blueprint.name, action)
    if not permissions.unrestricted:
        check_fields(permissions, blueprint.name, action, payload)
    rules = [*blueprint.rules[action], *(platform.writes.rule(row.validation) for row in rows if row.validation)]
    presets = _presets(rows)
    texts = {*_mentioned(presets), *(text for rule in rules for text in rule.variables)}
    variables: Mapping[str, Any] = {}
    if texts:
        variables = await platform.access.variables(texts, accountability, schema, connection=connection, of_rules=True)
    merged = {**_resolved(presets, variables), **payload}
    check_rules(rules, merged, variables, nested)
    return merged


def check_fields(permissions: PermissionSet, collection: str, action: str, payload: Iterable[str]) -> None:
    """Raise :class:`Forbidden` unless some row allows the action, and the rows together all fields of the payload."""
    if not permissions.allows(collection, action):
        raise Forbidden(f'You don\'t have permission to {action} items of "{collection}" or it does not exist.')
    allowed = permissions.fields(collection, action)
    if "*" in allowed:
        return
    refused = sorted(name for name in payload if name not in allowed)
    if refused:
        names = ", ".join(f'"{name}"' for name in refused)
        raise Forbidden(f'You don\'t have permission to access {names} of "{collection}" or they do not exist.')


def check_rules(
    rules: Iterable[Rule], payload: Mapping[str, Any], variables: Mapping[str, Any], nested: Sequence[str]
) -> None:
    """Raise all failures of the rules at once."""
    failures: list[FailedValidation] = []
    for rule in rules:
        failures += evaluate(rule.tree, payload, Operands(rule.values, variables), nested)
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise ErrorGroup(failures)


def _presets(rows: Sequence[Permission]) -> dict[str, Any]:
    """Presets of all rows, later rows over earlier ones."""
    return {name: value for row in rows if row.presets for name, value in row.presets.items()}


def _mentioned(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [text for entry in value.values() for text in _mentioned(entry)]
    if isinstance(value, list):
        return [text for entry in value for text in _mentioned(entry)]
    return [value] if is_variable(value) else []


def _resolved(value: Any, variables: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        return {name: _resolved(entry, variables) for name, entry in value.items()}
    if isinstance(value, list):
        return [_resolved(entry, variables) for entry in value]
    return variables.get(value) if is_variable(value) else value
