"""Dashboards: made, filled, and arranged by keyboard and pointer."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from .conftest import ADMIN, Site, as_admin, axe, closed, expect, new_page, screenshot, settle
from .library import fill_catalogue


@pytest.fixture(scope="module")
def site(start_site: Callable[..., Site]) -> Site:
    return start_site()


@pytest.fixture(scope="module")
def http(site: Site) -> Iterator[httpx2.Client]:
    with as_admin(site) as http:
        fill_catalogue(http)
        yield http


@pytest.fixture(params=["light"])
def page(request: pytest.FixtureRequest, chromium: Any, site: Site, http: httpx2.Client) -> Iterator[Any]:
    page = new_page(chromium, site, ADMIN, color_scheme=request.param)
    page.theme = request.param
    yield page
    page.context.close()
    assert page.problems == []


def panels_of(http: httpx2.Client, dashboard: str) -> dict[str, Any]:
    query = {"filter[dashboard][_eq]": dashboard}
    rows = http.get("/panels", params=query).raise_for_status().json()["data"]
    return {row["name"] or row["type"]: row for row in rows}


def place_of(panel: dict[str, Any]) -> tuple[int, int, int, int]:
    return panel["position_x"], panel["position_y"], panel["width"], panel["height"]


@pytest.fixture(scope="module")
def filled(http: httpx2.Client) -> str:
    """A dashboard with a panel of each kind, and one of a kind that is not ours."""
    kinds: list[tuple[str, str, tuple[int, int, int, int], dict[str, Any]]] = [
        ("metric", "Books", (1, 1, 12, 6), {"collection": "catalogue", "function": "count"}),
        ("metric", "First", (13, 1, 12, 6), {"collection": "catalogue", "function": "min", "field": "published"}),
        ("meter", "Goal", (25, 1, 12, 11), {"collection": "catalogue", "function": "count", "max": 20}),
        (
            "time-series",
            "By year",
            (1, 7, 24, 12),
            {"collection": "catalogue", "function": "count", "dateField": "published", "precision": "year"},
        ),
        ("bar-chart", "By writer", (25, 12, 24, 12), {"collection": "catalogue", "xAxis": "writer"}),
        ("pie-chart", "By state", (1, 19, 24, 12), {"collection": "catalogue", "column": "status", "donut": True}),
        ("list", "Newest", (37, 1, 12, 11), {"collection": "catalogue", "sortField": "published", "limit": 3}),
        (
            "metric-list",
            "Topics",
            (25, 24, 24, 8),
            {"collection": "catalogue", "groupByField": "writer", "aggregateFunction": "count"},
        ),
        ("label", "", (1, 31, 24, 4), {"text": "All of the house"}),
        ("relational-variable", "Of an extension", (1, 35, 24, 6), {"field": "writer", "deep": {"kept": [1, 2]}}),
        ("metric", "Secret", (25, 32, 24, 6), {"collection": "directus_users", "function": "count"}),
    ]
    panels = [
        {
            "type": kind,
            "name": name or None,
            "show_header": bool(name),
            **dict(zip(("position_x", "position_y", "width", "height"), place, strict=True)),
            "options": options,
        }
        for kind, name, place, options in kinds
    ]
    body = {"name": "The house", "note": "What is printed", "icon": "menu_book", "panels": panels}
    found: str = http.post("/dashboards", json=body).raise_for_status().json()["data"]["id"]
    return found


def panel(page: Any, name: str) -> Any:
    return page.get_by_role("article", name=name, exact=True)


def open_dashboard(page: Any, key: str, query: str = "") -> None:
    page.goto(f"/admin/insights/{key}{query}")
    page.get_by_role("heading", name="The house", level=1).wait_for()
    panel(page, "Books").get_by_text("16", exact=True).wait_for()


def test_a_dashboard_is_made_and_gets_panels(page: Any, http: httpx2.Client) -> None:
    page.goto("/admin/insights")
    page.get_by_text("No dashboards yet").wait_for()
    assert axe(page) == []
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill("new dash")
    page.get_by_role("option", name="New dashboard").wait_for()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="New dashboard")
    dialog.get_by_label("Name", exact=True).fill("Printing")
    assert axe(page) == []
    dialog.get_by_role("button", name="Create").click()
    page.get_by_role("heading", name="Printing", level=1).wait_for()
    page.get_by_text("No panels yet").wait_for()
    key = page.url.split("/insights/")[1].split("?")[0]

    page.get_by_role("button", name="Add panel").first.click()
    dialog = page.get_by_role("dialog", name="New panel")
    dialog.get_by_role("button", name="Metric", exact=False).first.wait_for()
    assert axe(page) == []
    dialog.get_by_role("button", name=re.compile("^Metric One number")).click()
    create = dialog.get_by_role("button", name="Create")
    assert create.is_disabled()
    dialog.get_by_label("Name", exact=True).fill("Novels")
    dialog.get_by_label("Collection").select_option(label="Catalogue")
    dialog.get_by_role("button", name="Condition").click()
    dialog.get_by_label("Value of Title").fill("Emma")
    dialog.get_by_label("After it").fill(" of them")
    assert axe(page) == []
    create.click()
    panel(page, "Novels").get_by_text("1 of them").wait_for()

    page.get_by_role("button", name="Add panel").first.click()
    dialog.get_by_role("button", name=re.compile("^Time series")).click()
    dialog.get_by_label("Name", exact=True).fill("Years")
    dialog.get_by_label("Collection").select_option(label="Catalogue")
    dialog.get_by_role("combobox", name="Date", exact=True).select_option(label="Published")
    dialog.get_by_role("combobox", name="By", exact=True).select_option(label="Year")
    dialog.get_by_role("button", name="Create").click()
    panel(page, "Years").get_by_role("img", name="Years").wait_for()
    stored = panels_of(http, key)
    assert stored["Novels"]["options"]["filter"] == {"title": {"_icontains": "Emma"}}
    assert place_of(stored["Novels"]) == (1, 1, 12, 6)
    assert place_of(stored["Years"]) == (13, 1, 24, 12)
    assert stored["Years"]["options"]["precision"] == "year"
    http.delete(f"/dashboards/{key}").raise_for_status()


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_every_kind_of_panel_shows_what_is_there(page: Any, filled: str) -> None:
    open_dashboard(page, filled)
    panel(page, "First").get_by_text("Jan 28, 1813").wait_for()
    panel(page, "Goal").get_by_role("meter").wait_for()
    assert panel(page, "Goal").get_by_role("meter").get_attribute("aria-valuenow") == "16"
    panel(page, "By writer").get_by_role("row", name="Jane Austen 2").wait_for()
    panel(page, "By state").get_by_role("row", name="Published 11").wait_for()
    panel(page, "Newest").get_by_role("link", name="The Invisible Man").wait_for()
    panel(page, "Topics").get_by_role("row").nth(4).wait_for()
    page.get_by_text("All of the house").wait_for()
    panel(page, "Of an extension").get_by_text("Panels of the kind “relational-variable” are not supported").wait_for()
    years = panel(page, "By year").get_by_role("img", name="By year")
    years.focus()
    page.keyboard.press("ArrowRight")
    panel(page, "By year").get_by_text("1813").first.wait_for()
    page.wait_for_load_state("networkidle")
    assert axe(page) == []
    page.keyboard.press("Tab")
    screenshot(page, f"page-dashboard-{page.theme}")
    page.get_by_role("button", name="Edit panels").click()
    page.get_by_role("button", name="Move Books").wait_for()
    assert axe(page) == []
    screenshot(page, f"page-dashboard-edit-{page.theme}")
    page.get_by_role("button", name="Actions for Of an extension").click()
    page.get_by_role("menuitem", name="Edit panel").click()
    page.get_by_role("dialog").get_by_text("its settings are kept").wait_for()
    assert axe(page) == []


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_the_list_of_dashboards(page: Any, filled: str) -> None:
    page.goto("/admin/insights")
    page.get_by_role("link", name="The house").wait_for()
    assert axe(page) == []
    screenshot(page, f"page-dashboards-{page.theme}")
    page.get_by_role("button", name="New dashboard").click()
    page.get_by_role("dialog", name="New dashboard").wait_for()
    assert axe(page) == []


def test_an_option_that_is_not_ours_survives_an_edit(page: Any, http: httpx2.Client, filled: str) -> None:
    open_dashboard(page, filled)
    page.get_by_role("button", name="Edit panels").click()
    page.get_by_role("button", name="Actions for Of an extension").click()
    page.get_by_role("menuitem", name="Edit panel").click()
    dialog = page.get_by_role("dialog", name="Edit panel")
    dialog.get_by_label("Note", exact=True).fill("Later")
    dialog.get_by_role("button", name="Save").click()
    dialog.wait_for(state="hidden")
    stored = panels_of(http, filled)["Of an extension"]
    assert stored["note"] == "Later"
    assert stored["options"] == {"field": "writer", "deep": {"kept": [1, 2]}}
    assert stored["type"] == "relational-variable"


@pytest.fixture
def small(http: httpx2.Client) -> Iterator[str]:
    """A dashboard with one panel."""
    panel = {"type": "metric", "name": "All", "show_header": True, "position_x": 1, "position_y": 1, "width": 12}
    panel |= {"height": 6, "options": {"collection": "catalogue", "function": "count"}}
    made = http.post("/dashboards", json={"name": "Small", "panels": [panel]}).raise_for_status()
    yield made.json()["data"]["id"]
    http.delete(f"/dashboards/{made.json()['data']['id']}")


def test_panels_are_copied_and_deleted_and_so_is_the_dashboard(page: Any, http: httpx2.Client, small: str) -> None:
    page.goto(f"/admin/insights/{small}?edit=1")
    panel(page, "All").get_by_role("button", name="Actions for All").click()
    page.get_by_role("menuitem", name="Duplicate").click()
    expect(panel(page, "All")).to_have_count(2)
    rows = http.get("/panels", params={"filter[dashboard][_eq]": small}).raise_for_status().json()["data"]
    first, second = sorted(rows, key=lambda row: int(row["position_x"]))
    assert (place_of(first), place_of(second)) == ((1, 1, 12, 6), (13, 1, 12, 6))
    assert first["options"] == second["options"]

    panel(page, "All").last.get_by_role("button", name="Actions for All").click()
    page.get_by_role("menuitem", name="Delete").click()
    question = page.get_by_role("dialog", name="Delete this panel?")
    assert axe(page) == []
    question.get_by_role("button", name="Cancel").click()
    closed(question)
    expect(panel(page, "All")).to_have_count(2)
    panel(page, "All").last.get_by_role("button", name="Actions for All").click()
    page.get_by_role("menuitem", name="Delete").click()
    question.get_by_role("button", name="Delete").click()
    expect(panel(page, "All")).to_have_count(1)
    assert list(panels_of(http, small)) == ["All"]

    page.get_by_role("button", name="Done").click()
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog", name="Delete this dashboard?").get_by_role("button", name="Delete").click()
    page.wait_for_url("**/admin/insights")
    expect(page.get_by_role("link", name="Small")).to_have_count(0)
    assert http.get(f"/dashboards/{small}").status_code == 403
    assert http.get("/panels", params={"filter[dashboard][_eq]": small}).json()["data"] == []


def test_panels_are_read_again_by_themselves(page: Any, http: httpx2.Client, small: str) -> None:
    page.clock.install()
    page.goto(f"/admin/insights/{small}")
    count = panel(page, "All")
    count.get_by_text("16", exact=True).wait_for()
    page.get_by_role("button", name="Read again by itself").click()
    page.get_by_role("menuitemradio", name="Every minute").click()
    key = http.post("/items/catalogue", json={"title": "Silas Marner"}).raise_for_status().json()["data"]["id"]
    page.clock.fast_forward("01:01")
    count.get_by_text("17", exact=True).wait_for()
    http.delete(f"/items/catalogue/{key}").raise_for_status()
    page.reload()  # it is remembered
    count.get_by_text("16", exact=True).wait_for()
    key = http.post("/items/catalogue", json={"title": "Romola"}).raise_for_status().json()["data"]["id"]
    page.clock.fast_forward("01:01")
    count.get_by_text("17", exact=True).wait_for()
    http.delete(f"/items/catalogue/{key}").raise_for_status()


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
def test_a_phone_shows_panels_below_each_other(
    chromium: Any, site: Site, http: httpx2.Client, filled: str, direction: str
) -> None:
    http.patch("/users/me", json={"text_direction": direction}).raise_for_status()
    page = new_page(chromium, site, ADMIN, viewport={"width": 390, "height": 800})
    open_dashboard(page, filled)
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    boxes = page.get_by_role("article").evaluate_all(
        "all => all.map((one) => one.getBoundingClientRect()).map(({ left, top, bottom }) => [left, top, bottom])"
    )
    assert len(boxes) >= 10
    assert len({left for left, _, _ in boxes}) == 1
    assert all(below[1] >= above[2] for above, below in itertools.pairwise(boxes))
    assert axe(page) == []
    screenshot(page, f"phone-dashboard-{direction}")
    page.get_by_role("button", name="Edit panels").click()
    page.get_by_role("button", name="Actions for Books").wait_for()
    assert axe(page) == []
    page.context.close()
    assert page.problems == []
    http.patch("/users/me", json={"text_direction": "auto"}).raise_for_status()


def written(page: Any) -> Any:
    """Waits for the answer to the places that are stored."""
    return page.expect_response(lambda answer: answer.request.method == "PATCH" and "/panels" in answer.url)


def test_panels_are_moved_and_sized_by_keyboard(page: Any, http: httpx2.Client, filled: str) -> None:
    before = panels_of(http, filled)
    open_dashboard(page, filled, "?edit=1")
    page.get_by_role("button", name="Move Goal").focus()
    with written(page):
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
    stored = panels_of(http, filled)
    x, y, width, height = place_of(before["Goal"])
    assert place_of(stored["Goal"]) == (x, y + 2, width, height)
    # What it came to lie on made room, and what was not in the way stayed.
    assert place_of(stored["By writer"])[1] == place_of(before["By writer"])[1] + 2
    assert place_of(stored["Books"]) == place_of(before["Books"])
    with written(page):
        page.keyboard.press("Shift+ArrowUp")
    assert place_of(panels_of(http, filled)["Goal"]) == (x, y + 2, width, height - 1)
    assert page.get_by_role("button", name="Move Goal").evaluate("(element) => element === document.activeElement")
    page.get_by_role("button", name="Resize Goal").focus()
    with written(page):
        page.keyboard.press("ArrowLeft")
    assert place_of(panels_of(http, filled)["Goal"]) == (x, y + 2, width - 1, height - 1)


def test_panels_are_moved_and_sized_by_pointer(page: Any, http: httpx2.Client, filled: str) -> None:
    before = panels_of(http, filled)["Books"]
    open_dashboard(page, filled, "?edit=1")
    grip = page.get_by_role("button", name="Resize Books").bounding_box()
    start = grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0], start[1] + 30, steps=4)
    page.mouse.move(start[0], start[1] + 60, steps=4)
    with written(page):
        page.mouse.up()
    x, y, width, height = place_of(before)
    assert place_of(panels_of(http, filled)["Books"]) == (x, y, width, height + 3)
    grip = page.get_by_role("button", name="Move Books").bounding_box()
    start = grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0] + 40, start[1] + 40, steps=6)
    # Escape takes it back.
    page.keyboard.press("Escape")
    page.mouse.up()
    assert place_of(panels_of(http, filled)["Books"]) == (x, y, width, height + 3)
