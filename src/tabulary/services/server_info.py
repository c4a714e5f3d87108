"""What a server tells of itself, and its first set-up (``/server/info|setup``, spec schema-and-platform §4.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tabulary.access.accountability import Accountability
from tabulary.core.errors import Forbidden, InvalidPayload
from tabulary.core.log_levels import allowed_levels
from tabulary.database.connection import Connection
from tabulary.items.platform import Platform
from tabulary.schema.overview import Schema
from tabulary.services.health import COMPATIBLE_VERSION
from tabulary.services.settings import OWNER_FIELDS

PROJECT_FIELDS = (
    "project_name",
    "project_descriptor",
    "project_logo",
    "project_color",
    "default_appearance",
    "default_theme_light",
    "default_theme_dark",
    "theme_light_overrides",
    "theme_dark_overrides",
    "default_language",
    "public_foreground",
    "public_favicon",
    "public_note",
    "custom_css",
    "public_registration",
    "public_registration_verify_email",
)
_BACKGROUND = "public_background"
_LOCK = "setup"


async def server_info(platform: Platform, schema: Schema, accountability: Accountability) -> dict[str, Any]:
    """The project's face for everybody; limits and version for those who are logged in."""
    answer: dict[str, Any] = {"project": await _project(platform, schema)}
    answer["setupCompleted"] = await _has_users(platform, schema)
    if accountability.user is not None:
        answer |= _limits(platform)
    if accountability.user is not None or not answer["setupCompleted"]:
        answer["version"] = COMPATIBLE_VERSION
    return answer


async def set_up(platform: Platform, schema: Schema, given: Mapping[str, Any]) -> None:
    """Make the first administrator and store who owns the project, all or nothing. Nothing is reported to anyone.

    Raises :class:`Forbidden` once there is any user, and :class:`InvalidPayload` without address or password.
    """
    if await _has_users(platform, schema):
        raise Forbidden
    for name in ("project_owner", "password"):
        if not isinstance(given.get(name), str) or not given[name]:
            raise InvalidPayload(f'"{name}" is required')
    user = {name: given.get(name) for name in ("password", "first_name", "last_name")}
    user |= {"email": given["project_owner"], "status": "active"}
    owner = {name: given.get(name) for name in OWNER_FIELDS if name in given}

    async def install(connection: Connection) -> None:
        def service(collection: str) -> Any:
            return platform.service(collection, schema=schema, connection=connection)

        # two visitors of a new server at once: the second one is too late
        await connection.dialect.lock(connection, _LOCK)
        if await _has_users(platform, schema, connection):
            raise Forbidden
        role = await service("directus_roles").create_one({"name": "Administrator", "icon": "verified"})
        rights = {"name": "Administrator", "icon": "verified", "admin_access": True, "app_access": True}
        policy = await service("directus_policies").create_one(rights)
        await service("directus_access").create_one({"role": role, "policy": policy, "sort": 1})
        await service("directus_users").create_one({**user, "role": role})
        await service("directus_settings").upsert_singleton(owner)

    await platform.database.run_in_transaction(install)


async def _has_users(platform: Platform, schema: Schema, connection: Connection | None = None) -> bool:
    users = platform.service("directus_users", schema=schema, connection=connection)
    return bool(await users.get_keys_by_query({"limit": 1}))


async def _project(platform: Platform, schema: Schema) -> dict[str, Any]:
    fields = [*PROJECT_FIELDS, f"{_BACKGROUND}.id", f"{_BACKGROUND}.type"]
    row = await platform.service("directus_settings", schema=schema).read_singleton({"fields": fields})
    return {name: row.get(name) for name in (*PROJECT_FIELDS, _BACKGROUND)}


def _limits(platform: Platform) -> dict[str, Any]:
    settings = platform.settings
    maximum = settings["QUERY_LIMIT_MAX"]

    def rate(prefix: str) -> dict[str, Any] | bool:
        if not settings[f"{prefix}_ENABLED"]:
            return False
        return {"points": settings[f"{prefix}_POINTS"], "duration": settings[f"{prefix}_DURATION"]}

    answer: dict[str, Any] = {
        "mcp_enabled": settings["MCP_ENABLED"],
        "ai_enabled": settings["AI_ENABLED"],
        "files": {"mimeTypeAllowList": settings["FILES_MIME_TYPE_ALLOW_LIST"]},
        "rateLimit": rate("RATE_LIMITER"),
        "rateLimitGlobal": rate("RATE_LIMITER_GLOBAL"),
        "extensions": {"limit": settings["EXTENSIONS_LIMIT"]},
        "queryLimit": {"default": settings["QUERY_LIMIT_DEFAULT"], "max": -1 if maximum is None else maximum},
        "websocket": _sockets(platform),
    }
    uploads = _uploads(platform)
    return {**answer, "uploads": uploads} if uploads else answer


def _sockets(platform: Platform) -> dict[str, Any] | bool:
    settings = platform.settings
    if not settings["WEBSOCKETS_ENABLED"]:
        return False

    def socket(kind: str) -> dict[str, Any] | bool:
        prefix = f"WEBSOCKETS_{kind}"
        if not settings[f"{prefix}_ENABLED"]:
            return False
        return {"authentication": settings[f"{prefix}_AUTH"], "path": settings[f"{prefix}_PATH"]}

    beats = settings["WEBSOCKETS_HEARTBEAT_ENABLED"] and settings["WEBSOCKETS_HEARTBEAT_PERIOD"]
    sockets = {"rest": socket("REST"), "graphql": socket("GRAPHQL"), "heartbeat": beats}
    levels = allowed_levels(str(settings["WEBSOCKETS_LOGS_LEVEL"]))
    logs = {"allowedLogLevels": levels} if settings["WEBSOCKETS_LOGS_ENABLED"] else False
    return {**sockets, "collaborativeEditing": False, "logs": logs}


def _uploads(platform: Platform) -> dict[str, Any]:
    settings = platform.settings
    found: dict[str, Any] = {}
    if (most := settings["FILES_MAX_UPLOAD_CONCURRENCY"]) not in (None, float("inf")):
        found["maxConcurrency"] = most
    if settings["TUS_ENABLED"]:
        found |= {"tus": True, "chunkSize": settings["TUS_CHUNK_SIZE"]}
    return found
