"""Project settings: one row (spec users-and-access §6.1), and what mails show of it."""

from __future__ import annotations

from typing import Any

from tabulary.items.platform import Platform

OWNER_FIELDS = ("project_owner", "project_usage", "org_name", "product_updates")
DEFAULT_COLOR = "#171717"
_MAIL_FIELDS = ("project_name", "project_color", "project_logo", "project_url")


async def mail_data(platform: Platform) -> dict[str, Any]:
    """The project's face as mail templates use it (spec files-graphql-realtime-flows §6)."""
    schema = await platform.schemas.current()
    row = await platform.service("directus_settings", schema=schema).read_singleton({"fields": list(_MAIL_FIELDS)})
    base = str(platform.settings["PUBLIC_URL"]).rstrip("/")
    logo = row.get("project_logo")
    return {
        "projectName": row.get("project_name") or "Tabulary",
        "projectColor": row.get("project_color") or DEFAULT_COLOR,
        "projectLogo": f"{base}/assets/{logo}" if logo else "",
        "projectUrl": row.get("project_url") or "",
    }
