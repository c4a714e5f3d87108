"""The clients of ``chaos.py``: what they do, what they were told, and whether the database agrees in the end."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import httpx2

TOKEN = "chaos-admin-token"
ADMIN = {"Authorization": f"Bearer {TOKEN}"}
CHILDREN = 3
"""How many nested items each item is made with."""
PARENTS, CHILDS = "chaos_parents", "chaos_children"
_KEY = {
    "field": "id", "type": "integer", "meta": {}, "schema": {"is_primary_key": True, "has_auto_increment": True},
}  # fmt: skip


@dataclass
class Ledger:
    """What clients were told."""

    parents: dict[int, set[str]] = field(default_factory=dict)
    """Items whose creation was acknowledged and whose deletion was not asked for → stamps of acknowledged updates."""
    deleted: set[int] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[float] = field(default_factory=list)
    """Moments of answers 5xx, or of none (``time.monotonic``)."""
    odd: list[str] = field(default_factory=list)
    """Answers 5xx other than 503 while things broke: allowed then, but worth a look."""
    calm: bool = False
    """Everything is whole again: from now on no request may fail."""
    wrong: list[str] = field(default_factory=list)

    @property
    def updates(self) -> int:
        return sum(len(stamps) for stamps in self.parents.values())


class Client:
    """One client. It changes only items that it has made itself. ``pause``: mean seconds between its requests."""

    def __init__(self, urls: list[str], ledger: Ledger, number: int, pause: float) -> None:
        self._ledger = ledger
        self._number = number
        self._pause = pause
        self._random = random.Random(number)
        self._mine: list[int] = []
        self._children: dict[int, list[int]] = {}
        self._clients = [httpx2.AsyncClient(base_url=url, headers=ADMIN, timeout=20) for url in urls]

    async def run(self, until: asyncio.Event) -> None:
        try:
            while not until.is_set():
                await self._random.choice((self._create, self._update, self._update, self._read, self._delete))()
                if self._pause:
                    await asyncio.sleep(self._random.uniform(0, 2 * self._pause))
        finally:
            for client in self._clients:
                await client.aclose()

    async def _ask(self, method: str, path: str, body: Any = None) -> httpx2.Response | None:
        """The answer; None when there was none or the server had a problem: the outcome is unknown then."""
        ledger, calm = self._ledger, self._ledger.calm
        try:
            answer = await self._random.choice(self._clients).request(method, path, json=body)
        except httpx2.TransportError as problem:
            if calm:
                ledger.wrong.append(f"{method} {path} failed after recovery: {problem!r}")
            ledger.answers["no answer"] += 1
        else:
            ledger.answers[str(answer.status_code)] += 1
            if answer.status_code < 500:
                return answer
            if calm:
                ledger.wrong.append(f"{method} {path}: {answer.status_code} after recovery: {answer.text}")
            elif answer.status_code != 503:
                ledger.odd.append(f"{method} {path}: {answer.status_code} {answer.text}")
        ledger.failures.append(time.monotonic())
        await asyncio.sleep(0.05)
        return None

    async def _create(self) -> None:
        tag = f"{self._number}-{uuid.uuid4().hex}"
        children = [{"text": f"{tag}-{n}"} for n in range(CHILDREN)]
        answer = await self._ask("POST", f"/items/{PARENTS}", {"tag": tag, "stamp": tag, "children": children})
        if answer is not None and self._expect(answer, 200):
            key = answer.json()["data"]["id"]
            self._ledger.parents[key] = {tag}
            self._children[key] = answer.json()["data"]["children"]
            self._mine.append(key)

    async def _update(self) -> None:
        """A new stamp, every other time for the children, too."""
        if not self._mine:
            return
        key, stamp = self._random.choice(self._mine), f"{self._number}-{uuid.uuid4().hex}"
        body: dict[str, Any] = {"stamp": stamp}
        if self._random.random() < 0.5:
            body["children"] = [{"id": child, "text": f"{stamp}-{n}"} for n, child in enumerate(self._children[key])]
        answer = await self._ask("PATCH", f"/items/{PARENTS}/{key}", body)
        if answer is not None and self._expect(answer, 200):
            self._ledger.parents[key].add(stamp)

    async def _delete(self) -> None:
        if len(self._mine) < 5:
            return
        key = self._mine.pop(0)
        answer = await self._ask("DELETE", f"/items/{PARENTS}/{key}")
        if answer is not None and self._expect(answer, 204):
            self._ledger.deleted.add(key)
        self._ledger.parents.pop(key)  # with or without an answer: nobody looks at it again

    async def _read(self) -> None:
        answer = await self._ask("GET", f"/items/{PARENTS}?limit=5&sort=-id&fields=id,stamp,children.text")
        if answer is not None and self._expect(answer, 200):
            self._ledger.wrong += [f"a read saw {item}" for item in answer.json()["data"] if not _is_whole(item)]

    def _expect(self, answer: httpx2.Response, status: int) -> bool:
        if answer.status_code != status:
            self._ledger.wrong.append(f"{answer.request.method} {answer.request.url.path}: {answer.text}")
        return answer.status_code == status


def _is_whole(item: dict[str, Any]) -> bool:
    """Whether an item has all of its children, and all of them what was written last."""
    return len(item["children"]) == CHILDREN and len({c["text"].rpartition("-")[0] for c in item["children"]}) == 1


async def prepare(url: str) -> None:
    """The two collections, related."""
    async with httpx2.AsyncClient(base_url=url, headers=ADMIN, timeout=60) as client:

        async def post(path: str, body: Any) -> None:
            answer = await client.post(path, json=body)
            if answer.status_code != 200:
                raise RuntimeError(f"{path}: {answer.text}")

        def of(name: str, kind: str) -> dict[str, Any]:
            return {"field": name, "type": kind, "schema": {}, "meta": {}}

        for name, fields in (
            (PARENTS, [_KEY, of("tag", "string"), of("stamp", "string")]),
            (CHILDS, [_KEY, of("text", "string"), of("parent", "integer")]),
        ):
            await post("/collections", {"collection": name, "schema": {}, "meta": {}, "fields": fields})
        await post(f"/fields/{PARENTS}", {"field": "children", "type": "alias", "meta": {"special": ["o2m"]}})
        relation = {"collection": CHILDS, "field": "parent", "related_collection": PARENTS}
        await post("/relations", {**relation, "schema": {"on_delete": "CASCADE"}, "meta": {"one_field": "children"}})


@dataclass
class Found:
    """What is in the database."""

    parents: dict[int, dict[str, Any]]
    acts: Counter[tuple[str, str, int]]
    """How often the activity tells of an action on an item."""
    stamps: dict[int, list[str]]
    """The stamps that each parent was given, in order, by its revisions."""
    loose: list[str]
    """Revisions without the activity row they belong to."""


async def look(url: str) -> Found:
    """Read it all. Raises ``RuntimeError`` when that is refused."""
    async with httpx2.AsyncClient(base_url=url, headers=ADMIN, timeout=300) as client:

        async def rows(path: str, fields: str, filtered: str = "") -> list[dict[str, Any]]:
            answer = await client.get(f"{path}?limit=-1&sort=id&fields={fields}{filtered}")
            if answer.status_code != 200:
                raise RuntimeError(f"{path}: {answer.text}")
            found: list[dict[str, Any]] = answer.json()["data"]
            return found

        parents = {row["id"]: row for row in await rows(f"/items/{PARENTS}", "id,stamp,children.id,children.text")}
        of_chaos = "&filter[collection][_starts_with]=chaos_"
        activity = await rows("/activity", "action,item,collection", of_chaos)
        revisions = await rows("/revisions", "id,item,delta,activity.item", f"&filter[collection][_eq]={PARENTS}")
    stamps: dict[int, list[str]] = defaultdict(list)
    for row in revisions:
        stamps[int(row["item"])].append(row["delta"]["stamp"])
    loose = [f"revision {row['id']}" for row in revisions if (row["activity"] or {}).get("item") != row["item"]]
    acts = Counter((row["action"], row["collection"], int(row["item"])) for row in activity)
    return Found(parents, acts, stamps, loose)


def judge(ledger: Ledger, found: Found) -> None:
    """Compare what is in the database with what clients were told, into ``ledger.wrong``."""
    wrong = ledger.wrong
    for key, acknowledged in ledger.parents.items():
        if key not in found.parents:
            wrong.append(f"the acknowledged item {key} is lost")
        wrong += [f"item {key}: the acknowledged update {s} is lost" for s in acknowledged - set(found.stamps[key])]
    gone = ledger.deleted & found.parents.keys()
    wrong += [f"item {key} is there although its deletion was acknowledged" for key in gone]
    for key, row in found.parents.items():
        _judge_item(wrong, found, key, row)
    wrong += [f"{revision} has no activity row" for revision in found.loose]
    made = Counter(collection for action, collection, _ in found.acts.elements() if action == "create")
    if made[CHILDS] != CHILDREN * made[PARENTS]:
        wrong.append(f"{made[PARENTS]} items and {made[CHILDS]} children were made, by their activity rows")
    for action, collection, key in found.acts:
        if collection == PARENTS and key not in found.parents and not found.acts["delete", PARENTS, key]:
            wrong.append(f"activity tells of {action} of {key}, which is not there")
        if collection == PARENTS and key in found.parents and action == "delete":
            wrong.append(f"activity tells of the deletion of {key}, which is there")


def _judge_item(wrong: list[str], found: Found, key: int, row: dict[str, Any]) -> None:
    """An item that is there: all of its children, and as many activity rows as changes."""
    if not _is_whole(row):
        wrong.append(f"item {key} is half written: {row['children']}")
    made, changed = found.acts["create", PARENTS, key], found.acts["update", PARENTS, key]
    stamps = found.stamps[key]
    if made != 1 or made + changed != len(stamps):
        wrong.append(f"item {key}: {made} + {changed} activity rows, {len(stamps)} revisions")
    if stamps and stamps[-1] != row["stamp"]:
        wrong.append(f"item {key} is {row['stamp']}, its last revision tells of {stamps[-1]}")
    for child in row["children"]:
        if found.acts["create", CHILDS, child["id"]] != 1:
            wrong.append(
                f"child {child['id']} has {found.acts['create', CHILDS, child['id']]} activity rows of its creation"
            )
