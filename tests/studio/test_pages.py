"""Every page in both themes, on a desktop and on a phone: axe finds nothing, nothing overflows, keyboards reach all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from ..waiting import wait_for
from .conftest import ADMIN, MILLISECONDS, Site, as_admin, axe, closed, expect, new_page, screenshot, settle, telling
from .library import fill_catalogue

PAGES = {
    "home": "/",
    "list": "/content/books",
    "filtered": "/content/books?q=nothing%20like%20this",
    "item": "/content/books/1",
    "new": "/content/books/+",
    "catalogue": "/content/catalogue",
    "singleton": "/content/site",
    "dashboards": "/insights",
    "files": "/files",
    "users": "/users",
    "user": "/profile",
    "policies": "/access/policies",
    "policy": "/access/policies/abf8a154-5b1c-4a46-ac9c-7300570f4f17",
    "roles": "/access/roles",
    "view-as": "/access/view-as",
    "model": "/model",
    "fields": "/model/books",
    "activity": "/activity",
    "settings": "/settings",
    "missing": "/no/such/page",
}
ROLE = "5f6e1c9a-0a52-4b43-9d4c-0f7c1f0a5a11"
# A page and the buttons that lead from it to a dialog, menu or panel.
DIALOGS = {
    "role": (f"/access/roles/{ROLE}", []),
    "settings-of-collection": ("/model/books", ["tab:Settings"]),
    "new-collection": ("/model", ["New collection"]),
    "new-folder": ("/model", ["New folder"]),
    "new-field": ("/model/books", ["New field"]),
    "new-choice": ("/model/books", ["New field", "Several choices"]),
    "edit-field": ("/model/books", ["Edit title"]),
    "delete-field": ("/model/books", ["Delete the field title"]),
    "new-dashboard": ("/insights", ["New dashboard"]),
    "invite": ("/users", ["Invite"]),
    "columns": ("/content/books", ["Columns"]),
    "filter": ("/content/books", ["Filter", "Group", "Condition"]),
    "export": ("/content/books", ["More actions", "menuitem:Export"]),
    "import": ("/content/books", ["More actions", "menuitem:Import"]),
    "rule": ("/access/policies/abf8a154-5b1c-4a46-ac9c-7300570f4f17", ["Books, Read: none", "menuitemradio:By rule …"]),
    "explained": ("/access/view-as", ["Books, Read: none"]),
    "new-file-folder": ("/files", ["New folder"]),
    "look": ("/settings", ["tab:Look"]),
    "security": ("/settings", ["tab:Security"]),
    "registration": ("/settings", ["tab:Registration"]),
    "account": ("/", ["Admin User"]),
}
PLAIN = {"role", "settings-of-collection", "look", "security", "registration", "account"}
OPEN_PAGES = {
    "login": "/login",
    "reset": "/reset-password",
    "accept": "/accept-invite?token=x",
    "register": "/register",
}


@pytest.fixture(scope="module")
def site(start_site: Callable[..., Site]) -> Site:
    site = start_site()
    fill(site)
    return site


def fill(site: Site) -> None:
    """A small library, made through the API."""
    with as_admin(site) as http:

        def post(path: str, body: Any) -> None:
            http.post(path, json=body).raise_for_status()

        key = {
            "field": "id",
            "type": "integer",
            "schema": {"is_primary_key": True, "has_auto_increment": True},
            "meta": {},
        }
        wide = {"interface": "input-rich-text-html"}
        fields = [
            {
                "field": "title",
                "type": "string",
                "schema": {"is_nullable": False},
                "meta": {"interface": "input", "note": "As printed"},
            },
            {"field": "published", "type": "date", "schema": {}, "meta": {"interface": "datetime", "width": "half"}},
            {
                "field": "in_stock",
                "type": "boolean",
                "schema": {},
                "meta": {"special": ["cast-boolean"], "width": "half"},
            },
            {"field": "topics", "type": "csv", "schema": {}, "meta": {"special": ["cast-csv"], "interface": "tags"}},
            {"field": "price", "type": "decimal", "schema": {}, "meta": {"interface": "input"}},
            {"field": "body", "type": "text", "schema": {}, "meta": wide},
            {"field": "notes", "type": "text", "schema": {}, "meta": {"interface": "input-rich-text-md"}},
            {
                "field": "extra",
                "type": "json",
                "schema": {},
                "meta": {"special": ["cast-json"], "interface": "input-code"},
            },
        ]
        author = {"field": "name", "type": "string", "schema": {}, "meta": {"interface": "input"}}
        post("/collections", {"collection": "authors", "schema": {}, "meta": {}, "fields": [key, author]})
        post("/collections", {"collection": "books", "schema": {}, "meta": {"note": "All"}, "fields": [key, *fields]})
        post("/fields/books", {"field": "author", "type": "integer", "schema": {}, "meta": {"special": ["m2o"]}})
        post(
            "/relations",
            {"collection": "books", "field": "author", "related_collection": "authors", "meta": {"one_field": "books"}},
        )
        post("/fields/authors", {"field": "books", "type": "alias", "meta": {"special": ["o2m"]}})
        name = {"field": "name", "type": "string", "schema": {}, "meta": {}}
        post("/collections", {"collection": "site", "schema": {}, "meta": {"singleton": True}, "fields": [key, name]})
        post(
            "/items/authors",
            {"name": "Jane Austen", "books": [{"title": f"Novel {n}", "price": "9.50"} for n in range(30)]},
        )
        http.patch("/settings", json={"public_registration": True}).raise_for_status()
        code = {
            "extra": {"pages": 320, "signed": True, "cover": "soft", "price": None},
            "notes": "# One\n[two](https://x.org) `3`",
        }
        http.patch("/items/books/1", json=code).raise_for_status()
        post("/roles", {"id": ROLE, "name": "Readers"})
        fill_catalogue(http)


@pytest.fixture(scope="module", params=["light", "dark"])
def page(request: pytest.FixtureRequest, chromium: Any, site: Site) -> Iterator[Any]:
    """A page of the administrator in one of the themes."""
    page = new_page(chromium, site, ADMIN, color_scheme=request.param)
    page.theme = request.param
    yield page
    page.context.close()


def show(page: Any, path: str) -> None:
    page.goto(f"/admin{path}")
    settle(page)


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(page: Any, name: str) -> None:
    show(page, PAGES[name])
    screenshot(page, f"page-{name}-{page.theme}")
    assert axe(page) == []


@pytest.mark.parametrize("name", DIALOGS)
def test_axe_finds_nothing_in_dialogs(page: Any, name: str) -> None:
    path, steps = DIALOGS[name]
    show(page, path)
    for step in steps:
        role, _, label = step.rpartition(":") if step.startswith(("tab:", "menuitem")) else ("button", "", step)
        page.get_by_role(role, name=label).first.click()
    if name not in PLAIN:
        page.get_by_role("dialog").first.wait_for()
    settle(page)
    screenshot(page, f"dialog-{name}-{page.theme}")
    assert axe(page) == []


@pytest.mark.parametrize("name", OPEN_PAGES)
def test_axe_finds_nothing_before_the_login(chromium: Any, site: Site, name: str) -> None:
    for theme in ("light", "dark"):
        page = new_page(chromium, site, color_scheme=theme)
        show(page, OPEN_PAGES[name])
        screenshot(page, f"page-{name}-{theme}")
        assert axe(page) == []
        page.context.close()


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
@pytest.mark.parametrize(
    "name",
    [
        "home",
        "list",
        "item",
        "dashboards",
        "files",
        "users",
        "policy",
        "roles",
        "model",
        "fields",
        "activity",
        "settings",
    ],
)
def test_a_phone_shows_all_without_scrolling_sideways(chromium: Any, site: Site, name: str, direction: str) -> None:
    page = new_page(chromium, site, ADMIN, viewport={"width": 390, "height": 800})
    write = {"timeout": MILLISECONDS}
    assert page.context.request.patch("/users/me", data={"text_direction": direction}, **write).ok
    show(page, PAGES[name])
    expect(page.locator("html")).to_have_attribute("dir", direction)
    screenshot(page, f"phone-{name}-{direction}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert axe(page) == []
    page.get_by_role("button", name="Open navigation").click()
    page.get_by_role("navigation", name="Main navigation").get_by_role("link", name="Home").wait_for()
    assert page.context.request.patch("/users/me", data={"text_direction": "auto"}, **write).ok
    page.context.close()


def test_the_palette_goes_anywhere_by_keyboard(page: Any) -> None:
    show(page, "/")
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill("activ")
    page.get_by_role("option", name="Activity", selected=True).wait_for()
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/activity")
    closed(page.get_by_role("dialog"))
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill("Novel 2")
    page.get_by_role("option", name="Novel 2").first.wait_for()
    assert axe(page) == []
    page.keyboard.press("Escape")


def test_filters_search_and_pages_are_in_the_address(page: Any) -> None:
    show(page, "/content/books")
    page.get_by_label("Search these items").fill("Novel 1")
    page.wait_for_url("**q=Novel**")
    page.get_by_text("11 items").wait_for()
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("button", name="Condition").click()
    page.get_by_label("Value of Title").fill("Novel 12")
    page.get_by_text("1 item", exact=True).wait_for()
    page.wait_for_url("**f=*")
    assert axe(page) == []
    page.reload()
    page.get_by_text("1 item", exact=True).wait_for()


def test_typing_and_scrolling_do_not_wait_for_the_server(page: Any) -> None:
    show(page, "/content/books")
    last = page.get_by_role("link", name="Novel 24")
    last.wait_for()
    late: list[Any] = []
    page.route("**/items/books**", lambda route: late.append(route))
    field = page.get_by_label("Search these items")
    field.press_sequentially("Novel 1")
    expect(field).to_have_value("Novel 1")
    wait_for(lambda: page.wait_for_timeout(10) or late, "nothing was asked")
    page.mouse.move(700, 400)
    page.mouse.wheel(0, 5_000)
    expect(last).to_be_in_viewport()  # what was there stays until there is something newer
    chosen = page.get_by_role("checkbox", name="Select 3", exact=True)
    chosen.check()
    page.get_by_text("One selected").wait_for()
    chosen.uncheck()
    field.press("End")
    field.press_sequentially("2")
    expect(field).to_have_value("Novel 12")
    wait_for(
        lambda: page.wait_for_timeout(10) or any("Novel%2012" in one.request.url.replace("+", "%20") for one in late)
    )
    page.unroute("**/items/books**")
    for route in late:
        with suppress(Exception):  # the page itself has given up the question before
            route.continue_()
    page.get_by_text("1 item", exact=True).wait_for()
    expect(last).to_have_count(0)


def test_bulk_edit_changes_the_chosen_ones_only(page: Any) -> None:
    show(page, "/content/books")
    page.get_by_role("checkbox", name="Select 3", exact=True).check()
    page.get_by_role("checkbox", name="Select 4", exact=True).check()
    page.get_by_role("button", name="Edit", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Price").fill("1.25")
    assert axe(page) == []
    with telling(page, "2 items changed."):
        dialog.get_by_role("button", name="Save", exact=True).click()
    closed(dialog)
    expect(page.get_by_role("cell", name="1.25")).to_have_count(2)
    page.get_by_role("checkbox", name="Select 3", exact=True).check()
    page.get_by_role("checkbox", name="Select 4", exact=True).check()
    page.get_by_role("button", name="Edit", exact=True).click()
    dialog.get_by_label("Price").fill("9.50")
    with telling(page, "2 items changed."):
        dialog.get_by_role("button", name="Save", exact=True).click()


def test_german_is_complete_on_screen(chromium: Any, site: Site) -> None:
    page = new_page(chromium, site, locale="de-DE")
    show(page, "/login")
    page.get_by_role("button", name="Anmelden").wait_for()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    page.context.close()


def test_an_ended_session_leads_to_the_login_and_back(chromium: Any, site: Site) -> None:
    page = new_page(chromium, site)
    show(page, "/content/books")
    page.wait_for_url("**/admin/login?**")
    page.get_by_label("E-mail").fill("admin@example.com")
    page.get_by_label("Password", exact=True).fill("wrong")
    page.get_by_role("button", name="Log in", exact=True).click()
    page.get_by_text("Address or password is wrong").wait_for()
    page.get_by_label("Password", exact=True).fill("password")
    page.get_by_role("button", name="Log in", exact=True).click()
    page.wait_for_url("**/admin/content/books")
    page.get_by_role("link", name="Open 1", exact=False).first.wait_for()
    page.context.clear_cookies()
    page.get_by_role("link", name="Users").click()
    page.wait_for_url("**/admin/login?**")
    page.context.close()
