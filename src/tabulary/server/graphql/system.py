"""The fields of ``/graphql/system`` that no collection gives rise to (spec §1.11, users-and-access §3.10).

Most are REST endpoints under another name: a :class:`Rest` names the endpoint, and :mod:`internal` calls it inside
the process, so that there is one implementation of each. The others are verbs that :mod:`handmade` knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLEnumValue,
    GraphQLField,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLString,
)

from tabulary.access.accountability import Accountability
from tabulary.core.settings import Settings
from tabulary.server.graphql.roots import CALL, Call
from tabulary.server.graphql.scalars import BIG_INT, JSON, VOID
from tabulary.server.graphql.types import Types

Members = Mapping[str, Any]

_TEXTS: Final = (
    "name", "table", "data_type", "default_value", "generation_expression", "foreign_key_column", "foreign_key_table",
    "comment",
)  # fmt: skip
_FLAGS: Final = ("is_generated", "is_indexed", "is_nullable", "is_unique", "is_primary_key", "has_auto_increment")
_COLUMN: Final[Members] = {
    **dict.fromkeys(_TEXTS, GraphQLString),
    **dict.fromkeys(("max_length", "numeric_precision", "numeric_scale"), GraphQLInt),
    **dict.fromkeys(_FLAGS, GraphQLBoolean),
}
_FOREIGN_KEY: Final[Members] = dict.fromkeys(
    ("table", "column", "foreign_key_table", "foreign_key_column", "constraint_name", "on_update", "on_delete"),
    GraphQLString,
)
_PROJECT: Final = (
    "project_name", "project_descriptor", "project_logo", "project_color", "default_language", "public_foreground",
    "public_background", "public_note", "custom_css",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Caller:
    """What of a caller changes the hand-made fields."""

    logged_in: bool
    admin: bool

    @classmethod
    def of(cls, who: Accountability | None) -> Self:
        if who is None:
            return cls(True, True)
        return cls(who.user is not None, who.admin)


@dataclass(frozen=True, slots=True)
class Rest:
    """A field that is a REST endpoint.

    Attributes:
        method: of the endpoint.
        path: of the endpoint; ``{name}`` stands for an argument.
        body: arguments that make the body; ``data`` alone is the body itself.
        query: arguments that go into the query string.
        defaults: values of arguments that were not given.
        answer: ``data`` of the answer, the ``whole`` of it, ``true``, ``null``, or ``arguments`` (what was given).
        needs_user: null for the public.
    """

    method: str
    path: str
    body: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    defaults: tuple[tuple[str, Any], ...] = ()
    answer: str = "data"
    needs_user: bool = False


class Fields:
    """The hand-made fields of one schema and the types that only they need."""

    def __init__(self, types: Types, caller: Caller, settings: Settings) -> None:
        self.types, self.caller, self.settings = types, caller, settings
        self._reads = types.read.permissions.allows

    def find(self, name: str) -> GraphQLNamedType | None:
        """The hand-made type with this name."""
        return self._named.get(name)

    @cached_property
    def _named(self) -> dict[str, GraphQLNamedType]:
        found: dict[str, GraphQLNamedType] = {}
        fields = [*self.queries().values(), *self.mutations().values()]
        waiting: list[Any] = [f.type for f in fields] + [a.type for f in fields for a in f.args.values()]
        while waiting:
            kind = waiting.pop()
            while hasattr(kind, "of_type"):
                kind = kind.of_type
            if kind.name in found or self.types.find(kind.name) is kind:
                continue
            found[kind.name] = kind
            waiting += [f.type for f in getattr(kind, "fields", {}).values()]
        return found

    # --- queries ----------------------------------------------------------------------------
    def queries(self) -> dict[str, GraphQLField]:
        """The fields of ``Query``."""
        found = {
            "server_ping": _field(GraphQLString, Call("ping", "")),
            "server_info": _field(self._server_info, Rest("GET", "/server/info")),
            "server_health": _field(JSON, Rest("GET", "/server/health", answer="whole")),
        }
        if self.settings["OPENAPI_ENABLED"] is not False:
            found["server_specs_oas"] = _field(JSON, Rest("GET", "/server/specs/oas", answer="whole"))
        if self.settings["GRAPHQL_INTROSPECTION"] is not False:
            found["server_specs_graphql"] = _field(GraphQLString, Call("sdl", ""), scope=_SDL_SCOPE)
        if self._reads("directus_collections", "read"):
            found |= _lookups(self._collections, "collections", collection="name")
        if self._reads("directus_fields", "read"):
            found |= _lookups(self._fields, "fields", collection="collection", member="field")
        if self._reads("directus_relations", "read"):
            found |= _lookups(self._relations, "relations", collection="collection", member="field")
        return found | self._own()

    def _own(self) -> dict[str, GraphQLField]:
        """What the caller may ask of themselves."""
        found = {}
        if self._reads("directus_users", "read"):
            found["users_me"] = _field(self.types.object("directus_users"), Call("users_me", "directus_users"))
        if self._reads("directus_roles", "read"):
            roles = GraphQLList(self.types.object("directus_roles"))
            found["roles_me"] = _field(roles, Call("roles_me", "directus_roles"))
        if self._reads("directus_permissions", "read"):
            found["permissions_me"] = _field(_PERMISSIONS, Rest("GET", "/permissions/me", needs_user=True))
        if self._reads("directus_policies", "read"):
            found["policies_me_globals"] = _field(_GLOBALS, Rest("GET", "/policies/me/globals", needs_user=True))
        if self.caller.admin:
            found["extensions"] = _field(_list(self._extensions), Rest("GET", "/extensions"))
        return found

    @cached_property
    def _server_info(self) -> GraphQLObjectType:
        flags = dict.fromkeys(("public_registration", "public_registration_verify_email"), GraphQLBoolean)
        project = _object("server_info_project", {**dict.fromkeys(_PROJECT, GraphQLString), **flags})
        members: dict[str, Any] = {"project": project}
        if self.caller.logged_in:
            members["queryLimit"] = _object("server_info_query_limit", dict.fromkeys(("default", "max"), GraphQLInt))
            members["rateLimit"] = self._limiter("server_info_rate_limit", "RATE_LIMITER_ENABLED")
            members["rateLimitGlobal"] = self._limiter("server_info_rate_limit_global", "RATE_LIMITER_GLOBAL_ENABLED")
            members["websocket"] = self._websocket()
        return _object("server_info", members)

    def _limiter(self, name: str, setting: str) -> Any:
        if not self.settings[setting]:
            return GraphQLBoolean
        return _object(name, dict.fromkeys(("points", "duration"), GraphQLInt))

    def _websocket(self) -> Any:
        if not self.settings["WEBSOCKETS_ENABLED"]:
            return GraphQLBoolean
        door = dict.fromkeys(("authentication", "path"), GraphQLString)
        members: dict[str, Any] = {}
        for name in ("rest", "graphql"):
            on = self.settings[f"WEBSOCKETS_{name.upper()}_ENABLED"]
            members[name] = _object(f"server_info_websocket_{name}", door) if on else GraphQLBoolean
        members["heartbeat"] = GraphQLInt if self.settings["WEBSOCKETS_HEARTBEAT_ENABLED"] else GraphQLBoolean
        return _object("server_info_websocket", members)

    @cached_property
    def _collections(self) -> GraphQLObjectType:
        schema = _object("directus_collections_schema", dict.fromkeys(("name", "comment"), GraphQLString))
        return self._described("directus_collections", {"collection": GraphQLString}, {"schema": schema})

    @cached_property
    def _fields(self) -> GraphQLObjectType:
        names = dict.fromkeys(("collection", "field", "type"), GraphQLString)
        return self._described("directus_fields", names, {"schema": _object("directus_fields_schema", _COLUMN)})

    @cached_property
    def _relations(self) -> GraphQLObjectType:
        names = dict.fromkeys(("collection", "field", "related_collection"), GraphQLString)
        schema = _object("directus_relations_schema", _FOREIGN_KEY)
        return self._described("directus_relations", names, {"schema": schema})

    def _described(self, collection: str, names: Members, schema: Members) -> GraphQLObjectType:
        meta = _object(f"{collection}_meta", self._metadata(collection, "read"))
        return _object(collection, {**names, "meta": meta, **schema})

    def _metadata(self, collection: str, action: str) -> dict[str, Any]:
        """The members of a metadata row, all nullable."""
        reduction = self.types.read if action == "read" else self.types.update
        return {f.field: self.types.scalar(f) for f in reduction.fields(collection) if not f.alias}

    @cached_property
    def _extensions(self) -> GraphQLObjectType:
        schema = _object("directus_extensions_schema", {"type": GraphQLString, "local": GraphQLBoolean})
        meta = _object("directus_extensions_meta", {"enabled": GraphQLBoolean})
        name = GraphQLNonNull(GraphQLString)
        members = {"bundle": GraphQLString, "name": name, "schema": schema, "meta": meta}
        return _object("directus_extensions", members)

    # --- mutations --------------------------------------------------------------------------
    def mutations(self) -> dict[str, GraphQLField]:
        """The fields of ``Mutation``."""
        found = {**_AUTHENTICATION, **_ACCOUNT, **_UTILITIES}
        if self.types.update.permissions.allows("directus_users", "update"):
            kind: Any = GraphQLBoolean
            if self._reads("directus_users", "read"):
                kind = self.types.object("directus_users")
            call = Call("update_users_me", "directus_users", self._reads("directus_users", "read"))
            found["update_users_me"] = _field(kind, call, data=self.types.input("update", "directus_users"))
        if self.types.create.permissions.allows("directus_files", "create"):
            readable = self._reads("directus_files", "read")
            kind = self.types.object("directus_files") if readable else GraphQLBoolean
            data = self.types.input("create", "directus_files")
            found["import_file"] = _field(
                kind, Call("import_file", "directus_files", readable), url=_REQUIRED, data=data
            )
        if self.types.create.permissions.allows("directus_users", "create"):
            invite = Rest("POST", "/users/invite", ("email", "role", "invite_url"), answer="true")
            found["users_invite"] = _field(
                GraphQLBoolean, invite, email=_REQUIRED, role=_REQUIRED, invite_url=GraphQLString
            )
        return found | (self._data_model() if self.caller.admin else {})

    def _data_model(self) -> dict[str, GraphQLField]:
        """Collections, fields, relations and extensions, for admins."""
        meta = {n: self._metadata(f"directus_{n}", "read") for n in ("collections", "fields", "relations")}
        field_in = _writable("fields", dict.fromkeys(("collection", "field", "type"), GraphQLString), meta, _COLUMN)
        names = dict.fromkeys(("collection", "field", "related_collection"), GraphQLString)
        relation_in = _writable("relations", names, meta, _FOREIGN_KEY)
        plain = {"collection": GraphQLString, "schema": JSON, "fields": GraphQLList(GraphQLNonNull(field_in))}
        collection_in = _writable("collections", plain, meta)
        written = {n: _written(getattr(self, f"_{n}")) for n in ("collections", "fields", "relations")}
        enabled = _input("update_directus_extensions_input_metaInput", {"enabled": GraphQLBoolean})
        extension_in = _input("update_directus_extensions_inputInput", {"meta": enabled})
        return {
            **_writes("collections", written["collections"], collection_in, ("collection",)),
            **_writes("fields", written["fields"], field_in, ("collection", "field")),
            **_writes("relations", written["relations"], relation_in, ("collection", "field")),
            "update_extensions_item": _field(
                self._extensions, Rest("PATCH", "/extensions/{id}", ("data",)), id=GraphQLID, data=extension_in
            ),
        }


# --- parts --------------------------------------------------------------------------------------
def _object(name: str, members: Members) -> GraphQLObjectType:
    return GraphQLObjectType(name, {member: GraphQLField(kind) for member, kind in members.items()})


def _input(name: str, members: Members) -> GraphQLInputObjectType:
    return GraphQLInputObjectType(name, {member: GraphQLInputField(kind) for member, kind in members.items()})


def _list(kind: GraphQLObjectType) -> Any:
    return GraphQLNonNull(GraphQLList(GraphQLNonNull(kind)))


def _field(kind: Any, call: Any, **arguments: Any) -> GraphQLField:
    given = {n: a if isinstance(a, GraphQLArgument) else GraphQLArgument(a) for n, a in arguments.items()}
    return GraphQLField(kind, given, extensions={CALL: call})


def _lookups(kind: GraphQLObjectType, name: str, collection: str, member: str | None = None) -> dict[str, GraphQLField]:
    """All, those of a collection, and one."""
    found = {name: _field(_list(kind), Rest("GET", f"/{name}"))}
    given = {collection: _REQUIRED}
    if member is None:
        return {**found, f"{name}_by_name": _field(kind, Rest("GET", f"/{name}/{{{collection}}}"), **given)}
    path = f"/{name}/{{{collection}}}"
    found[f"{name}_in_collection"] = _field(_list(kind), Rest("GET", path), **given)
    found[f"{name}_by_name"] = _field(kind, Rest("GET", f"{path}/{{{member}}}"), **given, **{member: _REQUIRED})
    return found


def _writable(
    name: str, plain: Members, meta: Mapping[str, Members], schema: Members | None = None
) -> GraphQLInputObjectType:
    prefix = f"write_directus_{name}"
    members = {**plain, "meta": _input(f"{prefix}_meta_input", meta[name])}
    if schema is not None:
        members["schema"] = _input(f"{prefix}_schema_input", schema)
    return _input(f"{prefix}_input", members)


def _written(read: GraphQLObjectType) -> GraphQLObjectType:
    """The result of a write: the read type again, under a name of its own."""
    members = {}
    for name, field in read.fields.items():
        kind = field.type
        members[name] = _written(kind) if isinstance(kind, GraphQLObjectType) else kind
    return _object(f"write_{read.name}", members)


def _writes(
    name: str, kind: GraphQLObjectType, data: GraphQLInputObjectType, keys: tuple[str, ...]
) -> dict[str, GraphQLField]:
    """Create, update and delete of one family of the data model."""
    item = GraphQLNonNull(data)
    given = dict.fromkeys(keys, _REQUIRED)
    path = f"/{name}" + "".join(f"/{{{key}}}" for key in keys)
    parent, parent_keys = path.rpartition("/")[0], dict.fromkeys(keys[:-1], _REQUIRED)
    deleted = _object(f"delete_{name.removesuffix('s')}", dict.fromkeys(keys, GraphQLString))
    indexes = {} if name == "relations" else {_INDEXES: _LATER}
    query = tuple(indexes)
    created_in = "/relations" if name == "relations" else parent
    found = {
        f"create_{name}_item": _field(
            kind, Rest("POST", created_in, ("data",), query), **({} if name == "relations" else parent_keys),
            data=item, **indexes,
        ),
        f"update_{name}_item": _field(
            kind, Rest("PATCH", path, ("data",), query if name == "fields" else ()), **given, data=item,
            **(indexes if name == "fields" else {}),
        ),
        f"delete_{name}_item": _field(deleted, Rest("DELETE", path, answer="arguments"), **given),
    }  # fmt: skip
    if name == "fields":
        several = GraphQLNonNull(GraphQLList(item))
        found["update_fields_items"] = _field(
            GraphQLNonNull(GraphQLList(GraphQLNonNull(kind))), Rest("PATCH", parent, ("data",), query), **parent_keys,
            data=several, **indexes,
        )  # fmt: skip
    return found


_REQUIRED: Final = GraphQLNonNull(GraphQLString)
_INDEXES: Final = "concurrentIndexCreation"
_LATER: Final = GraphQLArgument(GraphQLBoolean, default_value=False)
_MODE: Final = GraphQLEnumType("auth_mode", {n: GraphQLEnumValue(n) for n in ("json", "cookie", "session")})
_SDL_SCOPE: Final = GraphQLEnumType("graphql_sdl_scope", {n: GraphQLEnumValue(n) for n in ("items", "system")})
_PERMISSIONS: Final = GraphQLScalarType("permissions_me_type")
_GLOBALS: Final = _object(
    "policy_me_globals_type", dict.fromkeys(("enforce_tfa", "app_access", "admin_access"), GraphQLBoolean)
)
_TOKENS: Final = _object(
    "auth_tokens", {"access_token": GraphQLString, "expires": BIG_INT, "refresh_token": GraphQLString}
)
_TFA: Final = _object("users_me_tfa_generate_data", dict.fromkeys(("secret", "otpauth_url"), GraphQLString))


def _done(method: str, path: str, body: Iterable[str], **arguments: Any) -> GraphQLField:
    needs_user = path.startswith("/users/me/")
    return _field(GraphQLBoolean, Rest(method, path, tuple(body), answer="true", needs_user=needs_user), **arguments)


_JSON_MODE: Final = (("mode", "json"),)
_AUTHENTICATION: Final = {
    "auth_login": _field(
        _TOKENS,
        Rest("POST", "/auth/login", ("email", "password", "mode", "otp"), defaults=_JSON_MODE),
        email=_REQUIRED, password=_REQUIRED, mode=_MODE, otp=GraphQLString,
    ),
    "auth_refresh": _field(
        _TOKENS,
        Rest("POST", "/auth/refresh", ("refresh_token", "mode"), defaults=_JSON_MODE),
        refresh_token=GraphQLString, mode=_MODE,
    ),
    "auth_logout": _field(
        GraphQLBoolean,
        Rest("POST", "/auth/logout", ("refresh_token", "mode"), defaults=_JSON_MODE, answer="true"),
        refresh_token=GraphQLString, mode=_MODE,
    ),
    "auth_password_request": _done(
        "POST", "/auth/password/request", ("email", "reset_url"), email=_REQUIRED, reset_url=GraphQLString
    ),
    "auth_password_reset": _done(
        "POST", "/auth/password/reset", ("token", "password"), token=_REQUIRED, password=_REQUIRED
    ),
}  # fmt: skip
_ACCOUNT: Final = {
    "users_me_tfa_generate": _field(
        _TFA, Rest("POST", "/users/me/tfa/generate", ("password",), needs_user=True), password=_REQUIRED
    ),
    "users_me_tfa_enable": _done("POST", "/users/me/tfa/enable", ("otp", "secret"), otp=_REQUIRED, secret=_REQUIRED),
    "users_me_tfa_disable": _done("POST", "/users/me/tfa/disable", ("otp",), otp=_REQUIRED),
    "users_invite_accept": _done(
        "POST", "/users/invite/accept", ("token", "password"), token=_REQUIRED, password=_REQUIRED
    ),
    "users_register": _done(
        "POST", "/users/register", ("email", "password", "verification_url", "first_name", "last_name"),
        email=_REQUIRED, password=_REQUIRED, verification_url=GraphQLString, first_name=GraphQLString,
        last_name=GraphQLString,
    ),
    "users_register_verify": _field(
        GraphQLBoolean, Rest("GET", "/users/register/verify-email", query=("token",), answer="true"), token=_REQUIRED
    ),
}  # fmt: skip
_UTILITIES: Final = {
    "utils_random_string": _field(GraphQLString, Call("random_string", ""), length=GraphQLInt),
    "utils_hash_generate": _field(
        GraphQLString, Rest("POST", "/utils/hash/generate", ("string",)), string=_REQUIRED
    ),
    "utils_hash_verify": _field(
        GraphQLBoolean, Rest("POST", "/utils/hash/verify", ("string", "hash")), string=_REQUIRED, hash=_REQUIRED
    ),
    "utils_sort": _done(
        "POST", "/utils/sort/{collection}", ("item", "to"), collection=_REQUIRED, item=GraphQLNonNull(GraphQLID),
        to=GraphQLNonNull(GraphQLID),
    ),
    "utils_revert": _done("POST", "/utils/revert/{revision}", (), revision=GraphQLNonNull(GraphQLID)),
    "utils_cache_clear": _field(VOID, Rest("POST", "/utils/cache/clear", answer="null")),
}  # fmt: skip
