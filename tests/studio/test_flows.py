"""One story through the Studio, as people would use it: from the first page to a reset password.

The steps build on each other, so they are one test; each has its own function and leaves a screenshot.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

from PIL import Image

from .conftest import Mailbox, Site, axe, closed, expect, new_page, save, screenshot

ADMIN = ("ada@example.com", "correct horse battery")
EDITOR = "mina@example.com"


def test_from_first_run_to_a_reset_password(chromium: Any, start_site: Callable[..., Site], mailbox: Mailbox) -> None:
    site = start_site(admin=False)
    admin = new_page(chromium, site)
    set_up(admin, site)
    no_second_administrator(new_page(chromium, site), site)
    make_collections(admin)
    write_items_with_nested_ones(admin)
    policy_for_editors(admin)
    invite(admin)
    editor = new_page(chromium, site)
    accept(editor, mailbox.link_to(EDITOR))
    see_only_what_is_allowed(editor)
    view_as(admin)
    revert(admin)
    upload_and_transform(admin)
    reset_password(new_page(chromium, site), mailbox)
    assert admin.problems == []
    assert editor.problems == []


def set_up(page: Any, site: Site) -> None:
    """Without the link there is only the question for it; with it the first administrator."""
    page.goto("/admin")
    page.wait_for_url("**/admin/setup")
    page.get_by_text("This server has no administrator yet").wait_for()
    assert axe(page) == []
    screenshot(page, "00-no-link")
    page.get_by_label("Setup link").fill("x" * 43)
    page.get_by_role("button", name="Go on").click()
    fill_account(page)
    page.get_by_role("button", name="Create account").click()
    page.get_by_role("alert").get_by_text("wrong, used or expired").wait_for()
    assert site.setup_link is not None
    page.goto(site.setup_link)
    page.get_by_label("Name of the project").wait_for()
    assert "token" not in page.url
    assert axe(page) == []
    screenshot(page, "01-first-run")
    page.get_by_label("Name of the project").fill("Library")
    fill_account(page)
    page.get_by_label("Password again").fill("another")
    page.get_by_role("button", name="Create account").click()
    page.get_by_text("The two passwords differ").wait_for()
    page.get_by_label("Password again").fill(ADMIN[1])
    page.get_by_role("button", name="Create account").click()
    page.get_by_text("No collections yet").wait_for()
    page.get_by_role("link", name="Invite people").wait_for()
    screenshot(page, "01-first-hint")


def no_second_administrator(page: Any, site: Site) -> None:
    """The link is used up, also for another browser that has it."""
    page.goto(site.setup_link)
    fill_account(page)
    page.get_by_role("button", name="Create account").click()
    page.get_by_role("alert").get_by_text("wrong, used or expired").wait_for()
    page.get_by_role("link", name="Back to the login").click()
    page.get_by_role("button", name="Log in", exact=True).wait_for()
    assert page.problems == []
    page.context.close()


def fill_account(page: Any) -> None:
    page.get_by_label("First name").fill("Ada")
    page.get_by_label("E-mail").fill(ADMIN[0])
    page.get_by_label("Password", exact=True).fill(ADMIN[1])
    page.get_by_label("Password again").fill(ADMIN[1])


def make_collections(page: Any) -> None:
    page.get_by_role("link", name="New collection").click()
    create_collection(page, "Authors")
    add_field(page, "Line of text", "name", required=True)
    page.get_by_role("link", name="Data model").click()
    page.get_by_role("button", name="New collection").click()
    create_collection(page, "Books", "Status and archive")
    add_field(page, "Line of text", "title", required=True)
    page.get_by_role("button", name="New field").click()
    page.get_by_role("button", name="One related item").click()
    page.get_by_label("Name of the field").fill("author")
    page.get_by_label("Related collection").select_option("authors")
    page.get_by_label("Field over there that lists these items").fill("books")
    page.get_by_text("Foreign key books.author to authors").wait_for()
    screenshot(page, "02-new-relation")
    page.get_by_role("button", name="Create", exact=True).click()
    page.get_by_text("→ authors").wait_for()
    screenshot(page, "03-data-model")


def create_collection(page: Any, name: str, *columns: str) -> None:
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=False).first.fill(name)
    for column in columns:
        dialog.get_by_label(column).check()
    dialog.get_by_text(f"Table {name.lower()} with").wait_for()
    dialog.get_by_role("button", name="Create", exact=True).click()
    page.wait_for_url(f"**/admin/model/{name.lower()}")
    closed(dialog)


def add_field(page: Any, kind: str, name: str, required: bool = False) -> None:
    page.get_by_role("button", name="New field").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name=kind).click()
    dialog.get_by_label("Name of the field").fill(name)
    if required:
        dialog.get_by_role("switch", name="required").check()
    dialog.get_by_role("button", name="Create", exact=True).click()
    closed(dialog)
    page.get_by_role("button", name=f"Edit {name}").wait_for()


def write_items_with_nested_ones(page: Any) -> None:
    page.get_by_role("navigation", name="Main navigation").get_by_role("link", name="Authors").click()
    page.wait_for_url("**/admin/content/authors")
    page.get_by_role("link", name="New item").first.click()
    page.wait_for_url("**/admin/content/authors/+")
    page.get_by_role("button", name="Save", exact=True).click()
    page.locator("[data-field=name]").get_by_text("This field needs a value").wait_for()
    page.get_by_label("Name").fill("Jane Austen")
    for title in ("Emma", "Persuasion"):
        page.get_by_role("button", name="New in Books").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Title").fill(title)
        dialog.get_by_role("button", name="Done").click()
        closed(dialog)
        page.get_by_role("button", name=title, exact=True).wait_for()
    screenshot(page, "04-nested-items")
    save(page)
    page.wait_for_url(re.compile(r"/authors/1$"))
    page.get_by_role("navigation", name="Main navigation").get_by_role("link", name="Books").click()
    page.get_by_role("row", name=re.compile("Emma.*Jane Austen")).wait_for()
    # Nothing is lost by a click beside: unsaved edits ask.
    page.get_by_role("link", name=re.compile("Emma|draft", re.I)).first.click()
    page.wait_for_url(re.compile(r"/books/1$"))
    expect(page.get_by_label("Title")).to_have_value("Emma")
    page.get_by_label("Title").fill("Emma (1815)")
    page.get_by_role("link", name="Home").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    closed(page.get_by_role("dialog"))
    save(page)


def policy_for_editors(page: Any) -> None:
    page.get_by_role("link", name="Access").click()
    page.get_by_role("button", name="New policy").click()
    page.wait_for_url(re.compile(r"/policies/[0-9a-f-]{36}"))
    page.get_by_role("navigation", name="Access").wait_for(state="detached")  # the list has gone
    page.get_by_label("Name").fill("Edit books")
    save(page)
    page.get_by_role("heading", name="Edit books").wait_for()
    for action in ("Read", "Update"):
        page.get_by_role("button", name=f"Books, {action}: none").click()
        page.get_by_role("menuitemradio", name="All access").click()
        page.get_by_role("button", name=f"Books, {action}: all").wait_for()
    # Updates only of what is no draft: a rule.
    page.get_by_role("button", name="Books, Update: all").click()
    page.get_by_role("menuitemradio", name="By rule …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Condition").click()
    dialog.get_by_label("Value of Status").fill("draft")
    screenshot(page, "05-rule")
    dialog.get_by_role("button", name="Save", exact=True).click()
    closed(dialog)
    page.get_by_role("button", name="Books, Update: by rule").wait_for()
    page.get_by_role("link", name="Back").click()
    page.get_by_role("navigation", name="Access").get_by_role("link", name="Roles").click()
    page.get_by_role("button", name="New role").click()
    page.wait_for_url(re.compile(r"/roles/[0-9a-f-]{36}"))
    page.get_by_role("navigation", name="Access").wait_for(state="detached")
    page.get_by_label("Name").fill("Editors")
    save(page)
    page.get_by_role("heading", name="Editors").wait_for()
    page.get_by_label("Add a policy …").select_option(label="Edit books")
    page.get_by_role("link", name="Edit books").wait_for()


def invite(page: Any) -> None:
    page.get_by_role("link", name="Users").click()
    page.wait_for_url("**/admin/users")
    page.get_by_role("button", name="Invite").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("E-mail addresses").fill(EDITOR)
    dialog.get_by_label("Role").select_option(label="Editors")
    dialog.get_by_role("button", name="Send invitation").click()
    page.get_by_role("row", name=re.compile(f"{EDITOR}.*invited")).wait_for()
    screenshot(page, "06-invited")


def accept(page: Any, link: str) -> None:
    page.goto(link)
    page.get_by_label("New password").fill("editors password")
    page.get_by_role("button", name="Set password").click()
    page.wait_for_url("**/admin/login**")
    log_in(page, EDITOR, "editors password")


def log_in(page: Any, address: str, password: str) -> None:
    page.get_by_label("E-mail").fill(address)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.get_by_role("heading", name="Home").wait_for()


def see_only_what_is_allowed(page: Any) -> None:
    links = page.get_by_role("navigation", name="Main navigation").get_by_role("link")
    links.filter(has_text="Books").first.wait_for()
    names = {name.strip() for name in links.all_inner_texts()}
    assert "Books" in names
    assert not names & {"Authors", "Access", "Data model", "Settings"}
    page.goto("/admin/model")
    page.wait_for_url(re.compile(r"/admin/?$"))
    page.get_by_role("heading", name="Home").wait_for()
    page.goto("/admin/content/authors")
    page.get_by_text("No such collection").wait_for()
    page.goto("/admin/content/books")
    page.get_by_role("row", name=re.compile("Persuasion")).wait_for()
    assert page.get_by_role("link", name="New item").count() == 0
    page.get_by_text(EDITOR).wait_for()
    screenshot(page, "07-as-editor")


def view_as(page: Any) -> None:
    page.get_by_role("link", name="Access").click()
    page.get_by_role("navigation", name="Access").get_by_role("link", name="View as").click()
    page.get_by_label("Look with the eyes of").select_option(label=EDITOR)
    page.get_by_role("link", name=re.compile("Edit books")).wait_for()
    page.get_by_role("button", name="Authors, Read: none").wait_for()
    page.get_by_role("button", name="Books, Update: by rule").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("2 of 2 items").wait_for()
    dialog.get_by_role("link", name="Edit books").wait_for()
    screenshot(page, "08-view-as")
    dialog.get_by_role("button", name="Close").click()
    closed(dialog)


def revert(page: Any) -> None:
    page.goto("/admin/content/books/1")
    page.get_by_role("heading", name="Emma (1815)").wait_for()
    page.get_by_role("button", name=re.compile("created this|angelegt")).wait_for()
    page.get_by_role("button", name=re.compile("created this")).click()
    dialog = page.get_by_role("dialog")
    screenshot(page, "09-revision")
    assert axe(page) == []
    dialog.get_by_role("button", name="Go back to this state").click()
    page.get_by_role("dialog", name="Go back to this state?").get_by_role(
        "button", name="Go back to this state"
    ).click()
    page.get_by_role("heading", name="Emma", exact=True).wait_for()


def upload_and_transform(page: Any) -> None:
    picture = io.BytesIO()
    Image.linear_gradient("L").resize((640, 480)).convert("RGB").save(picture, "PNG")
    page.get_by_role("link", name="Files").click()
    page.wait_for_url("**/admin/files")
    file = {"name": "sun-rise.png", "mimeType": "image/png", "buffer": picture.getvalue()}
    page.get_by_role("button", name="Upload").first.wait_for()
    page.locator("input[type=file]").set_input_files([file])
    page.get_by_role("link", name=re.compile("Sun Rise")).click()
    page.wait_for_url(re.compile(r"/files/[0-9a-f-]{36}"))
    page.get_by_text("640 × 480").wait_for()
    page.get_by_label("Width").fill("120")
    page.get_by_label("Height").fill("90")
    page.get_by_role("button", name="Show result").click()
    made = page.get_by_test_id("transformed")
    made.wait_for()
    assert made.evaluate("image => image.decode().then(() => [image.naturalWidth, image.naturalHeight])") == [120, 90]
    screenshot(page, "10-file")
    assert axe(page) == []


def reset_password(page: Any, mailbox: Mailbox) -> None:
    page.goto("/admin/login")
    page.get_by_role("link", name="Forgotten password?").click()
    page.get_by_role("button", name="Send link").wait_for()  # the login page has a field of the same name
    page.get_by_label("E-mail").fill(EDITOR)
    page.get_by_role("button", name="Send link").click()
    page.get_by_text("a mail with a link is on its way").wait_for()
    page.goto(mailbox.link_to(EDITOR))
    page.get_by_label("New password").fill("a newer password")
    page.get_by_role("button", name="Set password").click()
    page.wait_for_url("**/admin/login**")
    page.get_by_text("Your password is set").wait_for()
    log_in(page, EDITOR, "a newer password")
