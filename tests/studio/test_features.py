"""What editors and administrators do with the Studio beyond the story: every kind of relation, moving rows, files."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from PIL import Image

from tabulary.services.two_factor import _Codes

from ..waiting import wait_for
from .conftest import ADMIN, Site, as_admin, axe, closed, expect, new_page, save, screenshot, telling


@pytest.fixture(scope="module")
def site(start_site: Callable[..., Site]) -> Site:
    return start_site()


@pytest.fixture(scope="module")
def http(site: Site) -> Iterator[httpx2.Client]:
    with as_admin(site) as http:
        for collection, extra in (("articles", []), ("tags", []), ("videos", []), ("tasks", task_fields())):
            create(http, collection, extra)
        yield http


def create(http: httpx2.Client, collection: str, fields: list[dict[str, Any]]) -> None:
    key = {
        "field": "id",
        "type": "integer",
        "schema": {"is_primary_key": True, "has_auto_increment": True},
        "meta": {"hidden": True},
    }
    name = {"field": "name", "type": "string", "schema": {}, "meta": {"interface": "input", "required": True}}
    meta: dict[str, Any] = {"display_template": "{{name}}"}
    if any(field["field"] == "sort" for field in fields):
        meta |= {"sort_field": "sort", "archive_field": "state", "archive_value": "done", "unarchive_value": "open"}
    body = {"collection": collection, "schema": {}, "meta": meta, "fields": [key, name, *fields]}
    http.post("/collections", json=body).raise_for_status()


def task_fields() -> list[dict[str, Any]]:
    return [
        {"field": "sort", "type": "integer", "schema": {}, "meta": {"hidden": True}},
        {"field": "state", "type": "string", "schema": {"default_value": "open"}, "meta": {"interface": "input"}},
        {"field": "hours", "type": "integer", "schema": {}, "meta": {"interface": "input"}},
    ]


@pytest.fixture
def page(chromium: Any, site: Site, http: httpx2.Client) -> Iterator[Any]:
    page = new_page(chromium, site, ADMIN)
    yield page
    page.context.close()
    assert page.problems == []


def read(http: httpx2.Client, path: str, **query: str) -> Any:
    answer = http.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def stored(http: httpx2.Client, path: str, expected: list[Any], field: str = "name", **query: str) -> None:
    """Wait until the server has rows with these values: pages show a change before it is kept."""

    def found() -> list[Any]:
        return [row[field] for row in read(http, path, **query)]

    wait_for(lambda: found() == expected, lambda: f"{expected} expected, {found()} are there")


def test_every_kind_of_relation_from_the_model_to_the_stored_item(page: Any, http: httpx2.Client) -> None:
    http.post("/items/tags", json=[{"name": "green"}, {"name": "blue"}]).raise_for_status()
    page.goto("/admin/model/articles")
    new_field(page, "Many to many", "tags", related="tags", sortable=True)
    new_field(page, "Many of several collections", "blocks", allowed=["Videos", "Tags"])
    new_field(page, "Items that point here", "clips", related="videos")
    new_field(page, "Translations", "translations")
    page.get_by_role("button", name="Delete the field translations", exact=True).wait_for()
    field = {"field": "headline", "type": "string", "schema": {}, "meta": {"interface": "input"}}
    http.post("/fields/articles_translations", json=field).raise_for_status()

    page.goto("/admin/content/articles/+")
    page.get_by_label("Name").first.fill("Tides")
    tags = page.locator("[data-field=tags]")
    tags.get_by_role("button", name="Link from Tags").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="green").click()
    dialog.get_by_role("button", name="blue").click()
    assert axe(page) == []
    dialog.get_by_role("button", name="Take 2").click()
    closed(dialog)
    tags.get_by_role("button", name="New in Tags").click()
    fill_drawer(page, "red")
    tags.get_by_role("listitem").filter(has_text="blue").get_by_role("button", name="Move up").click()
    blocks = page.locator("[data-field=blocks]")
    blocks.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("menuitem", name="New in Videos").click()
    fill_drawer(page, "waves")
    page.locator("[data-field=clips]").get_by_role("button", name="New in Videos").click()
    fill_drawer(page, "surf")
    translations = page.locator("[data-field=translations]")
    translations.get_by_role("textbox", name="Headline").fill("The tides")
    translations.get_by_role("button", name="Deutsch").click()
    expect(translations.get_by_role("button", name="Deutsch")).to_have_attribute("aria-pressed", "true")
    expect(translations.get_by_role("textbox", name="Headline")).to_have_value("")
    translations.get_by_role("textbox", name="Headline").fill("Die Gezeiten")
    screenshot(page, "20-relations")
    save(page)

    fields = "tags.tags_id.name,blocks.collection,blocks.item:videos.name,clips.name,translations.*"
    row = read(http, "/items/articles", fields=fields, **{"deep[tags][_sort]": "sort"})[0]
    assert [tag["tags_id"]["name"] for tag in row["tags"]] == ["blue", "green", "red"]
    assert row["blocks"] == [{"collection": "videos", "item": {"name": "waves"}}]
    assert row["clips"] == [{"name": "surf"}]
    headlines = {entry["languages_code"]: entry["headline"] for entry in row["translations"]}
    assert headlines == {"en-US": "The tides", "de-DE": "Die Gezeiten"}

    # And again on what is stored: remove one, change another in its drawer, change a translation.
    page.wait_for_url(re.compile(r"/articles/1$"))
    late: list[Any] = []
    page.route("**/items/articles_translations**", lambda route: late.append(route))
    page.reload()
    # What is written before the stored ones are known would become a second row of the same language.
    translations.locator(".skeleton").wait_for()
    assert translations.get_by_role("textbox").count() == 0
    for route in late:
        route.continue_()
    page.unroute("**/items/articles_translations**")
    expect(translations.get_by_role("textbox", name="Headline")).to_have_value("The tides")
    tags.get_by_role("button", name="Remove green").click()
    blocks.get_by_role("button", name="waves", exact=True).click()
    fill_drawer(page, "big waves")
    translations.get_by_role("textbox", name="Headline").fill("Tides")
    assert axe(page) == []
    save(page)
    row = read(http, "/items/articles/1", fields=fields, **{"deep[tags][_sort]": "sort"})
    assert [tag["tags_id"]["name"] for tag in row["tags"]] == ["blue", "red"]
    assert row["blocks"][0]["item"] == {"name": "big waves"}
    assert {entry["headline"] for entry in row["translations"]} == {"Tides", "Die Gezeiten"}


def new_field(page: Any, kind: str, name: str, related: str = "", allowed: Any = (), sortable: bool = False) -> None:
    page.get_by_role("button", name="New field").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name=kind, exact=True).click()
    dialog.get_by_label("Name of the field").fill(name)
    if related:
        dialog.get_by_label("Related collection").select_option(related)
    for collection in allowed:
        dialog.get_by_label(collection, exact=True).check()
    if sortable:
        dialog.get_by_role("switch").first.check()
    dialog.get_by_role("button", name="Create", exact=True).click()
    closed(dialog)
    page.get_by_role("button", name=f"Edit {name}", exact=True).wait_for()


def fill_drawer(page: Any, name: str) -> None:
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").first.fill(name)
    dialog.get_by_role("button", name="Done").click()
    closed(dialog)


def test_rows_are_imported_moved_archived_and_discussed(page: Any, http: httpx2.Client) -> None:
    page.goto("/admin/content/tasks")
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Import").click()
    dialog = page.get_by_role("dialog")
    bad = {"name": "tasks.csv", "mimeType": "text/csv", "buffer": b"name,hours\nwrong,many\n"}
    dialog.get_by_label("File").set_input_files([bad])
    dialog.get_by_role("button", name="Import", exact=True).click()
    dialog.get_by_role("alert").wait_for()
    assert read(http, "/items/tasks") == []
    rows = b"name,hours,sort\nplan,1,1\nbuild,8,2\ntest,3,3\n"
    dialog.get_by_label("File").set_input_files([{"name": "tasks.csv", "mimeType": "text/csv", "buffer": rows}])
    dialog.get_by_role("button", name="Import", exact=True).click()
    closed(dialog)
    page.get_by_text("3 items", exact=True).wait_for()

    table = page.get_by_role("table")
    table.get_by_role("row", name=re.compile("test")).drag_to(table.get_by_role("row", name=re.compile("plan")))
    table.locator("tbody tr").first.filter(has_text="test").wait_for()
    stored(http, "/items/tasks", ["test", "plan", "build"], sort="sort")
    # The same by keyboard.
    table.get_by_role("link", name=re.compile("test")).focus()
    page.keyboard.press("Alt+ArrowDown")
    table.locator("tbody tr").first.filter(has_text="plan").wait_for()
    stored(http, "/items/tasks", ["plan", "test", "build"], sort="sort")

    table.get_by_role("link", name=re.compile("build")).click()
    page.wait_for_url(re.compile(r"/tasks/\d+$"))
    page.get_by_role("tab", name="Comments").click()
    page.get_by_label("Write a comment …").fill("Ready?")
    page.keyboard.press("Control+Enter")
    page.get_by_role("article").get_by_text("Ready?").wait_for()
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Archive").click()
    page.get_by_text("Archived", exact=True).wait_for()
    stored(http, "/items/tasks", ["open", "open", "done"], "state", sort="sort")
    page.goto("/admin/content/tasks")
    page.get_by_text("2 items", exact=True).wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="More actions").click()
        page.get_by_role("menuitem", name="Export").click()
        page.get_by_role("link", name="Download").click()
    with open(download.value.path()) as file:
        assert [line.split(",")[1].strip('"') for line in file.read().splitlines()] == ["name", "plan", "test"]


def test_files_in_folders_keep_their_focal_point(page: Any, http: httpx2.Client) -> None:
    page.goto("/admin/files")
    page.get_by_role("button", name="New folder").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Covers")
    dialog.get_by_role("button", name="Create", exact=True).click()
    closed(dialog)
    page.get_by_role("link", name=re.compile("Covers")).first.click()
    page.wait_for_url("**/admin/files?folder=*")
    picture = io.BytesIO()
    Image.radial_gradient("L").resize((400, 300)).convert("RGB").save(picture, "PNG")
    file = {"name": "moon.png", "mimeType": "image/png", "buffer": picture.getvalue()}
    page.locator("input[type=file]").set_input_files([file])
    page.get_by_role("link", name=re.compile("Moon")).click()
    page.wait_for_url(re.compile(r"/files/[0-9a-f-]{36}$"))
    page.get_by_role("button", name="Set focal point").click()
    page.get_by_role("button", name="Focal point").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    screenshot(page, "21-focal-point")
    assert axe(page) == []
    with telling(page, "Saved."):
        page.get_by_role("button", name="Save", exact=True).last.click()
    page.get_by_role("button", name="Remove the focal point").wait_for()
    row = read(http, "/files", fields="focal_point_x,focal_point_y,folder.name")[0]
    assert row == {"focal_point_x": 224, "focal_point_y": 150, "folder": {"name": "Covers"}}


def test_the_second_factor_is_set_up_by_qr_code_and_asked_for(
    page: Any, chromium: Any, site: Site, http: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The server is in this process. Its clock stands still: a code must not end before it is typed.
    moment = int(time.time() // 30)
    monkeypatch.setattr(_Codes, "timecode", lambda self, for_time: moment)
    role = read(http, "/roles")[0]["id"]
    user = {"email": "otto@example.com", "password": "password", "role": role, "first_name": "Otto"}
    http.post("/users", json=user).raise_for_status()
    own = new_page(chromium, site, {"email": user["email"], "password": "password"})
    own.goto("/admin/profile")
    own.get_by_role("button", name="Set up").click()
    own.get_by_label("Password", exact=True).last.fill("password")
    own.get_by_role("button", name="Go on").click()
    own.get_by_role("img", name="QR code").wait_for()
    secret = own.locator("code.mono").inner_text()
    assert axe(own) == []
    screenshot(own, "22-second-factor")
    own.get_by_label("One-time code").fill(_Codes(secret).now())
    own.get_by_role("button", name="Switch on").click()
    own.get_by_text("On: each login asks for a code.").wait_for()
    own.context.clear_cookies()
    own.goto("/admin/login")
    own.get_by_label("E-mail").fill(user["email"])
    own.get_by_label("Password", exact=True).fill("password")
    own.get_by_role("button", name="Log in", exact=True).click()
    own.get_by_label("One-time code").fill(_Codes(secret).now())
    own.get_by_role("button", name="Log in", exact=True).click()
    own.get_by_role("heading", name="Home").wait_for()
    # The administrator sees where Otto is logged in, ends it, and suspends him.
    page.goto("/admin/users")
    page.get_by_role("link", name="Otto").click()
    page.get_by_role("heading", name="Sessions").wait_for()
    with telling(page, "Done. They have to log in again."):
        page.get_by_role("button", name="End", exact=True).first.click()
    own.context.close()


def test_a_role_below_another_shows_as_a_tree_and_inherits(page: Any, http: httpx2.Client) -> None:
    parent = http.post("/roles", json={"name": "Staff"}).json()["data"]["id"]
    rule = {"collection": "tags", "action": "read", "fields": ["*"], "permissions": {"name": {"_eq": "green"}}}
    policy = {"name": "Read tags", "app_access": True, "permissions": {"create": [rule], "update": [], "delete": []}}
    policy_id = http.post("/policies", json=policy).json()["data"]["id"]
    http.post("/access", json={"role": parent, "policy": policy_id}).raise_for_status()
    child = http.post("/roles", json={"name": "Authors", "parent": parent}).json()["data"]["id"]
    user = {"email": "nina@example.com", "first_name": "Nina", "role": child, "password": "password"}
    http.post("/users", json=user).raise_for_status()
    page.goto("/admin/access/roles")
    page.get_by_role("link", name="Authors").wait_for()
    offset = "name => document.querySelectorAll('a.name')[name].getBoundingClientRect().left"
    names = page.locator("a.name").all_inner_texts()
    assert page.evaluate(offset, names.index("Authors")) > page.evaluate(offset, names.index("Staff"))
    page.goto("/admin/access/view-as")
    page.get_by_label("Look with the eyes of").select_option(label="Nina")
    page.get_by_role("button", name="Tags, Read: by rule").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Allowed, for the items that satisfy a rule.").wait_for()
    keys = {row["name"]: str(row["id"]) for row in read(http, "/items/tags")} or seed_tags(http)
    for name, answer in (
        ("green", "Allowed: this item satisfies a rule."),
        ("blue", "Refused: this item satisfies none"),
    ):
        dialog.get_by_label("Check one item by its key").fill(keys[name])
        dialog.get_by_role("button", name="Check", exact=True).click()
        dialog.get_by_text(answer).wait_for()
    screenshot(page, "23-explained")
    assert axe(page) == []


def seed_tags(http: httpx2.Client) -> dict[str, str]:
    rows = http.post("/items/tags", json=[{"name": "green"}, {"name": "blue"}]).json()["data"]
    return {row["name"]: str(row["id"]) for row in rows}


CHOICES = {"choices": [{"text": "Red", "value": "red"}, {"text": "Blue", "value": "blue"}]}
PARTS = {"fields": [{"field": "label", "name": "Label", "type": "string", "meta": {"interface": "input"}}]}
INPUTS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("line", "string", "input", {}),
    ("long", "text", "input-multiline", {}),
    ("whole", "integer", "input", {}),
    ("huge", "bigInteger", "input", {}),
    ("exact", "decimal", "input", {}),
    ("yes", "boolean", "boolean", {}),
    ("day", "date", "datetime", {}),
    ("clock", "time", "datetime", {}),
    ("local", "dateTime", "datetime", {}),
    ("one", "string", "select-dropdown", CHOICES),
    ("radio", "string", "select-radio", CHOICES),
    ("several", "json", "select-multiple-checkbox", CHOICES),
    ("labels", "csv", "tags", {}),
    ("paint", "string", "select-color", {}),
    ("share", "integer", "slider", {"minValue": 0, "maxValue": 10}),
    ("parts", "json", "list", PARTS),
    ("data", "json", "input-code", {"language": "json"}),
    ("mark", "text", "input-rich-text-md", {}),
    ("rich", "text", "input-rich-text-html", {}),
    ("slug", "string", "input", {"slug": True}),
    ("strange", "string", "an-interface-of-an-extension", {}),
]


def test_every_input_stores_what_it_shows(page: Any, http: httpx2.Client) -> None:
    group = {"field": "box", "type": "alias", "schema": None}
    group["meta"] = {"interface": "group-detail", "special": ["alias", "no-data", "group"]}
    special = {"csv": ["cast-csv"], "json": ["cast-json"], "boolean": ["cast-boolean"]}
    fields = [
        {
            "field": name,
            "type": kind,
            "schema": {},
            "meta": {"interface": interface, "options": options, "special": special.get(kind), "group": "box"},
        }
        for name, kind, interface, options in INPUTS
    ]
    create(http, "everything", [group, *fields])
    page.goto("/admin/content/everything/+")
    page.get_by_label("Name", exact=True).fill("All")
    typed = {
        "Line": "Words",
        "Long": "First\nSecond",
        "Whole": "42",
        "Huge": "9007199254740993",
        "Exact": "3.25",
        "Day": "2024-02-29",
        "Clock": "13:45:00",
        "Local": "2024-02-29T13:45:00",
        "Paint": "#FF8800",
        "Slug": "Über Größe & mehr",
        "Strange": "kept",
    }
    for label, text in typed.items():
        page.locator(f"[data-field={label.lower()}]").get_by_label(label, exact=True).fill(text)
    page.get_by_label("Slug", exact=True).blur()
    page.get_by_role("switch", name="Yes").check()
    page.get_by_label("One", exact=True).select_option(label="Blue")
    page.get_by_role("radio", name="Red").check()
    page.locator("[data-field=several]").get_by_label("Blue").check()
    tags = page.locator("[data-field=labels]").get_by_role("textbox")
    tags.fill("sea")
    tags.press("Enter")
    tags.fill("sky")
    tags.press("Enter")
    page.get_by_role("slider", name="Share").press("ArrowRight")
    page.locator("[data-field=parts]").get_by_role("button", name="Add").click()
    page.locator("[data-field=parts]").get_by_label("Label").fill("first")
    for name, text in (("data", '{"a": [1, 2]}'), ("mark", "# Title"), ("rich", "Plain")):
        editor = page.locator(f"[data-field={name}]").get_by_role("textbox")
        editor.click()
        page.keyboard.insert_text(text)
    assert axe(page) == []
    screenshot(page, "24-inputs")
    save(page)
    row = read(http, "/items/everything")[0]
    assert {name: row[name] for name, *_ in INPUTS} == {
        "line": "Words",
        "long": "First\nSecond",
        "whole": 42,
        "huge": row["huge"],
        "exact": row["exact"],
        "yes": True,
        "day": "2024-02-29",
        "clock": "13:45:00",
        "local": "2024-02-29T13:45:00",
        "one": "blue",
        "radio": "red",
        "several": ["blue"],
        "labels": ["sea", "sky"],
        "paint": "#FF8800",
        "share": 1,
        "parts": [{"label": "first"}],
        "data": {"a": [1, 2]},
        "mark": "# Title",
        "rich": "<p>Plain</p>",
        "slug": "uber-grosse-mehr",
        "strange": "kept",
    }
    # Databases differ in whether they answer these as numbers or as text.
    assert (int(row["huge"]), float(row["exact"])) == (9007199254740993, 3.25)
    # Shown again as it was written, with nothing changed by that.
    page.reload()
    page.get_by_label("Clock", exact=True).wait_for()
    for label in ("Day", "Clock", "Local", "Whole", "Huge"):
        assert page.get_by_label(label, exact=True).input_value().startswith(typed[label].removesuffix(":00"))
    page.locator("[data-field=rich]").get_by_text("Plain").wait_for()
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_disabled()
    # What is no JSON is told at its field and not saved; once it is, it is saved to the last digit.
    data = page.locator("[data-field=data]")
    data.get_by_role("textbox").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text('{"a": 9007199254740993, ')
    data.get_by_text("This is no valid JSON").wait_for()
    page.get_by_role("button", name="Save", exact=True).click()
    data.get_by_role("alert").get_by_text("This is no valid JSON").wait_for()
    assert read(http, "/items/everything")[0]["data"] == {"a": [1, 2]}
    data.get_by_role("textbox").click()
    page.keyboard.press("Control+End")
    page.keyboard.insert_text('"b": 1}')
    data.get_by_text("This is no valid JSON").wait_for(state="hidden")
    save(page)
    assert read(http, "/items/everything")[0]["data"] == {"a": 9007199254740993, "b": 1}
