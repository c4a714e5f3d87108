"""What a run leaves behind: a row of activity, and a revision with all its data but the secrets (spec §4.8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tabulary.items.options import MutationOptions
from tabulary.services.flows.problems import ErrorData
from tabulary.services.flows.run import Run

_SECRETS: Final[dict[str, frozenset[str]]] = {
    "headers": frozenset({"authorization", "cookie"}),
    "query": frozenset({"access_token"}),
    "payload": frozenset({
        "password", "token", "tfa_secret", "external_identifier", "auth_data", "credentials", "ai_openai_api_key",
        "ai_anthropic_api_key", "ai_google_api_key", "ai_openai_compatible_api_key",
    }),
}  # fmt: skip
"""Members of members that nobody is to read in a log, wherever they are."""

REDACTED: Final = "--redacted--"


async def track(run: Run) -> None:
    """Write down that a flow has run, as its setting ``accountability`` says."""
    if not run.flow.tracking:
        return
    who = run.accountability
    options = MutationOptions(emit_events=False)
    activity = _service(run, "directus_activity")
    row = {
        "action": "run",
        "user": who.user if who else None,
        "collection": "directus_flows",
        "ip": who.ip if who else None,
        "user_agent": who.user_agent if who else None,
        "origin": who.origin if who else None,
        "item": run.flow.id,
    }
    key = await activity.create_one(row, options)
    if run.flow.tracking == "all":
        log = redacted({"steps": run.steps, "data": run.data}, run.data["$env"])
        revision = {"activity": key, "collection": "directus_flows", "item": run.flow.id, "data": log}
        await _service(run, "directus_revisions").create_one(revision, options)


def _service(run: Run, collection: str) -> Any:
    return run.platform.service(collection, schema=run.schema, connection=run.connection)


def redacted(value: Any, env: Mapping[str, Any], under: str = "") -> Any:
    """A copy without secrets: values of the environment that flows may see, and the members of :data:`_SECRETS`."""
    if isinstance(value, ErrorData):
        value = {**value, "message": value.message}
    if isinstance(value, Mapping):
        hidden: frozenset[str] = _SECRETS.get(under, frozenset())
        return {
            name: REDACTED if name in hidden and entry is not None else redacted(entry, env, name)
            for name, entry in value.items()
        }
    if isinstance(value, list):
        return [redacted(entry, env, under) for entry in value]
    if isinstance(value, str):
        for name, secret in env.items():
            if isinstance(secret, str) and secret:
                value = value.replace(secret, f"--redacted:{name}--")
    return value
