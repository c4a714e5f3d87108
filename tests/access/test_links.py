"""Where links in mails and redirects may lead: one reading of an address, the same as a browser's, or none."""

from __future__ import annotations

import pytest

from tabulary.access.links import fingerprint, has_origin, is_allowed, is_path, own_page, with_token

ALLOWED = ["https://app.example.com/invite", "http://localhost:3000/", "myapp://open/invite"]


@pytest.mark.parametrize(
    "url",
    [
        "https://app.example.com/invite",
        "https://app.example.com:443/invite",
        "HTTPS://APP.example.COM/invite",
        "https://app.example.com/invite?lang=de",
        "https://app.example.com/invite#top",
        "http://localhost:3000",
        "http://localhost:3000/?a=b",
        "myapp://open/invite",
    ],
)
def test_on_the_list(url: str) -> None:
    assert is_allowed(url, ALLOWED)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "invite",
        "/invite",
        "//app.example.com/invite",
        "https:app.example.com/invite",
        "https:///app.example.com/invite",
        "http://app.example.com/invite",
        "https://app.example.com",
        "https://app.example.com/",
        "https://app.example.com/invite/",
        "https://app.example.com/INVITE",
        "https://app.example.com/invite/../evil",
        "https://app.example.com/invite%2f..",
        "https://app.example.com:444/invite",
        "https://app.example.com:0/invite",
        "https://app.example.com:x/invite",
        "https://app.example.com:٤٤٣/invite",
        "https://app.example.com.evil.example/invite",
        "https://evil.example/https://app.example.com/invite",
        "https://evil.example/invite?https://app.example.com/invite",
        "https://evil.example#https://app.example.com/invite",
        "https://app.example.com@evil.example/invite",
        "https://app.example.com:443@evil.example/invite",
        "https://somebody@app.example.com/invite",
        "https://somebody:secret@app.example.com/invite",
        "https://@app.example.com/invite",
        "https://evil.example\\@app.example.com/invite",
        "https://app.example.com\\@evil.example/invite",
        "https:\\\\app.example.com\\invite",
        "https://app.example.com./invite",
        "https://app.example.com../invite",
        "https://app。example。com/invite",
        "https://ａpp.example.com/invite",
        "https://app.example.com／@evil.example/invite",
        "https://аpp.example.com/invite",
        "https://app.example.com/invite\u200b",
        " https://app.example.com/invite",
        "https://app.example.com/invite\n",
        "https://app.exa\tmple.com/invite",
        "https://app.example.com/invite\x00",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://[::1/invite",
        "myapp://evil/invite",
    ],
)
def test_not_on_the_list(url: str) -> None:
    assert not is_allowed(url, ALLOWED)
    assert not is_allowed(url, ALLOWED[0])


def test_without_a_list_nothing_is_allowed() -> None:
    for nothing in (None, [], "", False):
        assert not is_allowed("https://app.example.com/invite", nothing)


def test_addresses_of_our_own() -> None:
    assert has_origin("https://cms.example.com/admin?x", "https://cms.example.com:443/sub")
    for other in (
        "https://cms.example.com.evil.example/",
        "https://x@cms.example.com/",
        "http://cms.example.com/",
        "x",
    ):
        assert not has_origin(other, "https://cms.example.com/")
    assert not has_origin("myapp://a", "myapp://a")


def test_paths_stay_on_the_host() -> None:
    assert is_path("/admin/content?x=1#y")
    for elsewhere in (
        "",
        "admin",
        "//evil.example",
        "/\\evil.example",
        "/a\tb",
        "/\x7f",
        "https://evil.example",
        " /a",
    ):
        assert not is_path(elsewhere)


def test_tokens_replace_tokens() -> None:
    assert (
        with_token("https://a.example/x?token=old&b=%26&c=#d", "t+/") == "https://a.example/x?b=%26&c=&token=t%2B%2F#d"
    )


def test_own_pages_are_absolute() -> None:
    assert own_page({"PUBLIC_URL": "https://a.example/cms/", "PORT": 1}, "admin/x") == "https://a.example/cms/admin/x"
    assert own_page({"PUBLIC_URL": "/cms", "PORT": 8055}, "admin/x") == "http://localhost:8055/cms/admin/x"


def test_fingerprints_differ_with_the_password() -> None:
    assert fingerprint(None) == fingerprint("null") != fingerprint("nulm")
    assert fingerprint("\ud83d\ude00") == fingerprint("😀")
