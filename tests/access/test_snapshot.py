"""Rules of roles, policies and permissions, without a database."""

import pytest

from tabulary.access.networks import IpRules
from tabulary.access.permissions import Permission
from tabulary.access.snapshot import AccessSnapshot, Policy, Rights

SNAPSHOT = AccessSnapshot(
    parents={"root": None, "middle": "root", "leaf": "middle", "lost": "gone", "a": "b", "b": "a"},
    policies={
        "public": Policy("public"),
        "plain": Policy("plain", permissions=(Permission("books", "read", ("id",)),)),
        "office": Policy("office", IpRules.parse(["10.0.0.0/8"]), app=True),
        "admin": Policy("admin", admin=True),
        "own": Policy("own", enforce_tfa=True, permissions=(Permission("books", "read", ("title",)),)),
    },
    grants={None: ("public",), "root": ("plain",), "leaf": ("office", "plain"), "middle": ()},
)


def test_role_tree_runs_from_the_root() -> None:
    assert SNAPSHOT.role_tree("leaf") == ("root", "middle", "leaf")
    assert SNAPSHOT.role_tree(None) == SNAPSHOT.role_tree("unknown") == ()
    assert SNAPSHOT.role_tree("lost") == ("lost",)
    with pytest.raises(RuntimeError):
        SNAPSHOT.role_tree("a")


def test_policies_follow_the_tree_and_end_with_own_ones() -> None:
    tree = SNAPSHOT.role_tree("leaf")
    assert SNAPSHOT.policies_of(tree, ["own"], "10.1.1.1") == ("plain", "office", "own")
    assert SNAPSHOT.policies_of(tree, [], "11.1.1.1") == ("plain",)
    assert SNAPSHOT.policies_of(tree, [], None) == ("plain",)


def test_public_policies_are_for_those_without_a_role() -> None:
    assert SNAPSHOT.policies_of((), ["own"], None) == ("public", "own")
    assert "public" not in SNAPSHOT.policies_of(("root",), [], None)


def test_rights() -> None:
    tree = SNAPSHOT.role_tree("leaf")
    assert SNAPSHOT.rights(tree, [], "10.1.1.1") == Rights(app=True)
    assert SNAPSHOT.rights(tree, [], "11.1.1.1") == Rights()
    assert SNAPSHOT.rights(tree, [], None) == Rights(app=True)
    assert SNAPSHOT.rights((), ["admin"], None) == Rights(admin=True, app=True)


def test_sets_are_shared_between_callers_with_the_same_policies() -> None:
    first = SNAPSHOT.permission_set(("plain", "own"), ())
    assert SNAPSHOT.permission_set(("plain", "own"), ()) is first
    assert [row.fields for row in first.of_action("books", "read")] == [("id",), ("title",)]
    assert SNAPSHOT.permission_set(("own", "plain"), ()) is not first
