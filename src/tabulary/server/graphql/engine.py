"""GraphQL for one application: schemas, documents and operations, with all that they remember.

Whoever serves GraphQL (HTTP in :mod:`route`, sockets in ``realtime/graphql_protocol.py``) works with this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from graphql import GraphQLError, OperationType
from starlette.responses import Response

from tabulary.items.platform import Platform
from tabulary.server.graphql import execution
from tabulary.server.graphql.asking import Asked, MethodNotAllowed, Scope, parameters_of, scope_of
from tabulary.server.graphql.calls import Calls
from tabulary.server.graphql.documents import Document, Documents
from tabulary.server.graphql.execution import BadRequest, Operations, Step
from tabulary.server.graphql.internal import Endpoints
from tabulary.server.graphql.schema import LazySchema, Schemas
from tabulary.server.request import ApiRequest
from tabulary.server.respond import DataResponse
from tabulary.server.routing import Family


@dataclass(frozen=True, slots=True)
class Prepared:
    """An operation that is valid for its caller."""

    kind: OperationType
    steps: list[Step]


class Engine:
    """Both endpoints of one application.

    Args:
        families: the REST routes, for the fields that call them.
    """

    def __init__(self, platform: Platform, families: Mapping[str, Family]) -> None:
        self._endpoints = Endpoints(families)
        self._schemas = Schemas(platform.settings)
        self._documents = Documents(platform.settings)
        self._operations = Operations()

    async def answer(self, request: ApiRequest) -> Response:
        """A request by GET or POST."""
        try:
            prepared = await self.prepare(request, scope_of(request), parameters_of(request))
        except BadRequest as problem:
            return DataResponse(execution.refused(problem))
        calls = Calls(request, self._endpoints, self.sdl)
        response = DataResponse(await execution.run(prepared.steps, calls))
        response.raw_headers += calls.cookies
        return response

    async def prepare(self, request: ApiRequest, scope: Scope, asked: Asked) -> Prepared:
        """An operation, ready to run.

        Raises :class:`InvalidDocument`, :class:`BadRequest` for an operation that is not there or variables that do not
        fit, and :class:`MethodNotAllowed` for a write by GET.
        """
        schema = await self.schema(request, scope)
        document = self._documents.get(schema, asked.text)
        operation = document.operation(asked.name)
        if request.method == "GET" and (operation is None or operation.operation is not OperationType.QUERY):
            raise MethodNotAllowed(request.method, ("POST",))
        if operation is None:
            raise BadRequest([GraphQLError(_missing(document, asked.name))])
        steps = self._operations.steps(schema, document, operation, asked.variables)
        return Prepared(operation.operation, steps)

    async def run(self, request: ApiRequest, prepared: Prepared) -> bytes:
        """The text of the answer to a query or mutation that came by a socket."""
        return await execution.run(prepared.steps, Calls(request, self._endpoints, self.sdl))

    async def schema(self, request: ApiRequest, scope: Scope) -> LazySchema:
        """The schema of the caller."""
        who = request.accountability
        permissions = await request.platform.access.permissions(who, request.schema)
        return self._schemas.of(request.schema, permissions, scope, who)

    async def sdl(self, request: ApiRequest, scope: str) -> str:
        """The caller's schema in GraphQL's language, for ``/server/specs/graphql``."""
        schema = (await self.schema(request, "system" if scope == "system" else "items")).prepare()
        return await asyncio.to_thread(lambda: schema.sdl)


def _missing(document: Document, name: str | None) -> str:
    if name:
        return f'The document has no operation "{name}".'
    if not document.operations:
        return "The document has no operation."
    return "The document has several operations; name one in operationName."
