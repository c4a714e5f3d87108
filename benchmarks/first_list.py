"""How soon the Studio shows the first list of a large collection and answers to a click in it, in a real browser.

    python benchmarks/first_list.py http://127.0.0.1:8055  # the flights of shared/bench/flights.py
    python benchmarks/first_list.py http://127.0.0.1:8055 --collection books --rounds 10

For each round, in milliseconds: ``cold``, a browser that was never here, logged in, from the address of the list to its
first row; ``interactive``, until a click on that row has led to the item's page; ``warm``, the list loaded again;
``route``, from another page of the Studio to the list. Needs Playwright and Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from typing import Any

from playwright.sync_api import sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
SIZE = {"width": 1360, "height": 860}


class Visitor:
    """A fresh browser profile of somebody who is logged in."""

    def __init__(self, chromium: Any, base: str, login: dict[str, str], collection: str) -> None:
        self._context = chromium.new_context(base_url=base, viewport=SIZE)
        answer = self._context.request.post("/auth/login", data={**login, "mode": "session"})
        if not answer.ok:
            raise SystemExit(f"{login['email']} cannot log in: {answer.text()}")
        self._page = self._context.new_page()
        self._list = f"/admin/content/{collection}"
        self._row = f"tbody a[href*='{self._list}/']"

    def measure(self) -> dict[str, float]:
        page, times = self._page, {}
        started = time.perf_counter()
        page.goto(self._list, wait_until="commit")
        page.wait_for_selector(self._row)
        times["cold"] = _milliseconds(started)
        page.click(self._row)
        page.wait_for_url(f"**{self._list}/*")
        times["interactive"] = _milliseconds(started)
        started = time.perf_counter()
        page.goto(self._list, wait_until="commit")
        page.wait_for_selector(self._row)
        times["warm"] = _milliseconds(started)
        page.goto("/admin/users")
        page.wait_for_selector(f"nav a[href='{self._list}']")
        started = time.perf_counter()
        page.click(f"nav a[href='{self._list}']")
        page.wait_for_selector(self._row)
        times["route"] = _milliseconds(started)
        self._context.close()
        return times


def _milliseconds(since: float) -> float:
    return 1000 * (time.perf_counter() - since)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server", help="address of a running server")
    parser.add_argument("--collection", default="flights")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--email", default="admin@example.com")
    parser.add_argument("--password", default="password")
    arguments = parser.parse_args()
    login = {"email": arguments.email, "password": arguments.password}
    rounds: list[dict[str, float]] = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for _ in range(arguments.rounds):
            rounds.append(Visitor(chromium, arguments.server, login, arguments.collection).measure())
        chromium.close()
    for name in rounds[0]:
        values = [one[name] for one in rounds]
        print(f"{name:12} median {statistics.median(values):5.0f}   worst {max(values):5.0f}")


if __name__ == "__main__":
    main()
