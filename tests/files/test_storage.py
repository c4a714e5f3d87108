"""The storage drivers, all against the same expectations: the local disk and an object store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tabulary.core.errors import ConfigurationError
from tabulary.core.settings import Settings
from tabulary.core.storage import Driver, ObjectMissing, Storage, clean_path
from tabulary.core.storage.local import LocalDriver
from tabulary.core.storage.objects import ObjectDriver

obstore = pytest.importorskip("obstore")

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["local", "memory", "objects-on-disk", "s3"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Driver:
    if request.param == "local":
        return LocalDriver(tmp_path / "files")
    if request.param == "memory":
        return ObjectDriver(obstore.store.MemoryStore())
    if request.param == "s3":
        return Storage(Settings.of(**request.getfixturevalue("bucket"))).at("cloud")
    return ObjectDriver(obstore.store.LocalStore(str(tmp_path)), typed=False)


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def broken(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
    raise ValueError("the client went away")


async def content(driver: Driver, path: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in driver.read(path, start, end)])


async def paths(driver: Driver, prefix: str = "") -> list[str]:
    return sorted([path async for path in driver.paths(prefix)])


async def test_what_is_written_can_be_read(driver: Driver) -> None:
    assert await driver.write("a.txt", stream(b"Hello, ", b"world"), "text/plain") == 12
    assert await content(driver, "a.txt") == b"Hello, world"
    assert (await driver.stat("a.txt")).size == 12
    assert await driver.exists("a.txt")


async def test_an_empty_file_is_a_file(driver: Driver) -> None:
    assert await driver.write("empty", stream()) == 0
    assert await content(driver, "empty") == b""


@pytest.mark.parametrize(
    ("start", "end", "expected"), [(7, None, b"world"), (0, 5, b"Hello"), (7, 9, b"wo"), (0, 1, b"H")]
)
async def test_ranges(driver: Driver, start: int, end: int | None, expected: bytes) -> None:
    await driver.write("a.txt", stream(b"Hello, world"))
    assert await content(driver, "a.txt", start, end) == expected


async def test_large_content_comes_in_chunks(driver: Driver) -> None:
    block = bytes(range(256)) * 4096
    await driver.write("large", stream(block, block, block))
    assert await content(driver, "large") == block * 3
    assert (
        await content(driver, "large", len(block) - 3, len(block) + 3) == (block * 2)[len(block) - 3 : len(block) + 3]
    )


async def test_what_is_missing(driver: Driver) -> None:
    with pytest.raises(ObjectMissing):
        await driver.stat("nothing")
    with pytest.raises(ObjectMissing):
        await content(driver, "nothing")
    with pytest.raises(ObjectMissing):
        await driver.move("nothing", "elsewhere")
    assert not await driver.exists("nothing")
    await driver.delete("nothing")


async def test_a_broken_stream_leaves_what_was_there(driver: Driver) -> None:
    await driver.write("a.txt", stream(b"first"))
    with pytest.raises(ValueError, match="went away"):
        await driver.write("a.txt", broken(b"second, but not all"))
    assert await content(driver, "a.txt") == b"first"
    assert await paths(driver) == ["a.txt"]


async def test_moving_replaces(driver: Driver) -> None:
    await driver.write("a", stream(b"a"))
    await driver.write("deep/b", stream(b"b"))
    await driver.move("a", "deep/b")
    assert await content(driver, "deep/b") == b"a"
    assert await paths(driver) == ["deep/b"]


async def test_copying_keeps(driver: Driver) -> None:
    await driver.write("a", stream(b"a"))
    await driver.copy("a", "folder/b")
    assert await paths(driver) == ["a", "folder/b"]


async def test_listing_matches_the_beginning_of_the_path(driver: Driver) -> None:
    for path in ("ab__1.png", "ab.png", "abc__1.png", "x/ab__2.png", "ab__dir/in.png"):
        await driver.write(path, stream(b"."))
    assert await paths(driver, "ab__") == ["ab__1.png", "ab__dir/in.png"]
    assert await paths(driver, "x/ab__") == ["x/ab__2.png"]
    assert await paths(driver, "nowhere/") == []
    assert len(await paths(driver)) == 5


async def test_content_in_pieces(driver: Driver) -> None:
    assert await driver.append("up.bin", 0, stream(b"one ")) == 4
    assert await driver.append("up.bin", 4, stream(b"two ", b"three")) == 9
    assert not await driver.exists("up.bin")
    assert await paths(driver) == []
    await driver.finish("up.bin", "text/plain")
    assert await content(driver, "up.bin") == b"one two three"
    assert await paths(driver) == ["up.bin"]


async def test_pieces_that_break_off_are_kept_and_may_be_sent_again(driver: Driver) -> None:
    with pytest.raises(ValueError, match="went away"):
        await driver.append("up.bin", 0, broken(b"one "))
    await driver.append("up.bin", 4, stream(b"wrong"))
    await driver.append("up.bin", 4, stream(b"two"))
    await driver.finish("up.bin")
    assert await content(driver, "up.bin") == b"one two"


async def test_pieces_that_are_given_up(driver: Driver) -> None:
    await driver.append("up.bin", 0, stream(b"one"))
    await driver.discard("up.bin")
    with pytest.raises(ObjectMissing):
        await driver.finish("up.bin")
    assert not await driver.exists("up.bin")


async def test_pieces_of_nothing(driver: Driver) -> None:
    await driver.append("up.bin", 0, stream())
    await driver.finish("up.bin")
    assert await content(driver, "up.bin") == b""


async def test_leftovers_are_swept_up_when_they_are_old(driver: Driver) -> None:
    await driver.write("kept.bin", stream(b"kept"))
    await driver.write(".upload-0123456789abcdef.bin", stream(b"left"))
    await driver.append("up.bin", 0, stream(b"one"))
    now = datetime.now(UTC)
    assert await driver.sweep(now - timedelta(minutes=5)) == 0
    assert await driver.sweep(now + timedelta(minutes=5)) == 2
    assert await paths(driver) == ["kept.bin"]
    with pytest.raises(ObjectMissing):
        await driver.finish("up.bin")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a/b.txt", "a/b.txt"),
        ("../../etc/x", "etc/x"),
        ("sub/../dir/x", "dir/x"),
        ("/a", "a"),
        ("..\\a", "a"),
        ("a//b", "a/b"),
    ],
)
def test_paths_stay_below_the_root(given: str, expected: str) -> None:
    assert clean_path(given) == expected


@pytest.mark.parametrize("given", ["", "..", "/", "a\x00b", "a\nb", "x" * 256])
def test_what_is_no_path(given: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        clean_path(given)


async def test_nothing_is_read_from_outside(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    with pytest.raises(ObjectMissing):
        await content(LocalDriver(tmp_path / "files"), "../secret")


class TestLocations:
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        return Storage(
            Settings.of(STORAGE_LOCATIONS="disk,cloud", STORAGE_DISK_ROOT=str(tmp_path), STORAGE_CLOUD_DRIVER="s3")
        )

    def test_the_first_is_the_default(self, storage: Storage) -> None:
        assert storage.default == "disk"
        assert storage.names == ("disk", "cloud")
        assert "cloud" in storage
        assert "moon" not in storage

    async def test_options_go_to_the_driver(self, storage: Storage, tmp_path: Path) -> None:
        await storage.at("disk").write("a", stream(b"a"))
        assert (tmp_path / "a").read_bytes() == b"a"

    @pytest.mark.parametrize(
        ("settings", "text"),
        [
            ({"STORAGE_LOCATIONS": "a", "STORAGE_A_DRIVER": "floppy"}, "floppy"),
            ({"STORAGE_LOCATIONS": "a", "STORAGE_A_DRIVER": "s3"}, "BUCKET"),
        ],
    )
    def test_what_cannot_work(self, settings: dict[str, str], text: str) -> None:
        with pytest.raises(ConfigurationError, match=text):
            Storage(Settings.of(**settings)).at("a")

    @pytest.mark.parametrize("kind", ["s3", "gcs", "azure"])
    def test_object_stores_are_made_of_their_options(self, kind: str) -> None:
        options = {"BUCKET": "b", "CONTAINER_NAME": "c", "ACCOUNT_NAME": "n", "ACCOUNT_KEY": "a2V5", "KEY": "k",
                   "SECRET": "s", "ENDPOINT": "127.0.0.1:9", "ROOT": "/below/"}  # fmt: skip
        settings = {f"STORAGE_A_{name}": value for name, value in options.items()}
        made: Callable[[str], Driver] = Storage(
            Settings.of(STORAGE_LOCATIONS="a", STORAGE_A_DRIVER=kind, **settings)
        ).at
        assert made("a").lists_by_prefix

    async def test_started_work_is_waited_for(self, storage: Storage) -> None:
        done = []

        async def work() -> None:
            done.append(1)

        storage.start(work())
        await storage.drain()
        assert done == [1]
