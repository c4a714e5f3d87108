"""The request as handlers see it: a Starlette request that knows the platform, the caller, the body and the query."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.types import Receive, Scope

from tabulary.items.query import Query

if TYPE_CHECKING:
    from tabulary.access.accountability import Accountability
    from tabulary.items.platform import Platform
    from tabulary.schema.overview import Schema

QueryOf = Callable[[bytes], Query]


class ApiRequest(Request):
    """One call of the API.

    Attributes:
        platform: the parts of this Tabulary object.
        accountability: who asks.
        schema: the schema overview this request works with from beginning to end.
        payload: the JSON body; an empty object when there is none or it is of another type (spec §4.8).
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        platform: Platform,
        accountability: Accountability,
        schema: Schema,
        payload: Any,
        query_of: QueryOf,
    ) -> None:
        super().__init__(scope, receive)
        self.platform = platform
        self.accountability = accountability
        self.schema = schema
        self.payload = payload
        self._query_of = query_of
        self._query: Query | None = None

    @property
    def query(self) -> Query:
        """The parsed query string. Raises :class:`InvalidQuery` for what it does not understand."""
        if self._query is None:
            self._query = self._query_of(self.scope["query_string"])
        return self._query

    @query.setter
    def query(self, query: Query) -> None:
        self._query = query

    def parsed(self, raw: Mapping[str, Any], *, validate: bool = True) -> Query:
        """A query that came in a body."""
        return Query.parse(raw, self.platform.settings, validate=validate)

    def inner(self, scope: Scope, payload: Any) -> ApiRequest:
        """A request to another endpoint inside this one: the same caller, another path and body."""
        return ApiRequest(
            scope, self._receive, self.platform, self.accountability, self.schema, payload, self._query_of
        )

    def service(self, collection: str) -> Any:
        """The service of a collection, on behalf of the caller."""
        return self.platform.service(collection, schema=self.schema, accountability=self.accountability)
