"""Who is at the other end of a socket, for as long as it is open (spec §2.2).

The rights of a token end with the token: then the client is the public, whatever it is subscribed to, until it
authenticates again. (The reference lifts all restrictions instead.) Rights are looked up again when roles, policies,
sessions or the user change.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import replace

from tabulary.access.accountability import Accountability
from tabulary.access.identities import Identities, Identity
from tabulary.core.errors import InvalidCredentials, TabularyError
from tabulary.items.platform import Platform
from tabulary.services.watching import Viewer


class Client(Viewer):
    """One client. ``on_loss`` is called when its token ends or is withdrawn.

    Args:
        platform: where tokens are looked up.
        identities: what is known of tokens.
        anonymous: the public, with the client's address.
        on_loss: what to do then; the client is the public already.
    """

    def __init__(
        self, platform: Platform, identities: Identities, anonymous: Accountability, on_loss: Callable[[], None]
    ) -> None:
        super().__init__(anonymous)
        self._token: str | None = None
        self._checked = platform.access.session_version
        self.authenticated = False
        self._platform = platform
        self._identities = identities
        self._anonymous = anonymous
        self._on_loss = on_loss
        self._timer: asyncio.TimerHandle | None = None

    @property
    def who(self) -> Accountability:
        """The rights of this moment."""
        found = self.accountability
        return self._anonymous if found is None else found

    async def login(self, token: str) -> None:
        """Become the bearer of a token. Raises what is wrong with it; the client is the public then."""
        self.forget()
        await self._platform.database.versions.check()
        identity = await self._identities.resolve(token, self._anonymous.ip)
        if identity.user is None or identity.lacks_tfa:
            raise InvalidCredentials
        self._adopt(token, identity)

    def forget(self) -> None:
        """Be the public."""
        self._cancel()
        self._token = None
        self.authenticated = False
        self.accountability = self._anonymous

    def _adopt(self, token: str, identity: Identity) -> None:
        self._token = token
        self.authenticated = True
        self._checked = self._platform.access.session_version
        self.accountability = replace(
            self._anonymous,
            user=identity.user,
            role=identity.role,
            roles=identity.roles,
            admin=identity.admin,
            app=identity.app,
            share=identity.share,
            session=identity.session,
        )
        self._cancel()
        if identity.expires < math.inf:
            remaining = max(0.0, identity.expires - time.time())
            self._timer = asyncio.get_running_loop().call_later(min(remaining, 2**20), self._ended)

    # --- losing rights ----------------------------------------------------------------------
    async def current(self) -> Accountability:
        """The rights for a request, looked up again after any change of users or access."""
        await self._platform.database.versions.check()
        if self.stale or self._is_outdated:
            self.stale = False
            await self.renew()
        return self.who

    def check_session(self) -> None:
        """Have a token that depends on a session looked up again, if anything about users has changed."""
        if self._is_outdated and self.who.session is not None:
            self.stale = True

    @property
    def _is_outdated(self) -> bool:
        return self._checked != self._platform.access.session_version

    async def renew(self) -> None:
        """Look the token up again."""
        self._checked = self._platform.access.session_version
        token = self._token
        if token is None:
            return
        try:
            identity = await self._identities.resolve(token, self._anonymous.ip)
        except TabularyError:
            self._lose()
            return
        if token != self._token or identity.user is None:
            return
        if identity.lacks_tfa:
            self._lose()
        else:
            self._adopt(token, identity)

    def _ended(self) -> None:
        self._timer = None
        self._lose()

    def _lose(self) -> None:
        self.forget()
        self._on_loss()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        """The socket is closed: no timer may outlive it."""
        self._cancel()
