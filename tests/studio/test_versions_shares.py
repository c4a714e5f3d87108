"""Content versions, shares and what others change meanwhile: pages that look at one item from several sides."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from typing import Any

import httpx2
import pytest

from .conftest import ADMIN, Site, as_admin, axe, new_page, screenshot
from .library import fill_catalogue

EDITOR = {"email": "editor@example.com", "password": "password"}


@pytest.fixture(scope="module")
def site(start_site: Callable[..., Site]) -> Site:
    return start_site(WEBSOCKETS_ENABLED=True)


@pytest.fixture(scope="module")
def http(site: Site) -> Iterator[httpx2.Client]:
    """The API as the administrator: prepares what is there, and checks what the pages have stored."""
    with as_admin(site) as http:
        fill_catalogue(http)
        http.patch("/collections/catalogue", json={"meta": {"versioning": True}}).raise_for_status()
        http.patch("/collections/writers", json={"meta": {"versioning": True}}).raise_for_status()
        make_editor(http)
        yield http


def make_editor(http: httpx2.Client) -> None:
    """Somebody who may read the catalogue and propose versions, but not change it."""
    policy = {"name": "Editors", "app_access": True, "admin_access": False}
    identity = http.post("/policies", json=policy).raise_for_status().json()["data"]["id"]
    rules = [
        ("catalogue", "read"),
        ("writers", "read"),
        ("directus_versions", "read"),
        ("directus_versions", "create"),
        ("directus_versions", "update"),
    ]
    http.post(
        "/permissions",
        json=[{"policy": identity, "collection": c, "action": action, "fields": ["*"]} for c, action in rules],
    ).raise_for_status()
    user = {**EDITOR, "first_name": "Edith", "last_name": "Tor", "policies": [{"policy": identity}]}
    http.post("/users", json=user).raise_for_status()


@pytest.fixture
def page(chromium: Any, site: Site, http: httpx2.Client) -> Iterator[Any]:
    page = new_page(chromium, site, ADMIN)
    yield page
    page.context.close()
    assert page.problems == []


def key_of(http: httpx2.Client, title: str, collection: str = "catalogue", field: str = "title") -> int:
    query = {f"filter[{field}][_eq]": title}
    found: int = http.get(f"/items/{collection}", params=query).json()["data"][0]["id"]
    return found


def read(http: httpx2.Client, path: str) -> Any:
    answer = http.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def open_item(page: Any, key: int, title: str, collection: str = "catalogue", query: str = "") -> None:
    page.goto(f"/admin/content/{collection}/{key}{query}")
    page.get_by_role("heading", name=title, level=1).wait_for()


def test_a_version_from_its_making_to_its_promotion(page: Any, http: httpx2.Client) -> None:
    key = key_of(http, "Frankenstein")
    open_item(page, key, "Frankenstein")
    page.get_by_label("Title", exact=True).fill("Frankenstein; or, The Modern Prometheus")
    page.get_by_role("button", name="Version: Main version").click()
    page.get_by_role("menuitem", name="New version").click()
    dialog = page.get_by_role("dialog", name="New version")
    dialog.get_by_label("Name").fill("Spring edition")
    assert axe(page) == []
    dialog.get_by_role("button", name="Create").click()

    # What was typed came along; the main item knows nothing of it.
    page.get_by_text("You are editing the version “Spring edition”").wait_for()
    page.wait_for_url(re.compile(r"version=spring-edition"))
    page.get_by_label("Status", exact=True).select_option(label="Draft")
    page.get_by_role("button", name="Save to version").click()
    page.get_by_text("Saved to the version.").wait_for()
    assert read(http, f"/items/catalogue/{key}")["title"] == "Frankenstein"
    assert read(http, f"/items/catalogue/{key}?version=spring-edition")["status"] == "draft"
    assert axe(page) == []
    screenshot(page, "30-version")

    # A field taken back is as in the main item again.
    page.reload()
    page.get_by_text("You are editing the version “Spring edition”").wait_for()
    page.get_by_role("button", name="Undo the change of Status").click()
    page.get_by_role("button", name="Save to version").click()
    page.get_by_text("Saved to the version.").wait_for()
    assert read(http, f"/items/catalogue/{key}?version=spring-edition")["status"] == "published"
    page.get_by_label("Status", exact=True).select_option(label="In review")
    page.get_by_role("button", name="Save to version").click()
    page.get_by_role("button", name="Save to version").and_(page.locator(":disabled")).wait_for()

    # Other changes of the main item make it outdated, which is said, and no hindrance.
    http.patch(f"/items/catalogue/{key}", json={"summary": "A modern myth"}).raise_for_status()
    page.get_by_role("button", name="Compare and promote").click()
    dialog = page.get_by_role("dialog", name="“Spring edition” and the main version")
    dialog.get_by_text("2 fields are different.").wait_for()
    dialog.get_by_text("The main version has changed since this one was made.").wait_for()
    dialog.locator("[data-change=status]").get_by_role("checkbox").uncheck()
    assert axe(page) == []
    screenshot(page, "31-version-compare")
    dialog.get_by_role("button", name="Promote one field").click()
    page.get_by_text("One field promoted.").wait_for()
    page.get_by_role("button", name="Version: Main version").wait_for()
    row = read(http, f"/items/catalogue/{key}")
    assert (row["title"], row["status"]) == ("Frankenstein; or, The Modern Prometheus", "published")
    assert row["summary"] == "A modern myth"

    # The version is still there, can be renamed, and deleted.
    page.get_by_role("button", name="Version: Main version").click()
    page.get_by_role("menuitemradio", name="Spring edition").click()
    page.get_by_text("You are editing the version “Spring edition”").wait_for()
    page.get_by_role("button", name="Version: Spring edition").click()
    page.get_by_role("menuitem", name="Rename version").click()
    dialog = page.get_by_role("dialog", name="Rename version")
    dialog.get_by_label("Name").fill("Autumn edition")
    dialog.get_by_role("button", name="Save").click()
    page.get_by_text("You are editing the version “Autumn edition”").wait_for()
    assert page.get_by_label("Status", exact=True).locator("option:checked").text_content() == "In review"
    page.get_by_role("button", name="Version: Autumn edition").click()
    page.get_by_role("menuitem", name="Delete version").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_text("Version deleted.").wait_for()
    page.get_by_role("button", name="Version: Main version").wait_for()
    assert read(http, f"/versions?filter[item][_eq]={key}") == []


def test_a_version_keeps_changes_of_related_items(page: Any, http: httpx2.Client) -> None:
    key = key_of(http, "Mary Shelley", "writers", "name")
    made = {"key": "draft", "name": "Draft", "collection": "writers", "item": str(key)}
    version = http.post("/versions", json=made).raise_for_status().json()["data"]["id"]
    http.post(f"/versions/{version}/save", json={"name": "M. Shelley"}).raise_for_status()
    open_item(page, key, "M. Shelley", "writers", "?version=draft")
    books = page.locator("[data-field=books]")
    books.get_by_role("button", name="New in Catalogue").click()
    drawer = page.get_by_role("dialog")
    drawer.get_by_label("Title", exact=True).fill("Mathilda")
    drawer.get_by_role("button", name="Done").click()
    page.get_by_role("button", name="Save to version").click()
    page.get_by_text("Saved to the version.").wait_for()
    assert len(read(http, f"/items/writers/{key}")["books"]) == 2
    page.get_by_role("button", name="Compare and promote").click()
    dialog = page.get_by_role("dialog", name="“Draft” and the main version")
    dialog.locator("[data-change=books]").get_by_text("one new").wait_for()
    dialog.get_by_role("switch", name="Delete the version afterwards").check()
    dialog.get_by_role("button", name="Promote 2 fields").click()
    page.get_by_text("2 fields promoted.").wait_for()
    row = read(http, f"/items/writers/{key}?fields=name,books.title")
    assert row["name"] == "M. Shelley"
    assert "Mathilda" in {book["title"] for book in row["books"]}
    assert read(http, f"/versions?filter[item][_eq]={key}&filter[collection][_eq]=writers") == []


def test_leaving_a_version_asks_for_what_is_not_saved(page: Any, http: httpx2.Client) -> None:
    key = key_of(http, "Walden")
    made = {"key": "cut", "name": "Cut", "collection": "catalogue", "item": str(key)}
    http.post("/versions", json=made).raise_for_status()
    open_item(page, key, "Walden", query="?version=cut")
    page.get_by_text("You are editing the version “Cut”").wait_for()
    page.get_by_label("Title", exact=True).fill("Walden, cut")
    page.get_by_role("button", name="Version: Cut").click()
    page.get_by_role("menuitemradio", name="Main version").click()
    question = page.get_by_role("dialog", name="Leave without saving?")
    question.get_by_role("button", name="Cancel").click()
    page.get_by_text("You are editing the version “Cut”").wait_for()
    page.get_by_role("button", name="Version: Cut").click()
    page.get_by_role("menuitemradio", name="Main version").click()
    question.get_by_role("button", name="Discard changes").click()
    page.get_by_role("button", name="Version: Main version").wait_for()
    page.get_by_role("heading", name="Walden", level=1, exact=True).wait_for()
    open_item(page, key, "Walden", query="?version=gone")
    page.get_by_text("There is no such version of this item.").wait_for()
    page.get_by_role("button", name="To the main version").click()
    page.wait_for_url(re.compile(r"/catalogue/\d+$"))


def test_who_may_not_change_an_item_may_propose_a_version(chromium: Any, site: Site, http: httpx2.Client) -> None:
    key = key_of(http, "Emma")
    page = new_page(chromium, site, EDITOR)
    open_item(page, key, "Emma")
    assert page.get_by_label("Title", exact=True).is_disabled()
    page.get_by_role("button", name="Version: Main version").click()
    page.get_by_role("menuitem", name="New version").click()
    dialog = page.get_by_role("dialog", name="New version")
    dialog.get_by_label("Name").fill("Proposal")
    dialog.get_by_role("button", name="Create").click()
    page.get_by_text("You are editing the version “Proposal”").wait_for()
    page.get_by_label("Title", exact=True).fill("Emma Woodhouse")
    page.get_by_role("button", name="Save to version").click()
    page.get_by_text("Saved to the version.").wait_for()
    page.get_by_role("button", name="Compare and promote").click()
    page.get_by_text("You may propose changes, but not promote them.").wait_for()
    assert page.get_by_role("button", name="Promote").count() == 0
    page.context.close()


def mail_to(mailbox: Any, address: str, page: Any) -> EmailMessage:
    """The newest mail to the address; the page's clock waits for it."""
    for _ in range(300):
        for message in mailbox.messages:
            if address in str(message["to"]):
                assert isinstance(message, EmailMessage)
                return message
        page.wait_for_timeout(100)
    raise AssertionError(f"No mail came for {address}")


def test_a_share_from_its_making_to_its_end(
    page: Any, chromium: Any, site: Site, http: httpx2.Client, mailbox: Any
) -> None:
    key = key_of(http, "The Last Man")
    open_item(page, key, "The Last Man")
    page.get_by_role("tab", name="Shares").click()
    page.get_by_text("This item has not been shared.").wait_for()
    page.get_by_role("button", name="New share").click()
    dialog = page.get_by_role("dialog", name="New share")
    dialog.get_by_label("Name", exact=True).fill("For the printer")
    dialog.get_by_label("With the rights of").select_option(label="Administrator")
    dialog.get_by_label("Password", exact=True).fill("secret")
    dialog.get_by_label("Until").fill("2099-12-31T12:00")
    assert axe(page) == []
    dialog.get_by_role("button", name="Create").click()
    dialog = page.get_by_role("dialog", name="The link is ready")
    link = dialog.get_by_role("textbox", name="Link").input_value()
    assert link.startswith(f"{site.url}/admin/shared/")
    dialog.get_by_label("Send it to these addresses").fill("printer@example.com")
    assert axe(page) == []
    screenshot(page, "32-share-link")
    dialog.get_by_role("button", name="Send to one address").click()
    page.get_by_text("On its way to one address.").wait_for()
    body = mail_to(mailbox, "printer@example.com", page).get_body(("html", "plain"))
    assert body is not None and link in body.get_content()
    page.get_by_text("For the printer").first.wait_for()
    assert axe(page) == []
    screenshot(page, "33-shares")

    for theme in ("light", "dark"):
        view = new_page(chromium, site, color_scheme=theme)
        view.goto(link)
        view.get_by_label("Password of the link").fill("wrong")
        view.get_by_role("button", name="Open").click()
        view.get_by_text("The password is wrong").wait_for()
        assert axe(view) == []
        view.get_by_label("Password of the link").fill("secret")
        view.get_by_role("button", name="Open").click()
        view.get_by_role("heading", name="The Last Man").wait_for()
        view.get_by_label("Title", exact=True).wait_for()
        assert view.get_by_label("Title", exact=True).is_disabled()
        view.wait_for_load_state("networkidle")
        assert axe(view) == []
        screenshot(view, f"34-shared-{theme}")
        view.context.close()

    # Its terms can be changed, and it can be taken back.
    page.reload()
    page.get_by_role("tab", name="Shares").click()
    page.get_by_text("opened 2 times").wait_for()
    page.get_by_role("button", name="Actions for For the printer").click()
    page.get_by_role("menuitem", name="Edit").click()
    dialog = page.get_by_role("dialog", name="Edit share")
    dialog.get_by_role("switch", name="Remove the password").check()
    dialog.get_by_role("button", name="Save").click()
    dialog.wait_for(state="hidden")
    # Somebody who is logged in sees what the guest sees, and stays logged in.
    other = page.context.new_page()
    other.goto(link)
    other.get_by_text("Shared for reading").wait_for()
    other.get_by_role("heading", name="The Last Man").wait_for()
    other.goto("/admin/users")
    other.get_by_role("heading", name="Users", exact=True).first.wait_for()
    other.close()
    page.get_by_role("button", name="Actions for For the printer").click()
    page.get_by_role("menuitem", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    page.get_by_text("Share revoked.").wait_for()
    page.get_by_text("This item has not been shared.").wait_for()
    page.goto(link)
    page.get_by_text("This link does not work").wait_for()
    assert axe(page) == []


def test_a_share_without_rights_says_so(chromium: Any, site: Site, http: httpx2.Client) -> None:
    body = {"collection": "catalogue", "item": str(key_of(http, "Jane Eyre"))}
    share = http.post("/shares", json=body).raise_for_status().json()["data"]["id"]
    page = new_page(chromium, site, viewport={"width": 390, "height": 800})
    page.goto(f"/admin/shared/{share}")
    page.get_by_text("There is nothing to see").wait_for()
    assert axe(page) == []
    page.context.close()


def listening(page: Any) -> None:
    """Load the page again, and go on once its subscription is confirmed."""

    def confirmed(frame: Any) -> bool:
        return '"event":"init"' in str(frame)

    with page.expect_websocket() as found:
        page.reload()
    found.value.wait_for_event("framereceived", predicate=confirmed)


def test_an_open_item_tells_what_others_have_changed(page: Any, http: httpx2.Client) -> None:
    key = key_of(http, "Villette")
    open_item(page, key, "Villette")
    listening(page)
    page.get_by_role("heading", name="Villette", level=1).wait_for()
    page.get_by_label("Title", exact=True).fill("Villette, revised")
    http.patch(f"/items/catalogue/{key}", json={"title": "Villette!", "status": "review"}).raise_for_status()
    news = page.get_by_role("status").filter(has_text="Admin User changed this item")
    news.get_by_text("Changed: Title, Status.").wait_for()
    assert axe(page) == []
    screenshot(page, "35-changed-meanwhile")

    # Saving over it has to be meant.
    page.get_by_role("button", name="Save", exact=True).click()
    question = page.get_by_role("dialog", name="The item has changed meanwhile")
    question.get_by_text("You have changed Title, too: saving overwrites it.").wait_for()
    question.get_by_role("button", name="Cancel").click()
    assert read(http, f"/items/catalogue/{key}")["title"] == "Villette!"

    news.get_by_role("button", name="Compare").click()
    dialog = page.get_by_role("dialog", name="Changed meanwhile")
    dialog.get_by_text("changed by you, too").wait_for()
    assert axe(page) == []
    dialog.get_by_role("button", name="Take over").click()
    news.wait_for(state="detached")
    # What was typed is still there, over what others saved.
    assert page.get_by_label("Title", exact=True).input_value() == "Villette, revised"
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved.").first.wait_for()
    row = read(http, f"/items/catalogue/{key}")
    assert (row["title"], row["status"]) == ("Villette, revised", "review")


def test_a_list_follows_what_others_do(page: Any, http: httpx2.Client) -> None:
    page.goto("/admin/content/catalogue")
    page.get_by_role("heading", name="Catalogue", level=1).wait_for()
    listening(page)
    page.get_by_role("link", name="Middlemarch").wait_for()
    http.patch(f"/items/catalogue/{key_of(http, 'Middlemarch')}", json={"title": "Middlemarch II"}).raise_for_status()
    page.get_by_role("link", name="Middlemarch II").wait_for()
    http.post("/items/catalogue", json={"title": "The Mill on the Floss"}).raise_for_status()
    page.get_by_role("link", name="The Mill on the Floss").wait_for()


def test_without_websockets_saving_still_warns(chromium: Any, start_site: Callable[..., Site]) -> None:
    site = start_site()
    with as_admin(site) as http:
        fill_catalogue(http)
        key = key_of(http, "Emma")
        page = new_page(chromium, site, ADMIN)
        sockets: list[Any] = []
        page.on("websocket", lambda socket: sockets.append(socket))
        open_item(page, key, "Emma")
        page.get_by_label("Title", exact=True).fill("Emma!")
        http.patch(f"/items/catalogue/{key}", json={"status": "draft"}).raise_for_status()
        page.get_by_role("button", name="Save", exact=True).click()
        question = page.get_by_role("dialog", name="The item has changed meanwhile")
        question.get_by_text("Your changes are in other fields; theirs stay.").wait_for()
        question.get_by_role("button", name="Save my changes").click()
        page.get_by_text("Saved.").first.wait_for()
        row = read(http, f"/items/catalogue/{key}")
        assert (row["title"], row["status"]) == ("Emma!", "draft")
        assert sockets == []
        page.context.close()
