"""What root fields do: each verb of a :class:`~tabulary.server.graphql.roots.Call` is a method here (spec §1.7,
§1.11).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from tabulary.core import json
from tabulary.core.errors import Forbidden, InvalidPayload
from tabulary.core.tokens import random_token
from tabulary.items.selection import shaped
from tabulary.server.graphql.internal import Endpoints
from tabulary.server.graphql.reading import read_groups, read_list, read_many, read_one, read_singleton
from tabulary.server.graphql.system import Rest
from tabulary.server.request import ApiRequest

if TYPE_CHECKING:
    from tabulary.server.graphql.execution import Step

SdlOf = Callable[[ApiRequest, str], Awaitable[str]]


class Calls:
    """Runs the root fields of one request; ``cookies`` are the ``Set-Cookie`` headers that came up."""

    def __init__(self, request: ApiRequest, endpoints: Endpoints, sdl_of: SdlOf) -> None:
        self.request = request
        self.endpoints = endpoints
        self.cookies: list[tuple[bytes, bytes]] = []
        self._sdl_of = sdl_of

    @property
    def is_admin(self) -> bool:
        return self.request.accountability.admin

    async def run(self, step: Step) -> str:
        """The JSON text of a root field. Raises what the service behind it raises."""
        if isinstance(step.call, Rest):
            return await self._rest(step, step.call)
        if step.call is None:
            return "null"
        method: Callable[[Step], Awaitable[str]] = getattr(self, f"_{step.call.verb}")
        return await method(step)

    def _service(self, step: Step) -> Any:
        return self.request.service(step.call.collection)

    def _query(self, step: Step) -> Any:
        return step.query(self.request.platform.settings)

    # --- reads ------------------------------------------------------------------------------
    async def _list(self, step: Step) -> str:
        return await read_list(self._service(step), self._query(step), step.picks)

    async def _one(self, step: Step) -> str:
        return await read_one(self._service(step), step.arguments["id"], self._query(step), step.picks)

    async def _singleton(self, step: Step) -> str:
        return await read_singleton(self._service(step), self._query(step), step.picks)

    async def _aggregate(self, step: Step) -> str:
        return await read_groups(self._service(step), self._query(step), step.picks)

    async def _version(self, step: Step) -> str:
        service = self._service(step)
        if "id" in step.arguments:
            return await read_one(service, step.arguments["id"], self._query(step), step.picks)
        return await read_singleton(service, self._query(step), step.picks)

    async def _mutated(self, step: Step) -> str:
        """A subscription that came by HTTP: there is nothing to send."""
        return "null"

    # --- writes -----------------------------------------------------------------------------
    async def _create_one(self, step: Step) -> str:
        return await self._shown(step, await self._service(step).create_one(step.arguments["data"]))

    async def _create_many(self, step: Step) -> str:
        return await self._all_shown(step, await self._service(step).create_many(step.arguments.get("data") or []))

    async def _update_one(self, step: Step) -> str:
        return await self._shown(
            step, await self._service(step).update_one(step.arguments["id"], step.arguments["data"])
        )

    async def _update_many(self, step: Step) -> str:
        keys = await self._service(step).update_many(step.arguments["ids"], step.arguments["data"])
        return await self._all_shown(step, keys)

    async def _update_batch(self, step: Step) -> str:
        return await self._all_shown(step, await self._service(step).update_batch(step.arguments.get("data") or []))

    async def _upsert_singleton(self, step: Step) -> str:
        service = self._service(step)
        await service.upsert_singleton(step.arguments["data"])
        if not step.call.readable:
            return "true"
        return await read_singleton(service, self._query(step), step.picks)

    async def _delete_one(self, step: Step) -> str:
        key = step.arguments["id"]
        await self._service(step).delete_one(key)
        return self._encoded(shaped({"id": key}, step.picks))

    async def _delete_many(self, step: Step) -> str:
        keys = step.arguments["ids"]
        await self._service(step).delete_many(keys)
        return self._encoded(shaped({"ids": keys}, step.picks))

    async def _shown(self, step: Step, key: Any) -> str:
        """The written item, read again; no read where nothing of it was asked for."""
        if not step.call.readable:
            return "true"
        if all(pick.form == "word" for pick in step.picks):
            return self._encoded(shaped({}, step.picks))
        return await read_one(self._service(step), key, self._query(step), step.picks)

    async def _all_shown(self, step: Step, keys: Sequence[Any]) -> str:
        if not step.call.readable:
            return "true"
        if all(pick.form == "word" for pick in step.picks):
            return self._encoded([shaped({}, step.picks) for _ in keys])
        return await read_many(self._service(step), keys, self._query(step), step.picks)

    # --- the caller -------------------------------------------------------------------------
    async def _users_me(self, step: Step) -> str:
        user = self.request.accountability.user
        return "null" if user is None else await read_one(self._service(step), user, self._query(step), step.picks)

    async def _roles_me(self, step: Step) -> str:
        who = self.request.accountability
        if who.user is None:
            return "null"
        return await read_many(self._service(step), list(who.roles), self._query(step).with_limit(None), step.picks)

    async def _update_users_me(self, step: Step) -> str:
        user = self.request.accountability.user
        if user is None:
            return "null"
        await self._service(step).update_one(user, step.arguments.get("data") or {})
        return await self._shown(step, user)

    # --- by hand ----------------------------------------------------------------------------
    async def _ping(self, step: Step) -> str:
        return '"pong"'

    async def _sdl(self, step: Step) -> str:
        return self._encoded(await self._sdl_of(self.request, step.arguments.get("scope") or "items"))

    async def _random_string(self, step: Step) -> str:
        length = step.arguments.get("length")
        length = 32 if length is None else length
        if not 1 <= length <= 500:
            raise InvalidPayload('"length" has to be from 1 to 500')
        return self._encoded(random_token(length))

    async def _import_file(self, step: Step) -> str:
        rest = Rest("POST", "/files/import", ("url", "data"))
        answer, _ = await self.endpoints.call(self.request, rest, step.arguments)
        item = answer.get("data") if isinstance(answer, dict) else None
        if item is None:
            raise Forbidden
        return await self._shown(step, item["id"] if isinstance(item, dict) else item)

    async def _rest(self, step: Step, rest: Rest) -> str:
        if rest.needs_user and self.request.accountability.user is None:
            return "null"
        # an earlier field of the same operation may have changed the data model
        self.request.schema = await self.request.platform.schemas.current()
        answer, response = await self.endpoints.call(self.request, rest, step.arguments)
        self.cookies += [header for header in response.raw_headers if header[0] == b"set-cookie"]
        if rest.answer == "true":
            return "true"
        if rest.answer == "null":
            return "null"
        if rest.answer == "arguments":
            value: Any = dict(step.arguments)
        else:
            value = answer.get("data") if rest.answer == "data" and isinstance(answer, dict) else answer
        return self._encoded(shaped(value, step.picks, aliased=False) if step.picks else value)

    @staticmethod
    def _encoded(value: Any) -> str:
        return json.encode(value).decode()
