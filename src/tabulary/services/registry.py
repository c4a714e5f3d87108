"""Which class serves which collection. Everything not listed is plain items."""

from __future__ import annotations

from tabulary.items.platform import ServiceFactory
from tabulary.services.access import AccessService
from tabulary.services.comments import CommentsService
from tabulary.services.files import FilesService
from tabulary.services.flows.service import FlowsService
from tabulary.services.items import ItemsService
from tabulary.services.notifications import NotificationsService
from tabulary.services.permissions import PermissionsService
from tabulary.services.policies import PoliciesService
from tabulary.services.roles import RolesService
from tabulary.services.shares import SharesService
from tabulary.services.translations import TranslationsService
from tabulary.services.users import UsersService
from tabulary.services.versions import VersionsService


def factories() -> dict[str, ServiceFactory]:
    """The service classes by collection; ``*`` stands for all others."""
    return {
        "*": ItemsService,
        "directus_access": AccessService,
        "directus_comments": CommentsService,
        "directus_files": FilesService,
        "directus_flows": FlowsService,
        "directus_notifications": NotificationsService,
        "directus_permissions": PermissionsService,
        "directus_policies": PoliciesService,
        "directus_roles": RolesService,
        "directus_shares": SharesService,
        "directus_translations": TranslationsService,
        "directus_users": UsersService,
        "directus_versions": VersionsService,
    }
