"""System collections that are items and nothing more, each with the actions that it offers."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from tabulary.core.errors import Forbidden, InvalidPayload, ServiceUnavailable
from tabulary.server import respond
from tabulary.server.request import ApiRequest
from tabulary.server.routes.resource import EVERYTHING, READ_ONLY, Resource
from tabulary.services.settings import OWNER_FIELDS


class Settings(Resource):
    """``/settings``: one row, read and written without a key (spec users-and-access §6.1)."""

    def routes(self) -> list[Route]:
        return [
            Route(self.path, self.read_many, methods=["GET"]),
            Route(self.path, self.update_many, methods=["PATCH"]),
            Route(f"{self.path}/owner", self.set_owner, methods=["POST"]),
        ]

    def is_singleton(self, request: ApiRequest) -> bool:
        return True

    async def set_owner(self, request: ApiRequest) -> Response:
        """Store who owns the project; nothing is reported to anyone."""
        owner = {k: v for k, v in self.object_of(request).items() if k in OWNER_FIELDS}
        await self.service(request).upsert_singleton(owner)
        return respond.nothing()


class Extensions(Resource):
    """``/extensions``: the rows of what is installed (spec schema-and-platform §4.5). There is no marketplace."""

    key_pattern = "{key:uuid}"

    def routes(self) -> list[Route]:
        one = f"{self.path}/{self.key_pattern}"
        return [
            Route(self.path, self.read_many, methods=["GET"]),
            Route(one, self.update_one, methods=["PATCH"]),
            Route(one, self.delete_one, methods=["DELETE"]),
            Route(f"{self.path}/registry", self.registry, methods=["GET"]),
            Route(f"{self.path}/registry/{{rest:path}}", self.registry, methods=["GET", "POST", "DELETE"]),
        ]

    async def read_many(self, request: ApiRequest) -> Response:
        rows = await self.service(request).read_by_query({"limit": -1})
        return respond.data(request, [{"id": r["id"], "bundle": r["bundle"], "meta": r, "schema": None} for r in rows])

    async def update_one(self, request: ApiRequest) -> Response:
        """Switch an extension on or off; 204 for one that is not there."""
        _require_admin(request)
        meta = self.object_of(request).get("meta")
        if not isinstance(meta, dict):
            raise InvalidPayload('"meta" is required')
        key = str(request.path_params["key"])
        await self.service(request).update_one(key, {"enabled": bool(meta.get("enabled"))})
        return respond.nothing()

    async def delete_one(self, request: ApiRequest) -> Response:
        """Remove an extension's rows, those of its members included."""
        _require_admin(request)
        key = str(request.path_params["key"])
        await self.service(request).delete_by_query({"filter": {"bundle": {"_eq": key}}, "limit": -1})
        await self.service(request).delete_many([key])
        return respond.nothing()

    async def registry(self, request: ApiRequest) -> Response:
        _require_admin(request)
        if request.method != "GET" and not self.object_of(request).get("extension"):
            raise Forbidden
        raise ServiceUnavailable("marketplace", "Tabulary has no marketplace")


def _require_admin(request: ApiRequest) -> None:
    if not request.accountability.admin:
        raise Forbidden


def families() -> dict[str, list[Route]]:
    """The routes of all of them by the first part of their path."""
    plain = {
        "activity": READ_ONLY,
        "revisions": READ_ONLY,
        "comments": EVERYTHING,
        "presets": EVERYTHING,
        "dashboards": EVERYTHING,
        "panels": EVERYTHING,
        "notifications": EVERYTHING,
        "translations": EVERYTHING,
        "operations": EVERYTHING,
    }
    resources = [Resource(f"/{name}", f"directus_{name}", actions) for name, actions in plain.items()]
    resources += [
        Settings("/settings", "directus_settings"),
        Extensions("/extensions", "directus_extensions"),
    ]
    return {resource.path[1:]: resource.routes() for resource in resources}
