"""GraphQL over a socket: the sub-protocol ``graphql-transport-ws`` (spec §2.7)."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from graphql import OperationType

from tabulary.core import json
from tabulary.core.errors import TabularyError
from tabulary.items.platform import Platform
from tabulary.items.query import Query
from tabulary.server.graphql import execution
from tabulary.server.graphql.asking import asked_of
from tabulary.server.graphql.documents import InvalidDocument
from tabulary.server.graphql.engine import Engine, Prepared
from tabulary.server.graphql.execution import BadRequest
from tabulary.server.graphql.watching import subscription_of
from tabulary.server.realtime.authentication import FAILED, Gate
from tabulary.server.realtime.client import Client
from tabulary.server.realtime.connection import Connection
from tabulary.server.realtime.frames import error_frame
from tabulary.server.request import ApiRequest
from tabulary.services.subscriptions import Subscriptions
from tabulary.services.watching import Subscription

logger = logging.getLogger("tabulary.realtime")

BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, DUPLICATE, TOO_MANY = 4400, 4401, 4403, 4409, 4429
MAX_OPERATIONS: Final = 1_000
"""Operations that one client may have under way."""


class GraphQLSocket:
    """One connection that speaks the protocol."""

    def __init__(
        self,
        platform: Platform,
        subscriptions: Subscriptions,
        engine: Engine,
        connection: Connection,
        client: Client,
        gate: Gate,
        scope: dict[str, Any],
    ) -> None:
        self.client = client
        self.connection = connection
        self._platform = platform
        self._hub = subscriptions
        self._engine = engine
        self._gate = gate
        self._scope = {**scope, "type": "http", "method": "POST", "query_string": b""}
        self._acknowledged = False
        self._subscriptions: dict[str, Subscription] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Answer messages until the connection ends."""
        if self._gate.mode == "handshake":
            self._gate.wait(FORBIDDEN)
        try:
            await self.connection.each(self._answer)
        finally:
            self._gate.stop()
            self.client.close()
            self._leave()

    def beat(self) -> None:
        """The pings of the WebSocket protocol itself are enough here (spec §2.1)."""

    async def _answer(self, raw: str | bytes) -> None:
        try:
            message = json.decode(raw)
        except ValueError:
            message = None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            self.connection.close(BAD_REQUEST if self._acknowledged else FORBIDDEN)
            return
        kind = message["type"]
        if kind == "connection_init":
            await self._begin(message)
        elif kind == "auth":
            await self._gate.authenticate(self.client, message, message.get("uid"))
        elif not self._acknowledged:
            self.connection.close(FORBIDDEN if self._gate.mode == "handshake" else UNAUTHORIZED)
        elif kind == "ping":
            self.connection.send_json({"type": "pong"})
        elif kind == "subscribe":
            await self._subscribe(message)
        elif kind == "complete":
            self._complete(str(message.get("id")))
        elif kind != "pong":
            self.connection.close(BAD_REQUEST)

    async def _begin(self, message: dict[str, Any]) -> None:
        if self._acknowledged:
            self.connection.close(TOO_MANY)
            return
        if self._gate.mode == "handshake":
            payload = message.get("payload")
            token = payload.get("access_token") if isinstance(payload, dict) else None
            if not isinstance(token, str):
                self.connection.close(FORBIDDEN)
                return
            try:
                await self.client.login(token)
            except TabularyError:
                self.connection.send_json(error_frame("auth", FAILED))
                return
            self._gate.stop()
        self._acknowledged = True
        self.connection.send_json({"type": "connection_ack"})

    # --- operations -------------------------------------------------------------------------
    async def _subscribe(self, message: dict[str, Any]) -> None:
        name, payload = message.get("id"), message.get("payload")
        if not isinstance(name, str) or not name or not isinstance(payload, dict):
            self.connection.close(BAD_REQUEST)
            return
        if name in self._subscriptions or name in self._running:
            self.connection.close(DUPLICATE)
            return
        if len(self._subscriptions) + len(self._running) >= MAX_OPERATIONS:
            self.connection.close(TOO_MANY)
            return
        try:
            asked = asked_of(payload, payload.get("variables"))
            request = await self._request()
            prepared = await self._engine.prepare(request, "items", asked)
            if prepared.kind is OperationType.SUBSCRIPTION:
                await self._watch(name, prepared)
                return
        except BadRequest as problem:
            self._fail(name, json.decode(execution.refused(problem))["errors"])
            return
        except Exception as problem:
            self._fail(name, _errors(problem, self.client.who.admin))
            return
        task = asyncio.ensure_future(self._run(name, request, prepared))
        self._running[name] = task
        task.add_done_callback(lambda _: self._running.pop(name, None))

    async def _watch(self, name: str, prepared: Prepared) -> None:
        identifier = json.encode(name).decode()

        def deliver(data: str) -> None:
            self.connection.send(f'{{"id":{identifier},"type":"next","payload":{{"data":{data}}}}}')

        step = prepared.steps[0]
        subscription = subscription_of(step, self._platform.settings, self.client, deliver)
        await subscription.check(self._platform)
        self._subscriptions[name] = subscription
        self._hub.add(subscription)

    async def _run(self, name: str, request: ApiRequest, prepared: Prepared) -> None:
        """A query or a mutation: one result, then the end."""
        identifier = json.encode(name).decode()
        text = (await self._engine.run(request, prepared)).decode()
        self.connection.send(f'{{"id":{identifier},"type":"next","payload":{text}}}')
        self.connection.send(f'{{"id":{identifier},"type":"complete"}}')

    async def _request(self) -> ApiRequest:
        """A request of the client, as handlers know it."""
        who = await self.client.current()
        schema = await self._platform.schemas.current()

        async def nothing() -> Any:
            return {"type": "http.disconnect"}

        return ApiRequest(self._scope, nothing, self._platform, who, schema, {}, lambda _: Query())

    def _fail(self, name: str, errors: list[dict[str, Any]]) -> None:
        self.connection.send_json({"id": name, "type": "error", "payload": errors})

    def _complete(self, name: str) -> None:
        subscription = self._subscriptions.pop(name, None)
        if subscription is not None:
            self._hub.remove(subscription)
        elif task := self._running.get(name):
            task.cancel()

    def _leave(self) -> None:
        for subscription in self._subscriptions.values():
            self._hub.remove(subscription)
        self._subscriptions.clear()
        for task in list(self._running.values()):
            task.cancel()


def _errors(problem: Exception, is_admin: bool) -> list[dict[str, Any]]:
    if isinstance(problem, InvalidDocument):
        found: list[dict[str, Any]] = problem.extensions["errors"]
        return [{**entry, "extensions": {"code": problem.code}} for entry in found]
    return [execution.described(problem, None, is_admin)]
