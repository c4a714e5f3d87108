"""Calls to the outside on somebody's behalf: a client that cannot be talked into visiting addresses on the deny list.

The check sits where connections are made: every name is looked up once, every address of the answer is checked, and the
connection goes to that very address. Redirects and names that change their address in between get no further
(``IMPORT_IP_DENY_LIST``, spec files §3.4). Proxies of the environment are not used: they would look names up for us.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpcore2
import httpx2

from tabulary.access.networks import Address, IpRange, parse_address
from tabulary.core.settings import Settings

_LOCAL = "0.0.0.0"


class DenyList:
    """The addresses that must not be called. A list that cannot be read denies all of them."""

    def __init__(self, entries: Iterable[Any]) -> None:
        texts = [str(entry).strip() for entry in entries if str(entry).strip()]
        self._own_machine = _LOCAL in texts
        self._ranges: list[IpRange] = []
        self._unreadable = False
        for text in texts:
            try:
                self._ranges.append(IpRange.parse(text))
            except ValueError:
                self._unreadable = True

    @classmethod
    def of(cls, settings: Settings) -> DenyList:
        configured = settings["IMPORT_IP_DENY_LIST"]
        return cls(configured if isinstance(configured, list) else [configured] if configured else [])

    def denies(self, address: Address) -> bool:
        """True for an address that is on the list, or belongs to this machine when ``0.0.0.0`` is."""
        if self._unreadable:
            return True
        if any(found.contains(address) for found in self._ranges):
            return True
        return self._own_machine and (address.is_unspecified or address.is_loopback or _is_own(address))


def _is_own(address: Address) -> bool:
    """True when an interface of this machine has the address: exactly then a socket can be bound to it."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as trial:
            trial.bind((str(address), 0))
    except OSError:
        return False
    return True


class _GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Opens connections to addresses that were checked, and to no others."""

    def __init__(self, deny_list: DenyList) -> None:
        self._deny_list = deny_list
        self._plain = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface of the library
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore2.AsyncNetworkStream:
        failure: Exception = httpcore2.ConnectError("The name leads to no address")
        for address in await self._looked_up(host, port):
            try:
                return await self._plain.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as problem:
                failure = problem
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface of the library
        socket_options: Any = None,
    ) -> httpcore2.AsyncNetworkStream:
        raise httpcore2.ConnectError("Only network addresses are called")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _looked_up(self, host: str, port: int) -> list[Address]:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as problem:
            raise httpcore2.ConnectError("The name cannot be looked up") from problem
        addresses = list(dict.fromkeys(parse_address(str(entry[4][0]).partition("%")[0]) for entry in found))
        checked = [address for address in addresses if address is not None and not self._deny_list.denies(address)]
        if len(checked) < len(addresses):
            raise httpcore2.ConnectError("The address may not be called")
        return checked


class _Body(httpx2.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                yield chunk
        except httpcore2.TimeoutException as problem:
            raise httpx2.ReadTimeout(str(problem)) from problem
        except (httpcore2.NetworkError, httpcore2.ProtocolError) as problem:
            raise httpx2.ReadError(str(problem)) from problem

    async def aclose(self) -> None:
        await self._stream.aclose()


class _GuardedTransport(httpx2.AsyncBaseTransport):
    """HTTP over guarded connections."""

    def __init__(self, deny_list: DenyList) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpx2.create_ssl_context(), network_backend=_GuardedBackend(deny_list)
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        call = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        try:
            answer = await self._pool.handle_async_request(call)
        except httpcore2.TimeoutException as problem:
            raise httpx2.ConnectTimeout(str(problem), request=request) from problem
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.UnsupportedProtocol) as problem:
            raise httpx2.ConnectError(str(problem), request=request) from problem
        return httpx2.Response(
            answer.status, headers=answer.headers, stream=_Body(answer.stream), extensions=answer.extensions
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


def guarded_client(settings: Settings, *, seconds: float = 30, redirects: int = 5) -> httpx2.AsyncClient:
    """An HTTP client for addresses that somebody else chose; an async context manager.

    Its errors are :class:`httpx2.HTTPError`; a denied address looks like one that does not answer.

    Args:
        settings: ``IMPORT_IP_DENY_LIST``.
        seconds: how long a connection or a pause within an answer may take.
        redirects: how many are followed; 0 for none.
    """
    return httpx2.AsyncClient(
        transport=_GuardedTransport(DenyList.of(settings)),
        timeout=seconds,
        follow_redirects=redirects > 0,
        max_redirects=redirects,
        trust_env=False,
    )
