"""Collections as Python code holds them: typed handles whose every call works with the schema of that moment.

A service is bound to one schema and lives for one piece of work; a handle lives as long as its :class:`Tabulary`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from tabulary.access.accountability import Accountability
from tabulary.items.options import Key, MutationOptions, QueryOptions
from tabulary.items.paging import Page
from tabulary.items.query import Query
from tabulary.services.items import ItemsService
from tabulary.services.subscriptions import Subscriptions
from tabulary.services.users import UsersService

Item = dict[str, Any]
AnyQuery = Query | Mapping[str, Any] | None
Service = Callable[[str, Accountability | None], Awaitable[Any]]


class Items:
    """A collection to work with. Queries may be plain mappings::

        await books.read_by_query({"filter": {"title": {"_eq": "Emma"}}, "fields": ["title", "author.name"]})

    Every method raises :class:`Forbidden` for what ``accountability`` does not allow or what does not exist,
    :class:`InvalidQuery` for a query and :class:`InvalidPayload`, :class:`FailedValidation` or a translated database
    error for a payload that cannot be (spec items-and-query §1).
    """

    def __init__(
        self, service: Service, collection: str, accountability: Accountability | None, subscriptions: Subscriptions
    ) -> None:
        self.collection = collection
        self.accountability = accountability
        self._open = service
        self._subscriptions = subscriptions

    async def service(self) -> ItemsService:
        """The service itself, for work within one transaction (``service.fork(connection=…)``)."""
        found: ItemsService = await self._open(self.collection, self.accountability)
        return found

    # --- read -------------------------------------------------------------------------------
    async def read_by_query(self, query: AnyQuery = None, options: QueryOptions | None = None) -> list[Item]:
        """The items that match."""
        return await (await self.service()).read_by_query(query, options)

    async def read_one(self, key: Key, query: AnyQuery = None, options: QueryOptions | None = None) -> Item:
        """The item with this key."""
        return await (await self.service()).read_one(key, query, options)

    async def read_many(
        self, keys: Sequence[Key], query: AnyQuery = None, options: QueryOptions | None = None
    ) -> list[Item]:
        """The items with these keys in the query's order; missing ones are left out."""
        return await (await self.service()).read_many(keys, query, options)

    async def read_page(self, query: AnyQuery = None, options: QueryOptions | None = None) -> Page:
        """The page at the query's ``cursor``, ``limit`` items long, with the cursors of the pages beside it."""
        return await (await self.service()).read_page(query, options)

    async def pages(self, query: AnyQuery = None, options: QueryOptions | None = None) -> AsyncIterator[list[Item]]:
        """All items that match, ``limit`` at a time; the last page costs what the first did::

            async for page in books.pages({"sort": ["-published"], "limit": 500}):
                ...

        What others write meanwhile is seen where it is still ahead; items that nobody changes come exactly once.
        """
        service = await self.service()
        parsed = query if isinstance(query, Query) else Query.parse(query or {}, service.platform.settings)
        while True:
            page = await (await self.service()).read_page(parsed, options)
            if page.items:
                yield page.items
            if page.next is None:
                return
            parsed = parsed.at(page.next)

    async def iterate(self, query: AnyQuery = None, options: QueryOptions | None = None) -> AsyncIterator[Item]:
        """All items that match, one by one; they are read in :meth:`pages`."""
        async for page in self.pages(query, options):
            for item in page:
                yield item

    async def read_singleton(self, query: AnyQuery = None, options: QueryOptions | None = None) -> Item:
        """The one item of a singleton, or the defaults of its fields."""
        return await (await self.service()).read_singleton(query, options)

    async def subscribe(
        self, query: AnyQuery = None, *, event: str | None = None, item: Key | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Changes as they happen, each ``{"event", "data", "keys"}``::

            async for change in books.subscribe({"fields": ["title"], "filter": {"stars": {"_eq": 5}}}):
                print(change["event"], change["data"])

        The first is ``init`` with the items there are, unless ``event`` (``create``, ``update`` or ``delete``) asks for
        that kind only. ``item``: only of the item with this key. The data of ``delete`` are keys.
        """
        service = await self.service()
        parsed = query if isinstance(query, Query) else Query.parse(query or {}, service.platform.settings)
        changes = self._subscriptions.events(self.collection, parsed, self.accountability, event=event, item=item)
        try:
            async for change in changes:
                yield change
        finally:
            await changes.aclose()

    async def get_keys_by_query(self, query: AnyQuery = None) -> list[Key]:
        """Keys of matching items, whoever asks."""
        return await (await self.service()).get_keys_by_query(query)

    # --- create -----------------------------------------------------------------------------
    async def create_one(self, data: Mapping[str, Any], options: MutationOptions | None = None) -> Key:
        """Create an item with everything nested in it; its key."""
        return await (await self.service()).create_one(data, options)

    async def create_many(self, data: Sequence[Mapping[str, Any]], options: MutationOptions | None = None) -> list[Key]:
        """Create all items or none; their keys in order."""
        return await (await self.service()).create_many(data, options)

    # --- update -----------------------------------------------------------------------------
    async def update_one(self, key: Key, data: Mapping[str, Any], options: MutationOptions | None = None) -> Key:
        """Change one item; its key."""
        return await (await self.service()).update_one(key, data, options)

    async def update_many(
        self, keys: Sequence[Key], data: Mapping[str, Any], options: MutationOptions | None = None
    ) -> list[Key]:
        """Write the same payload to all keys, or to none."""
        return await (await self.service()).update_many(keys, data, options)

    async def update_batch(
        self, data: Sequence[Mapping[str, Any]], options: MutationOptions | None = None
    ) -> list[Key]:
        """Each item its own payload, which names its key; all or none."""
        return await (await self.service()).update_batch(data, options)

    async def update_by_query(
        self, query: AnyQuery, data: Mapping[str, Any], options: MutationOptions | None = None
    ) -> list[Key]:
        """Change what a query selects (its default limit holds)."""
        return await (await self.service()).update_by_query(query, data, options)

    # --- upsert -----------------------------------------------------------------------------
    async def upsert_one(self, item: Mapping[str, Any], options: MutationOptions | None = None) -> Key:
        """Update the item whose key the payload names, or create it."""
        return await (await self.service()).upsert_one(item, options)

    async def upsert_many(
        self, items: Sequence[Mapping[str, Any]], options: MutationOptions | None = None
    ) -> list[Key]:
        """:meth:`upsert_one` for each, all or none."""
        return await (await self.service()).upsert_many(items, options)

    async def upsert_singleton(self, data: Mapping[str, Any], options: MutationOptions | None = None) -> Key:
        """Change the one item of a singleton, or create it."""
        return await (await self.service()).upsert_singleton(data, options)

    # --- delete -----------------------------------------------------------------------------
    async def delete_one(self, key: Key, options: MutationOptions | None = None) -> Key:
        """Delete one item; its key."""
        return await (await self.service()).delete_one(key, options)

    async def delete_many(self, keys: Sequence[Key], options: MutationOptions | None = None) -> list[Key]:
        """Delete all keys or none."""
        return await (await self.service()).delete_many(keys, options)

    async def delete_by_query(self, query: AnyQuery, options: MutationOptions | None = None) -> list[Key]:
        """Delete what a query selects (its default limit holds)."""
        return await (await self.service()).delete_by_query(query, options)


class Users(Items):
    """The users, and what there is to do with accounts. What is mailed is sent in the background, after the commit.

    Every method raises as those of :class:`Items`; the rules are those of spec users-and-access §1.
    """

    def __init__(self, service: Service, accountability: Accountability | None, subscriptions: Subscriptions) -> None:
        super().__init__(service, "directus_users", accountability, subscriptions)

    async def service(self) -> UsersService:
        """The service itself, as :meth:`Items.service`."""
        found: UsersService = await self._open(self.collection, self.accountability)
        return found

    # --- invitations ------------------------------------------------------------------------
    async def invite_user(
        self, email: str | Sequence[str], role: str | None, url: str | None = None, subject: str | None = None
    ) -> None:
        """Invite one or many addresses; ``url`` is where the link leads, if ``USER_INVITE_URL_ALLOW_LIST`` has it."""
        await (await self.service()).invite_user(email, role, url, subject)

    async def invite_url(self, email: str, url: str | None = None) -> str:
        """The link with which somebody invited sets a password. Raises :class:`InvalidInvite` for all others."""
        return await (await self.service()).invite_url(email, url)

    async def accept_invite(self, token: str, password: str) -> None:
        """Let somebody invited in. Raises :class:`InvalidInvite` for a token that was used or revoked."""
        await (await self.service()).accept_invite(token, password)

    # --- registration -----------------------------------------------------------------------
    async def register_user(self, person: Mapping[str, Any]) -> None:
        """Register ``email`` and ``password`` as far as the project's settings allow. Takes its time on purpose."""
        await (await self.service()).register_user(person)

    async def verify_registration(self, token: str) -> Key:
        """Confirm the address of somebody registered; the key of the user."""
        return await (await self.service()).verify_registration(token)

    # --- passwords and sessions -------------------------------------------------------------
    async def request_password_reset(self, email: str, url: str | None = None, subject: str | None = None) -> None:
        """Mail a link for a new password. Raises :class:`Forbidden`, after a while, when nobody has the address."""
        await (await self.service()).request_password_reset(email, url, subject)

    async def reset_password(self, token: str, password: str) -> None:
        """Set a new password with the token of such a link, which works once."""
        await (await self.service()).reset_password(token, password)

    async def clear_user_sessions(self, keys: Sequence[Key], exclude_session: str | None = None) -> None:
        """Log users out everywhere, but for the session with the token ``exclude_session``."""
        await (await self.service()).clear_user_sessions(keys, exclude_session)

    # --- look-ups ---------------------------------------------------------------------------
    async def get_user_by_email(self, email: str) -> Item | None:
        """The raw row with this address in any case, whoever asks: ``id, role, status, password, email, provider``."""
        return await (await self.service()).get_user_by_email(email)
