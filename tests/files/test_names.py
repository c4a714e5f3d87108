"""Titles, extensions, names on disk and names of variants."""

from __future__ import annotations

import pytest

from tabulary.core.errors import InvalidPayload
from tabulary.server.disposition import disposition
from tabulary.services.file_names import disk_name, extension_of, formatted_title, matches_type, stem_of, variant_prefix


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("my-photo_one", "My Photo One"),
        ("some_long-file name.v2", "Some Long File Name.v2"),
        ("PHOTO", "Photo"),
        ("readMeFirst", "Read Me First"),
        ("HTMLFile", "HTML File"),
        ("the-lord-of-the-rings", "The Lord of the Rings"),
        ("it's", "It's"),
        (".hidden", ".hidden"),
        ("", ""),
    ],
)
def test_titles(name: str, title: str) -> None:
    assert formatted_title(name) == title


@pytest.mark.parametrize(
    ("name", "kind", "extension"),
    [
        ("a.tar.gz", "application/gzip", ".gz"),
        ("PHOTO.PNG", "image/png", ".PNG"),
        ("README", "text/plain", ".txt"),
        (".hidden", "text/plain; charset=utf-8", ".txt"),
        ("a", "image/jpeg", ".jpg"),
        ("a", "application/x-unheard-of", ""),
        (None, None, ""),
    ],
)
def test_extensions(name: str | None, kind: str | None, extension: str) -> None:
    assert extension_of(name, kind) == extension


def test_stems() -> None:
    assert stem_of("a.tar.gz") == "a.tar"
    assert stem_of(".hidden") == ".hidden"


@pytest.mark.parametrize(
    ("kind", "patterns", "expected"),
    [
        ("image/png", ["*/*"], True),
        ("image/png", ["image/*"], True),
        ("IMAGE/PNG; x=y", ["image/png"], True),
        ("text/html", ["image/*", "video/*"], False),
        ("image/png", [], False),
    ],
)
def test_media_types(kind: str, patterns: list[str], expected: bool) -> None:
    assert matches_type(kind, patterns) is expected


def test_names_on_disk() -> None:
    assert disk_name("../x.txt") == "x.txt"
    assert disk_name("sub/../dir/x.txt") == "dir/x.txt"


@pytest.mark.parametrize(
    "name", ["", 5, "a\x00b", "..", f"x__{'0' * 40}.png", f"dir/x__{'a' * 40}", ".upload-x", "temp_x"]
)
def test_names_that_are_refused(name: object) -> None:
    with pytest.raises(InvalidPayload):
        disk_name(name)


def test_variants_of_two_files_never_share_a_name() -> None:
    assert variant_prefix("k", "k.png") == "k__"
    assert variant_prefix("k", "a.png") == "a.png__"
    assert variant_prefix("l", "a.jpg") == "a.jpg__"
    assert variant_prefix("k", "x/k.png") == "x/k__"


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("note.txt", 'inline; filename="note.txt"'),
        ("grüße.txt", 'inline; filename="grüße.txt"'),
        ("a%22b.txt", "inline; filename=\"a%22b.txt\"; filename*=UTF-8''a%2522b.txt"),
        ("写真.png", "inline; filename=\"??.png\"; filename*=UTF-8''%E5%86%99%E7%9C%9F.png"),
        ('a"b.txt', 'inline; filename="a\\"b.txt"'),
        ("x\r\nSet-Cookie: a=b", 'inline; filename="x  Set-Cookie: a=b"'),
        ("dir/name.txt", 'inline; filename="name.txt"'),
    ],
)
def test_dispositions(name: str, header: str) -> None:
    assert disposition("inline", name) == header
