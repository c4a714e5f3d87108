"""What all services of one Tabulary object share. Made by :class:`tabulary.app.Tabulary`, handed down, never global."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tabulary.core.bus import Bus, bus_of
from tabulary.core.cache import Cache
from tabulary.core.images import Images
from tabulary.core.jobs import Jobs
from tabulary.core.limits import Limits
from tabulary.core.mail.mailer import Mailer
from tabulary.core.passwords import Passwords
from tabulary.core.storage import Storage
from tabulary.database.versions import CHANNEL
from tabulary.items.blueprint import WriteCache

if TYPE_CHECKING:
    from tabulary.access.accountability import Accountability
    from tabulary.access.store import AccessStore
    from tabulary.core.events import Hooks
    from tabulary.core.settings import Settings
    from tabulary.core.tracing import Tracing
    from tabulary.database.connection import Connection
    from tabulary.database.engine import Database
    from tabulary.items.reader import Reader
    from tabulary.schema.overview import Schema
    from tabulary.schema.store import SchemaStore

ServiceFactory = Callable[..., Any]
"""``factory(collection, *, platform, schema, accountability, connection, nested)`` → the service of that collection."""


@dataclass
class Platform:
    """The parts: settings, database, hooks, schema and access stores, read engine, services by collection, passwords,
    the mailer, the counters of rate limits, the response cache (None when there is none), the bus between processes."""

    settings: Settings
    database: Database
    hooks: Hooks
    schemas: SchemaStore
    access: AccessStore
    reader: Reader
    factories: dict[str, ServiceFactory] = field(default_factory=dict)
    passwords: Passwords = field(default_factory=Passwords)
    writes: WriteCache = field(default_factory=WriteCache)
    jobs: Jobs = field(default_factory=Jobs)
    mail: Mailer = field(init=False)
    limits: Limits = field(init=False)
    cache: Cache | None = field(init=False)
    stopping: bool = False
    """True once the process was told to end: it finishes what it does and is not to get more."""
    bus: Bus = field(init=False)

    def __post_init__(self) -> None:
        self.mail = Mailer(self.settings, self.hooks)
        self.limits = Limits(self.settings)
        self.cache = Cache.of(self.settings)
        self.bus = bus_of(self.settings)
        if self.bus.is_shared:
            self.database.versions.announce = self._announce

    @property
    def tracing(self) -> Tracing | None:
        """What makes spans; None as long as nobody wants any."""
        return self.database.tracing

    def trace(self, tracing: Tracing | None) -> None:
        """Make spans of statements, plans, mails and requests; of requests from the next start of the server on."""
        self.database.tracing = self.mail.tracing = tracing

    def _announce(self) -> None:
        """Let idle processes hear at once that something they remember has changed."""
        self.jobs.start(self.bus.publish(CHANNEL, None))

    @cached_property
    def storage(self) -> Storage:
        """The locations where files are kept."""
        return Storage(self.settings)

    @cached_property
    def images(self) -> Images:
        """What reads and transforms pictures."""
        return Images(self.settings)

    def service(
        self,
        collection: str,
        *,
        schema: Schema,
        accountability: Accountability | None = None,
        connection: Connection | None = None,
        nested: tuple[str, ...] = (),
    ) -> Any:
        """The service that is responsible for a collection: its own class, or plain ``ItemsService``."""
        factory = self.factories.get(collection) or self.factories["*"]
        return factory(
            collection,
            platform=self,
            schema=schema,
            accountability=accountability,
            connection=connection,
            nested=nested,
        )

    async def purge_cache(self, collection: str, connection: Connection | None = None) -> None:
        """Clear the response cache after a change of a collection, where the settings say so (spec items §1.13).

        With ``connection`` it happens once its open transaction has committed.
        """
        if self.cache is None or not self.cache.purges(collection):
            return
        if connection is not None and connection.in_transaction:
            connection.after_commit(self.cache.purge_soon)
        else:
            await self.cache.purge()
