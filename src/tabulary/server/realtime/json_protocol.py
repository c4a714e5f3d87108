"""The JSON protocol at ``/websocket``: authenticate, read and write items, subscribe (spec §2.2–2.5)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from uuid import uuid4

from tabulary.core import json
from tabulary.core.errors import InvalidPayload, RequestsExceeded, TabularyError
from tabulary.core.events import EventContext
from tabulary.items.platform import Platform
from tabulary.items.query import Query
from tabulary.server.realtime import items_messages
from tabulary.server.realtime.authentication import FAILED, Gate
from tabulary.server.realtime.client import Client
from tabulary.server.realtime.connection import Connection
from tabulary.server.realtime.frames import SocketError, Uid, error_frame, frame, read_message, uid_of
from tabulary.services.subscriptions import Subscriptions
from tabulary.services.watching import Change, Subscription, counts_of

logger = logging.getLogger("tabulary.realtime")

MAX_SUBSCRIPTIONS: Final = 1_000
"""Subscriptions that one client may have at a time."""
_EVENTS: Final = ("create", "update", "delete")
_WHOLE: Final = frozenset({"directus_fields", "directus_relations"})
_UNSEEN: Final = frozenset({"directus_extensions"})

Handler = Callable[[dict[str, Any], Uid], Awaitable[None]]


class JsonSocket:
    """One connection that speaks the protocol."""

    def __init__(
        self, platform: Platform, subscriptions: Subscriptions, connection: Connection, client: Client, gate: Gate
    ) -> None:
        self.client = client
        self.connection = connection
        self._heard = True
        self._platform = platform
        self._hub = subscriptions
        self._gate = gate
        self._admitted = gate.mode == "public" or client.authenticated
        self._limit = platform.limits.limit("")
        self._name = f"websocket:{uuid4().hex}"
        self._subscriptions: dict[str | None, list[Subscription]] = {}
        self._handlers: Mapping[str, Handler] = {
            "ping": self._ping,
            "items": self._items,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "collab": self._collaborate,
        }

    def beat(self) -> None:
        """A ``ping``; who has said nothing since the last one is gone. A client takes its first frame for the answer to
        its ``auth``, and so hears nothing before.
        """
        if not self._admitted:
            return
        if self._heard:
            self._heard = False
            self.connection.send('{"type":"ping"}')
        else:
            self.connection.close()

    async def run(self) -> None:
        """Answer messages, one after the other, until the connection ends."""
        if not self._admitted:
            self._gate.wait()
        try:
            await self.connection.each(self._answer)
        finally:
            self._gate.stop()
            self.client.close()
            self._leave()

    async def _answer(self, raw: str | bytes) -> None:
        self._heard = True
        try:
            if self._limit is not None:
                await self._limit.consume(self._name)
            message = read_message(raw)
        except RequestsExceeded as problem:
            self.connection.send_json(error_frame("server", problem))
            return
        except InvalidPayload as problem:
            if self._admitted:
                self.connection.send_json(error_frame("server", problem))
            else:
                self._refuse()
            return
        message = await self._filtered(message)
        kind, uid = message["type"], uid_of(message)
        if kind == "auth":
            self._admitted = await self._gate.authenticate(self.client, message, uid)
        elif not self._admitted:
            self._refuse()
        elif handler := self._handlers.get(kind):
            try:
                await handler(message, uid)
            except Exception as problem:
                if not isinstance(problem, TabularyError):
                    logger.error("a message of type %s failed", kind, exc_info=problem)
                self.connection.send_json(error_frame(kind, problem, uid))

    async def _filtered(self, message: dict[str, Any]) -> dict[str, Any]:
        hooks = self._platform.hooks
        if not hooks.listens("websocket.message"):
            return message
        context = EventContext(self._platform.database, None, self.client.who)
        changed = await hooks.emit_filter("websocket.message", message, {"client": self.client}, context)
        return changed if isinstance(changed, dict) and isinstance(changed.get("type"), str) else message

    def _refuse(self) -> None:
        self.connection.send_json(error_frame("auth", FAILED))
        self.connection.close()

    # --- messages ---------------------------------------------------------------------------
    async def _ping(self, message: dict[str, Any], uid: Uid) -> None:
        self.connection.send_json(frame("pong", uid))

    async def _items(self, message: dict[str, Any], uid: Uid) -> None:
        who = await self.client.current()
        text, meta = await items_messages.answer(self._platform, who, message)
        extra = "" if meta is None else f',"meta":{json.encode(meta).decode()}'
        self.connection.send(f'{{"type":"items","data":{text}{extra}{_uid_text(uid)}}}')

    async def _collaborate(self, message: dict[str, Any], uid: Uid) -> None:
        """Collaborative editing is not offered."""
        text = "Collaborative editing is not available on this server."
        trigger = message.get("action")
        answer = frame("collab", uid, action="error", code="SERVICE_UNAVAILABLE", message=text, trigger=trigger)
        self.connection.send_json(answer)

    # --- subscriptions ----------------------------------------------------------------------
    async def _subscribe(self, message: dict[str, Any], uid: Uid) -> None:
        await self.client.current()
        subscription = await self._wish(message, uid)
        if sum(map(len, self._subscriptions.values())) >= MAX_SUBSCRIPTIONS:
            raise InvalidPayload(f"A client can have {MAX_SUBSCRIPTIONS} subscriptions at a time")
        text, meta = None, None
        if subscription.event is None:
            # first in, so that no change between the reading and the telling is lost
            self._add(subscription, uid)
            try:
                text = await self._hub.current(subscription)
                meta = await counts_of(self._platform, subscription)
            except BaseException:
                self._remove(uid)
                raise
        else:
            self._add(subscription, uid)
        self.connection.send(_change_frame("init", text, meta, uid))

    async def _wish(self, message: dict[str, Any], uid: Uid) -> Subscription:
        """The subscription of a message. Raises :class:`SocketError`, :class:`InvalidPayload`, :class:`Forbidden`."""
        collection, event, item = message.get("collection"), message.get("event"), message.get("item")
        if not isinstance(collection, str):
            raise InvalidPayload('"collection" is required')
        if event is not None and event not in _EVENTS:
            raise InvalidPayload(f'"event" has to be one of {", ".join(_EVENTS)}')
        if item is not None and (isinstance(item, bool) or not isinstance(item, str | int | float)):
            raise InvalidPayload('"item" has to be a text or a number')
        schema = await self._platform.schemas.current()
        if collection not in schema.collections or collection in _UNSEEN:
            raise SocketError("INVALID_COLLECTION", f'There is no collection "{collection}" to subscribe to.')
        if item is not None and collection in _WHOLE:
            raise InvalidPayload(f'"{collection}" can only be subscribed to as a whole')
        query = message.get("query") or {}
        if not isinstance(query, dict):
            raise InvalidPayload('"query" has to be an object')
        parsed = Query.parse(query, self._platform.settings)

        def deliver(change: Change) -> None:
            self.connection.send(_frame_of(change, uid))

        wanted = None if item is None else str(item)
        subscription = Subscription(collection, parsed, self.client, deliver, event=event, item=wanted)
        await subscription.check(self._platform)
        return subscription

    def _add(self, subscription: Subscription, uid: Uid) -> None:
        key = None if uid is None else str(uid)
        if key is not None:
            self._remove(uid)
        self._subscriptions.setdefault(key, []).append(subscription)
        self._hub.add(subscription)

    def _remove(self, uid: Uid) -> None:
        for subscription in self._subscriptions.pop(None if uid is None else str(uid), ()):
            self._hub.remove(subscription)

    def _leave(self) -> None:
        for subscriptions in self._subscriptions.values():
            for subscription in subscriptions:
                self._hub.remove(subscription)
        self._subscriptions.clear()

    async def _unsubscribe(self, message: dict[str, Any], uid: Uid) -> None:
        """With uid that subscription, without all."""
        if uid is None:
            self._leave()
        else:
            self._remove(uid)
        self.connection.send_json(frame("subscription", uid, event="unsubscribe"))


def _frame_of(change: Change, uid: Uid) -> str:
    """A change as a frame; subscribers that share change and uid share the text."""
    found = change.frames.get(uid)
    if found is None:
        if change.error is not None:
            found = json.encode(error_frame("subscribe", change.error, None if uid is None else str(uid))).decode()
        else:
            found = _change_frame(change.event, change.text, change.meta, uid)
        change.frames[uid] = found
    return found


def _change_frame(event: str, text: str | None, meta: Mapping[str, int] | None, uid: Uid) -> str:
    data = "" if text is None else f',"data":{text}'
    counts = "" if meta is None else f',"meta":{json.encode(meta).decode()}'
    return f'{{"type":"subscription","event":"{event}"{data}{counts}{_uid_text(None if uid is None else str(uid))}}}'


def _uid_text(uid: Uid) -> str:
    return "" if uid is None else f',"uid":{json.encode(uid).decode()}'
