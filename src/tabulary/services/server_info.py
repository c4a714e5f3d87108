"""What a server tells of itself (``/server/info``, spec schema-and-platform §4.3)."""

from __future__ import annotations

from typing import Any

from tabulary.access.accountability import Accountability
from tabulary.core.log_levels import allowed_levels
from tabulary.items.platform import Platform
from tabulary.schema.overview import Schema
from tabulary.services.health import COMPATIBLE_VERSION

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


async def server_info(platform: Platform, schema: Schema, accountability: Accountability) -> dict[str, Any]:
    """The project's face for everybody; limits and version for those who are logged in."""
    answer: dict[str, Any] = {"project": await _project(platform, schema)}
    answer["setupCompleted"] = await _has_users(platform, schema)
    if accountability.user is not None:
        answer |= _limits(platform)
    if accountability.user is not None or not answer["setupCompleted"]:
        answer["version"] = COMPATIBLE_VERSION
    if not answer["setupCompleted"]:  # for who is about to choose the first password
        answer["passwordPolicy"] = await _password_policy(platform, schema)
    return answer


async def _has_users(platform: Platform, schema: Schema) -> bool:
    users = platform.service("directus_users", schema=schema)
    return bool(await users.get_keys_by_query({"limit": 1}))


async def _password_policy(platform: Platform, schema: Schema) -> str | None:
    row = await platform.service("directus_settings", schema=schema).read_singleton(
        {"fields": ["auth_password_policy"]}
    )
    policy: str | None = row.get("auth_password_policy")
    return policy


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
