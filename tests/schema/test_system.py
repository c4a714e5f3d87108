"""The packaged metadata of the system (spec schema-and-platform §1.8)."""

from __future__ import annotations

from tabulary.schema.system import SystemMetadata


def test_numbers_of_the_spec() -> None:
    system = SystemMetadata.load()
    assert len(system.collections) == 29
    assert sum(len(fields) for fields in system.fields.values()) == 403  # 404 and one column without metadata
    assert len(system.relations) == 54


def test_objects_are_complete() -> None:
    system = SystemMetadata.load()
    assert system.collections["directus_access"]["note"] == "$t:directus_collection.directus_access"
    assert list(system.fields["directus_users"]["id"])[:3] == ["system", "collection", "field"]
    assert system.is_field("directus_users", "email")
    assert not system.is_field("directus_users", "nickname") and not system.is_field("books", "id")


def test_login_providers_become_choices() -> None:
    provider = SystemMetadata.load(["google"]).fields["directus_users"]["provider"]
    assert provider["options"]["choices"] == [{"text": "google", "value": "google"}]
