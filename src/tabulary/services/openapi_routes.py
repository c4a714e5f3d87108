"""The routes that every Tabulary has, as data: what OpenAPI says of them and who gets to see them.

Routes of system collections that are plain items are a row of :data:`FAMILIES`; all others a :class:`Fixed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tabulary.services.openapi_schemas import Node

ALL: Final = ("read", "create", "update", "delete")
READ: Final = ("read",)


@dataclass(frozen=True, slots=True)
class SystemFamily:
    """A system collection under its own path: how its operations are called, and which there are."""

    path: str
    collection: str
    one: str
    many: str
    actions: tuple[str, ...] = ALL


FAMILIES: Final = (
    SystemFamily("/access", "directus_access", "Access", "Accesses"),
    SystemFamily("/activity", "directus_activity", "Activity", "Activities", READ),
    SystemFamily("/comments", "directus_comments", "Comment", "Comments"),
    SystemFamily("/dashboards", "directus_dashboards", "Dashboard", "Dashboards"),
    SystemFamily("/files", "directus_files", "File", "Files"),
    SystemFamily("/flows", "directus_flows", "Flow", "Flows"),
    SystemFamily("/folders", "directus_folders", "Folder", "Folders"),
    SystemFamily("/notifications", "directus_notifications", "Notification", "Notifications"),
    SystemFamily("/operations", "directus_operations", "Operation", "Operations"),
    SystemFamily("/panels", "directus_panels", "Panel", "Panels"),
    SystemFamily("/permissions", "directus_permissions", "Permission", "Permissions"),
    SystemFamily("/policies", "directus_policies", "Policy", "Policies"),
    SystemFamily("/presets", "directus_presets", "Preset", "Presets"),
    SystemFamily("/revisions", "directus_revisions", "Revision", "Revisions", READ),
    SystemFamily("/roles", "directus_roles", "Role", "Roles"),
    SystemFamily("/shares", "directus_shares", "Share", "Shares"),
    SystemFamily("/translations", "directus_translations", "Translation", "Translations"),
    SystemFamily("/users", "directus_users", "User", "Users"),
    SystemFamily("/versions", "directus_versions", "ContentVersion", "ContentVersions"),
)

LIST: Final = ("[]",)
"""The body is a list of objects."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """One operation.

    ``body`` names its members, those with ``!`` being required and those with ``*`` files; ``answer`` is ``data``,
    ``export`` (data, or a file when the query asks for one), ``empty`` (200 without a body), ``none`` (204), or a
    media type. ``access``: nobody special (None), ``user``, ``admin``, or a collection that one
    may read. ``also`` are statuses besides those that every operation has.
    """

    method: str
    path: str
    name: str
    tag: str
    summary: str
    answer: str = "data"
    body: tuple[str, ...] | None = None
    query: tuple[str, ...] = ()
    access: str | None = None
    also: tuple[str, ...] = ()


TAGS: Final[dict[str, tuple[str, str | None]]] = {
    "Assets": ("Files as they are, and pictures transformed.", None),
    "Authentication": ("Logging in and out, passwords, sessions.", None),
    "GraphQL": ("The same data, asked for by GraphQL.", None),
    "Schema": ("The data model as a document.", "admin"),
    "Server": ("What this server is and how it is.", None),
    "Utilities": ("Random texts, hashes, order, import and export.", "user"),
}
"""Tags without a collection: what they say, and who sees them."""

_MODE = ("mode", "otp")
_DDL = ("directus_collections", "directus_fields", "directus_relations")
_C, _F, _R = _DDL
_OCTETS = "application/octet-stream"
_RANGES = ("206", "304", "408", "416")
_GRAPHQL = ("query!", "variables", "operationName")

FIXED: Final = (
    Fixed("get", "/auth", "getAuthProviders", "Authentication", "Login providers"),
    Fixed("post", "/auth/login", "login", "Authentication", "Log in", body=("email!", "password!", *_MODE)),
    Fixed("post", "/auth/refresh", "refresh", "Authentication", "A new token", body=("refresh_token", "mode")),
    Fixed("post", "/auth/logout", "logout", "Authentication", "Log out", "none", ("refresh_token", "mode")),
    Fixed(
        "post", "/auth/password/request", "passwordRequest", "Authentication", "Ask for a new password", "none",
        ("email!", "reset_url"),
    ),
    Fixed(
        "post", "/auth/password/reset", "passwordReset", "Authentication", "Choose a new password", "none",
        ("token!", "password!"),
    ),
    Fixed("get", "/sessions", "getSessions", "Authentication", "Where one is logged in", access="user"),
    Fixed("delete", "/sessions", "endSessions", "Authentication", "End all sessions but this", "none", access="user"),
    Fixed("delete", "/sessions/{id}", "endSession", "Authentication", "End a session", "none", access="user"),
    Fixed("get", "/assets/{id}", "getAsset", "Assets", "A file's content", "*/*", query=("Key", "Download"),
          also=_RANGES),
    Fixed("get", "/assets/{id}/{filename}", "getNamedAsset", "Assets", "A file's content under a name", "*/*",
          query=("Key", "Download"), also=_RANGES),
    Fixed("post", "/assets/files", "zipFiles", "Assets", "Files as a zip archive", "application/zip", ("ids!",)),
    Fixed("post", "/assets/folder/{id}", "zipFolder", "Assets", "A folder as a zip archive", "application/zip"),
    Fixed("get", "/server/ping", "ping", "Server", "Whether the server answers", "text/html"),
    Fixed("get", "/server/info", "serverInfo", "Server", "The project, and limits for those who are logged in"),
    Fixed("get", "/server/health", "serverHealth", "Server", "Whether all parts answer", "application/health+json"),
    Fixed("get", "/server/specs/oas", "getOas", "Server", "This document", "application/json"),
    Fixed("get", "/server/specs/graphql", "getGraphql", "Server", "The GraphQL schema", _OCTETS),
    Fixed("get", "/server/specs/graphql/{scope}", "getGraphqlOf", "Server", "The schema of items or system", _OCTETS),
    Fixed(
        "post", "/server/setup", "setup", "Server", "Make the first administrator", "none",
        ("token!", "project_owner!", "password!", "first_name", "last_name", "language", "project_name",
         "project_usage", "org_name", "product_updates"),
    ),
    Fixed("get", "/schema/snapshot", "schemaSnapshot", "Schema", "The data model", "export", query=("Export",),
          access="admin"),
    Fixed("post", "/schema/diff", "schemaDiff", "Schema", "What differs", body=(), access="admin"),
    Fixed("post", "/schema/apply", "schemaApply", "Schema", "Apply a difference", "none", (), access="admin"),
    Fixed("get", "/utils/random/string", "randomString", "Utilities", "Random text", query=("Length",), access="user"),
    Fixed("post", "/utils/hash/generate", "hash-generate", "Utilities", "Hash", body=("string!",), access="user"),
    Fixed(
        "post", "/utils/hash/verify", "hash-verify", "Utilities", "Compare with a hash", body=("string!", "hash!"),
        access="user",
    ),
    Fixed(
        "post", "/utils/sort/{collection}", "sort", "Utilities", "Change the manual order", "empty", ("item!", "to!"),
        access="user",
    ),
    Fixed("post", "/utils/revert/{revision}", "revert", "Utilities", "Go back to a revision", "none", access="user"),
    Fixed("post", "/utils/import/{collection}", "import", "Utilities", "Import a file", "empty", ("file*!",),
          access="user", also=("408", "413")),
    Fixed(
        "post", "/utils/export/{collection}", "export", "Utilities", "Export into a file", "none",
        ("query!", "format!", "file"), access="user",
    ),
    Fixed("post", "/utils/cache/clear", "clear-cache", "Utilities", "Clear caches", "empty", access="admin"),
    Fixed("post", "/utils/resolve-redirect", "resolveRedirect", "Utilities", "Where a login may lead",
          body=("redirect!", "provider"), access="user"),
    Fixed("post", "/utils/translations/generate", "generateTranslations", "Utilities", "Make a collection translatable",
          body=("collection!", "fields!"), access="admin"),
    Fixed("get", "/users/me", "getCurrentUser", "Users", "The own account", query=("Fields", "Meta"), access="user"),
    Fixed("patch", "/users/me", "updateCurrentUser", "Users", "Change the own account", body=(), access="user"),
    Fixed("patch", "/users/me/track/page", "updateLastUsedPageMe", "Users", "Remember where the user was", "none",
          ("last_page!",), access="user"),
    Fixed("post", "/users/invite", "inviteUser", "Users", "Invite somebody", "none", ("email!", "role!", "invite_url"),
          access="user"),
    Fixed("post", "/users/invite/accept", "acceptInvite", "Users", "Accept it", "none", ("token!", "password!")),
    Fixed("post", "/users/register", "registerUser", "Users", "Register", "none", ("email!", "password!")),
    Fixed("get", "/users/register/verify-email", "verifyEmail", "Users", "Confirm", "redirect", query=("Token",)),
    Fixed("post", "/users/me/tfa/generate", "generateTfa", "Users", "A secret", body=("password!",), access="user"),
    Fixed("post", "/users/me/tfa/enable", "enableTfa", "Users", "Use it", "none", ("secret!", "otp!"), access="user"),
    Fixed("post", "/users/me/tfa/disable", "disableTfa", "Users", "Switch it off", "none", ("otp!",), access="user"),
    Fixed("post", "/users/{id}/tfa/disable", "removeTfa", "Users", "Switch off somebody's", "none", access="admin"),
    Fixed("get", "/users/invitations", "getInvitations", "Users", "Who has yet to accept", query=("Fields", "Limit"),
          access="directus_users"),
    Fixed("post", "/users/invitations/{id}/send", "sendInvitation", "Users", "Send it again", "none", ("invite_url",),
          access="directus_users"),
    Fixed("delete", "/users/invitations/{id}", "revokeInvitation", "Users", "Take it back", "none",
          access="directus_users"),
    Fixed("get", "/roles/me", "getMyRoles", "Roles", "The own roles", access="user"),
    Fixed("get", "/policies/me/globals", "getMyGlobals", "Policies", "What the own policies add up to", access="user"),
    Fixed("get", "/policies/me", "getMyPolicies", "Policies", "Nothing; kept for its clients", "none"),
    Fixed("get", "/access/me", "getMyAccess", "Access", "Nothing; kept for its clients", "none"),
    Fixed("post", "/shares/auth", "authShare", "Shares", "Log in to a share", body=("share!", "password", "mode")),
    Fixed("post", "/shares/invite", "inviteToShare", "Shares", "Mail it", "none", ("share!", "emails!"), access="user"),
    Fixed("get", "/shares/info/{id}", "getShareInfo", "Shares", "What is shared"),
    Fixed("get", "/permissions/explain", "explain", "Permissions", "Why somebody may do something", access="admin"),
    Fixed("get", "/permissions/me", "getMyPermissions", "Permissions", "What the caller may do"),
    Fixed("get", "/permissions/me/{collection}", "getMyPermissionsOf", "Permissions", "What of a singleton"),
    Fixed("get", "/permissions/me/{collection}/{id}", "getMyPermissionsOn", "Permissions", "What with an item"),
    Fixed("get", "/versions/{id}/compare", "compareContentVersion", "Versions", "A version beside its item",
          access="directus_versions"),
    Fixed("post", "/versions/{id}/save", "saveContentVersion", "Versions", "Put changes into a version", body=(),
          access="directus_versions"),
    Fixed("post", "/versions/{id}/promote", "promoteContentVersion", "Versions", "Publish a version",
          body=("mainHash!", "fields"), access="directus_versions"),
    Fixed("post", "/files/import", "importFile", "Files", "Fetch a file from an address", body=("url!", "data"),
          access="directus_files"),
    Fixed("get", "/flows/trigger/{id}", "readFlow", "Flows", "Run a flow", "application/json"),
    Fixed("post", "/flows/trigger/{id}", "runFlow", "Flows", "Run a flow", "application/json", ()),
    Fixed("get", "/settings", "getSettings", "Settings", "The project's settings", access="directus_settings"),
    Fixed("patch", "/settings", "updateSetting", "Settings", "Change them", body=(), access="admin"),
    Fixed("post", "/settings/owner", "setOwner", "Settings", "Who owns the project", "none", (), access="admin"),
    Fixed("get", "/extensions", "getExtensions", "Extensions", "What is installed", access="admin"),
    Fixed("patch", "/extensions/{id}", "updateExtension", "Extensions", "Switch one", "none", ("meta!",),
          access="admin"),
    Fixed("delete", "/extensions/{id}", "deleteExtension", "Extensions", "Remove one", "none", access="admin"),
    Fixed("get", "/graphql", "readGraphql", "GraphQL", "Query the items", "application/json",
          query=("GraphqlQuery", "GraphqlVariables", "GraphqlName"), also=("405",)),
    Fixed("post", "/graphql", "askGraphql", "GraphQL", "Query and change the items", "application/json", _GRAPHQL,
          also=("405",)),
    Fixed("get", "/graphql/system", "readSystemGraphql", "GraphQL", "Query the system collections", "application/json",
          query=("GraphqlQuery", "GraphqlVariables", "GraphqlName"), also=("405",)),
    Fixed("post", "/graphql/system", "askSystemGraphql", "GraphQL", "Query and change them", "application/json",
          _GRAPHQL, also=("405",)),
    Fixed("get", "/collections", "getCollections", "Collections", "All collections", access=_C),
    Fixed("post", "/collections", "createCollection", "Collections", "Make a collection", body=(), access="admin"),
    Fixed("patch", "/collections", "updateCollections", "Collections", "Change several", body=LIST, access="admin"),
    Fixed("get", "/collections/{id}", "getCollection", "Collections", "A collection", access=_C),
    Fixed("patch", "/collections/{id}", "updateCollection", "Collections", "Change one", body=(), access="admin"),
    Fixed("delete", "/collections/{id}", "deleteCollection", "Collections", "Drop one", "none", access="admin"),
    Fixed("get", "/fields", "getFields", "Fields", "All fields", access=_F),
    Fixed("get", "/fields/{collection}", "getCollectionFields", "Fields", "The fields of a collection", access=_F),
    Fixed("post", "/fields/{collection}", "createField", "Fields", "Make a field", body=(), access="admin"),
    Fixed("patch", "/fields/{collection}", "updateFields", "Fields", "Change several", body=LIST, access="admin"),
    Fixed("get", "/fields/{collection}/{id}", "getCollectionField", "Fields", "A field", access=_F),
    Fixed("patch", "/fields/{collection}/{id}", "updateField", "Fields", "Change one", body=(), access="admin"),
    Fixed("delete", "/fields/{collection}/{id}", "deleteField", "Fields", "Drop one", "none", access="admin"),
    Fixed("get", "/relations", "getRelations", "Relations", "All relations", access=_R),
    Fixed("post", "/relations", "createRelation", "Relations", "Make a relation", body=(), access="admin"),
    Fixed("get", "/relations/{collection}", "getCollectionRelations", "Relations", "Those of a collection", access=_R),
    Fixed("get", "/relations/{collection}/{id}", "getRelation", "Relations", "A relation", access=_R),
    Fixed("patch", "/relations/{collection}/{id}", "updateRelation", "Relations", "Change", body=(), access="admin"),
    Fixed("delete", "/relations/{collection}/{id}", "deleteRelation", "Relations", "Drop one", "none", access="admin"),
)  # fmt: skip


def _query(name: str, schema: Node, description: str, **more: Any) -> Node:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema, **more}


_NAMES: Final[Node] = {"type": "array", "items": {"type": "string"}}
_CSV: Final[Node] = {"style": "form", "explode": False}

PARAMETERS: Final[Node] = {
    "Fields": _query("fields", _NAMES, "The fields to return; dots go through relations, * is all.", **_CSV),
    "Limit": _query("limit", {"type": "integer", "minimum": -1}, "At most so many items; -1 is all that is allowed."),
    "Offset": _query("offset", {"type": "integer", "minimum": 0}, "Leave out so many items at the beginning."),
    "Page": _query("page", {"type": "integer", "minimum": 1}, "The page of the list, limit items each."),
    "Meta": _query("meta", {"type": "string"}, "What to add: total_count, filter_count (* for both), cursor."),
    "Count": _query(
        "count", {"type": "string", "enum": ["capped", "estimated"]}, "How far meta counts; exactly, if left out."
    ),
    "Cursor": _query("cursor", {"type": "string"}, "Where the page begins, from meta.cursor of another page."),
    "Sort": _query("sort", _NAMES, "The order; a minus before a field turns it around.", **_CSV),
    "Filter": {
        "name": "filter",
        "in": "query",
        "required": False,
        "description": "Conditions that the items have to meet.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    },
    "Search": _query("search", {"type": "string"}, "Text that some field has to contain."),
    "Version": _query("version", {"type": "string"}, "The key of a content version to read the item in."),
    "Export": _query("export", {"type": "string", "enum": ["csv", "csv_utf8", "json", "xml", "yaml"]}, "As a file."),
    "Key": _query("key", {"type": "string"}, "The key of a stored transformation."),
    "Download": _query("download", {"type": "string"}, "Save the file instead of showing it."),
    "Length": _query("length", {"type": "integer", "minimum": 1, "maximum": 500}, "How long the text is."),
    "GraphqlQuery": _query("query", {"type": "string"}, "The GraphQL document.") | {"required": True},
    "GraphqlVariables": {
        "name": "variables",
        "in": "query",
        "required": False,
        "description": "The values of its variables.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    },
    "GraphqlName": _query("operationName", {"type": "string"}, "Which of its operations."),
    "Token": _query("token", {"type": "string"}, "The token of the mail."),
}

PROBLEM_TEXTS: Final = {
    "400": "The request cannot be understood.",
    "401": "The token or the credentials are wrong or too old.",
    "403": "Not allowed, or not there.",
    "404": "There is no such route.",
    "405": "Another method has to be used for this.",
    "408": "It took longer than the server allows.",
    "413": "The content is larger than the server accepts.",
    "415": "The body is of a type that the route does not take.",
    "416": "The file has no such range.",
    "422": "The request would break a rule of the system.",
    "429": "Too many requests; Retry-After says when to come back.",
    "500": "Something unexpected went wrong.",
    "503": "A part of the server does not answer.",
}
