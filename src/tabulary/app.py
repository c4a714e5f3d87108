"""The :class:`Tabulary` object: it owns settings, database, caches and hooks, and everything else starts from it.

Nothing here is global, so that any number of them live in one process::

    async with Tabulary("sqlite:///books.db") as tabulary:
        await tabulary.items("books").create_one({"title": "Emma"})

or, in any ASGI application, ``app.mount("/data", tabulary.asgi)``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import cached_property, partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from starlette.types import ASGIApp

from tabulary.access.accountability import Accountability
from tabulary.access.links import own_page, with_token
from tabulary.access.store import AccessStore
from tabulary.core.events import Hooks
from tabulary.core.passwords import Passwords
from tabulary.core.settings import Settings
from tabulary.core.tracing import Tracing, tracing_of
from tabulary.database.bootstrap import AdminSpec, BootstrapResult, bootstrap, is_installed
from tabulary.database.connection import Connection
from tabulary.database.engine import Database
from tabulary.handles import Items, Users
from tabulary.items.platform import Platform
from tabulary.items.reader import Reader
from tabulary.schema.overview import Schema
from tabulary.schema.store import SchemaStore
from tabulary.server.asgi import Application
from tabulary.services import registry
from tabulary.services.collections import CollectionsService
from tabulary.services.fields import FieldsService
from tabulary.services.first_admin import make_token
from tabulary.services.flows.engine import Flows
from tabulary.services.relations import RelationsService
from tabulary.services.schema_recovery import recover
from tabulary.services.settings import mail_data
from tabulary.services.subscriptions import Subscriptions

if TYPE_CHECKING:
    from tabulary.services.advice.report import Advice


class Tabulary:
    """A platform on one database.

    Args:
        source: a database URL (``sqlite:///x.db``, ``postgresql://…``, ``mysql://…``), ready :class:`Settings`, or
            nothing: then the environment and the ``.env`` file decide, as for the command line.
        install: create the system tables when the database has none (an empty database becomes usable at once).
        settings: single settings by name, in either case: ``secret="…"``, ``QUERY_LIMIT_MAX=500``.
    """

    def __init__(self, source: str | Settings | None = None, *, install: bool = True, **settings: Any) -> None:
        if isinstance(source, Settings):
            self.settings = source.with_values(**settings) if settings else source
        elif source is not None or settings:
            self.settings = Settings.of(**({"DATABASE_URL": source} if source else {}), **settings)
        else:
            self.settings = Settings.load()
        self.hooks = Hooks()
        self.platform = self._assemble()
        self.subscriptions = Subscriptions(self.platform)
        self.flows = Flows(self.platform)
        self.installed: BootstrapResult | None = None
        self._install = install
        self._opened = False
        self._opening = asyncio.Lock()

    def _assemble(self) -> Platform:
        database = Database(self.settings)
        schemas = SchemaStore(database, self.settings)
        access = AccessStore(database, schemas, self.settings)
        reader = Reader(database, access, self.settings)
        passwords = Passwords(self.settings.group("HASH_"))
        parts = (self.settings, database, self.hooks, schemas, access, reader)
        platform = Platform(*parts, factories=registry.factories(), passwords=passwords)
        platform.mail.bind(partial(mail_data, platform))
        return platform

    # --- life -------------------------------------------------------------------------------
    async def open(self) -> None:
        """Connect, and install the system tables into an empty database. Safe to call again.

        Raises :class:`ConfigurationError` or the driver's exception when the database cannot be reached.
        """
        async with self._opening:
            if self._opened:
                return
            if self.platform.tracing is None:
                self.platform.trace(tracing_of(self.settings))
            await self.platform.database.open()
            self._opened = True
            if self._install and not await self.is_installed():
                self.installed = await self.bootstrap()
            if self._install:
                await self.platform.database.versions.install()
            if self.installed is None:
                await recover(self.platform)

    async def is_installed(self) -> bool:
        """True when the database has system tables."""
        return await is_installed(self.platform.database)

    async def bootstrap(self, *, admin: bool = True) -> BootstrapResult:
        """Install the system tables and, with ``admin``, the first administrator. Does nothing where they are."""
        given = AdminSpec.from_settings(self.settings) if admin else None
        return await bootstrap(self.platform.database, self.settings, given)

    async def setup_link(self, address: str | None = None) -> str | None:
        """A link by which whoever opens it within a day becomes the first administrator; links made before it end.

        None when there is an administrator.

        Args:
            address: where the server is seen, such as ``https://example.com``; by default ``PUBLIC_URL``.
        """
        token = await make_token(self.platform)
        page = f"{address}/admin/setup" if address else own_page(self.settings, "admin/setup")
        return token and with_token(page, token)

    def trace(self, provider: Any, meters: Any = None) -> None:
        """Make spans with a ``TracerProvider`` of the application around, and figures with its ``MeterProvider``.

        To be called before :meth:`open`; without it the ``OTEL_*`` variables decide.
        """
        self.platform.trace(Tracing(provider, meters))

    async def close(self) -> None:
        """Let action hooks end, send waiting mails and close all connections. The object may be opened again."""
        await self.platform.jobs.close()
        await self.hooks.drain()
        if self.platform.reader.slow is not None:
            await self.platform.reader.slow.close()
        await self.subscriptions.close()
        await self.platform.bus.close()
        await self.platform.storage.drain()
        await self.platform.mail.close()
        await self.platform.limits.close()
        if self.platform.cache is not None:
            await self.platform.cache.close()
        async with self._opening:
            await self.platform.database.close()
            self._opened = False
        if self.platform.tracing is not None:
            await asyncio.to_thread(self.platform.tracing.close)
            self.platform.trace(None)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    # --- work -------------------------------------------------------------------------------
    async def schema(self) -> Schema:
        """The schema overview of this moment: the argument of every service. Rights are those of this moment, too."""
        await self.platform.database.versions.check()
        return await self.platform.schemas.current()

    async def service(
        self, collection: str, accountability: Accountability | None = None, connection: Connection | None = None
    ) -> Any:
        """The service of a collection with the schema of this moment; for many calls in one transaction."""
        schema = await self.schema()
        return self.platform.service(collection, schema=schema, accountability=accountability, connection=connection)

    def items(self, collection: str, accountability: Accountability | None = None) -> Items:
        """A collection to work with. Without ``accountability`` everything is allowed, as in trusted code."""
        return Items(self.service, collection, accountability, self.subscriptions)

    def users(self, accountability: Accountability | None = None) -> Users:
        """The users, as :meth:`items`, with invitations, registration, passwords and sessions."""
        return Users(self.service, accountability, self.subscriptions)

    async def collections(self, accountability: Accountability | None = None) -> CollectionsService:
        """Collections as such: make, change and remove tables. For one piece of work, like :meth:`service`."""
        return CollectionsService(platform=self.platform, schema=await self.schema(), accountability=accountability)

    async def fields(self, accountability: Accountability | None = None) -> FieldsService:
        """The fields of all collections. For one piece of work, like :meth:`service`."""
        return FieldsService(platform=self.platform, schema=await self.schema(), accountability=accountability)

    async def relations(self, accountability: Accountability | None = None) -> RelationsService:
        """The relations between collections. For one piece of work, like :meth:`service`."""
        return RelationsService(platform=self.platform, schema=await self.schema(), accountability=accountability)

    async def advise(
        self,
        *collections: str,
        apply: bool = False,
        system: bool = False,
        search: bool = True,
        log: Iterable[str] = (),
        most_rows: int | None = None,
    ) -> Advice:
        """Indexes that reads in use lack, each with what it brought when it was tried; ``apply`` makes those that help.

        Args:
            collections: only indexes of these.
            system: also of system collections.
            search: also indexes that ``?search=`` uses.
            log: lines of a log in JSON (``LOG_STYLE=raw``) with slow reads.
            most_rows: tables with more rows are not tried.

        Raises :class:`InvalidPayload` for a collection that does not exist.
        """
        from tabulary.services.advice.advisor import MOST_ROWS, Advisor, Request  # a server never needs it

        asked = Request(collections, apply, system, search, log, MOST_ROWS if most_rows is None else most_rows)
        return await Advisor(self.platform).advise(asked)

    @cached_property
    def asgi(self) -> ASGIApp:
        """The HTTP API as an ASGI application, to serve or to mount."""
        return Application(self.platform, self.subscriptions, self.flows, self.open, self.close)
