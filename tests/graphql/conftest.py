"""The shelf on every database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest

from tabulary import Tabulary

from ..conftest import DIALECTS, Servers
from .shelf import SETTINGS, client_of, shelf_of


@pytest.fixture(params=DIALECTS)
async def tabulary(request: pytest.FixtureRequest, servers: Servers) -> AsyncIterator[Tabulary]:
    url = await shelf_of(servers, request.param)
    async with Tabulary(url, **SETTINGS) as tabulary:
        yield tabulary
    await servers.drop(url)


@pytest.fixture
async def client(tabulary: Tabulary) -> AsyncIterator[httpx2.AsyncClient]:
    """The HTTP API of a filled shelf."""
    async with client_of(tabulary) as client:
        yield client
