"""The image engine on real pictures: geometry, colours, formats, metadata and limits."""

from __future__ import annotations

import asyncio
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyvips")
Image = pytest.importorskip("PIL.Image")

from tabulary.core.errors import ServiceUnavailable  # noqa: E402
from tabulary.core.images import Images, ImageTooLarge, InvalidOperation, OutOfTime, Recipe, UnreadableImage  # noqa: E402
from tabulary.core.images.colours import parse_colour  # noqa: E402
from tabulary.core.images.engine import Header  # noqa: E402
from tabulary.core.images.exif import parse_exif  # noqa: E402
from tabulary.core.images.metadata import allowed, metadata_of, parse_iptc  # noqa: E402
from tabulary.core.settings import Settings  # noqa: E402

pytestmark = pytest.mark.anyio

RED, BLUE = (255, 0, 0), (0, 0, 255)
Picture = Callable[..., Path]


@pytest.fixture
def picture(tmp_path: Path) -> Picture:
    """A picture whose left half is red and whose right half is blue, in any size and format."""

    def make(width: int = 40, height: int = 20, kind: str = "PNG", **options: Any) -> Path:
        image = Image.new("RGB", (width, height), RED)
        image.paste(BLUE, (width // 2, 0, width, height))
        place = tmp_path / f"source-{width}-{height}.{kind.lower()}"
        image.save(place, kind, **options)
        return place

    return make


@pytest.fixture
def images() -> Images:
    return Images(Settings.of())


async def made(images: Images, source: Path, *operations: list[Any], fallback: str = "png") -> Any:
    target = source.with_suffix(".out")
    await images.transform(source, target, Recipe.of(list(operations)), fallback)
    with Image.open(io.BytesIO(target.read_bytes())) as image:
        image.load()
        return image


def side(image: Any) -> list[str]:
    """Which colour is left and right of the centre."""
    pixels = image.convert("RGB")
    found = [pixels.getpixel((pixels.width * x // 16, pixels.height // 2)) for x in (4, 12)]
    return [
        "red" if p[0] > 127 > p[2] else "blue" if p[2] > 127 > p[0] else "black" if max(p) < 64 else "other"
        for p in found
    ]


@pytest.mark.parametrize(
    ("resize", "size"),
    [
        ({"width": 20}, (20, 10)),
        ({"height": 40}, (80, 40)),
        ({"width": 30, "height": 30}, (30, 30)),
        ({"width": 30, "height": 30, "fit": "contain"}, (30, 30)),
        ({"width": 30, "height": 30, "fit": "inside"}, (30, 15)),
        ({"width": 30, "height": 30, "fit": "outside"}, (60, 30)),
        ({"width": 30, "height": 30, "fit": "fill"}, (30, 30)),
        ({"width": 10, "fit": "fill"}, (10, 20)),
        ({"width": 80, "withoutEnlargement": True}, (40, 20)),
        ({"width": 10, "withoutReduction": True}, (40, 20)),
        ({"width": 10, "height": 10, "position": "entropy"}, (10, 10)),
    ],
)
async def test_sizes(images: Images, picture: Picture, resize: dict[str, Any], size: tuple[int, int]) -> None:
    assert (await made(images, picture(), ["resize", resize])).size == size


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
async def test_sources(images: Images, picture: Picture, kind: str) -> None:
    image = await made(images, picture(kind=kind), ["resize", {"width": 20}])
    assert image.size == (20, 10)
    assert side(image) == ["red", "blue"]


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        (["toFormat", "jpg", {"quality": 50}], "JPEG"),
        (["jpeg"], "JPEG"),
        (["webp", {"quality": 1}], "WEBP"),
        (["avif"], "AVIF"),
        (["tiff"], "TIFF"),
        (["png", {"quality": 50}], "PNG"),
    ],
)
async def test_formats(images: Images, picture: Picture, operation: list[Any], kind: str) -> None:
    image = await made(images, picture(), operation)
    assert (image.format, image.size) == (kind, (40, 20))
    assert side(image) == ["red", "blue"]


async def test_positions_of_a_crop(images: Images, picture: Picture) -> None:
    for position, expected in (("left", ["red", "red"]), ("right", ["blue", "blue"]), ("centre", ["red", "blue"])):
        image = await made(images, picture(), ["resize", {"width": 10, "height": 20, "position": position}])
        assert side(image) == expected


async def test_rotating_before_and_after_a_resize(images: Images, picture: Picture) -> None:
    before = await made(images, picture(), ["rotate", 90], ["resize", {"width": 5}])
    after = await made(images, picture(), ["resize", {"width": 20}], ["rotate", 90])
    assert before.size == (5, 10)
    assert after.size == (10, 20)


async def test_rotating_by_any_angle_fills_with_the_background(images: Images, picture: Picture) -> None:
    image = await made(images, picture(), ["rotate", 45, {"background": "#00ff00"}])
    assert image.size == (42, 42)
    assert image.convert("RGB").getpixel((1, 1)) == (0, 255, 0)


async def test_extracting_before_and_after_a_resize(images: Images, picture: Picture) -> None:
    region = {"left": 20, "top": 0, "width": 20, "height": 20}
    before = await made(images, picture(), ["extract", region], ["resize", {"width": 10}])
    after = await made(images, picture(), ["resize", {"width": 80}], ["extract", region])
    assert (before.size, side(before)) == ((10, 10), ["blue", "blue"])
    assert (after.size, side(after)) == ((20, 20), ["red", "red"])


async def test_mirrors(images: Images, picture: Picture) -> None:
    assert side(await made(images, picture(), ["flop"])) == ["blue", "red"]
    assert side(await made(images, picture(), ["flip"])) == ["red", "blue"]


async def test_padding(images: Images, picture: Picture) -> None:
    image = await made(images, picture(), ["extend", {"top": 3, "left": 2, "background": "#ffffff"}])
    assert image.size == (42, 23)
    assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


async def test_transparent_padding_adds_an_alpha_channel(images: Images, picture: Picture) -> None:
    resize = {"width": 20, "height": 20, "fit": "contain", "background": {"r": 0, "g": 0, "b": 0, "alpha": 0}}
    image = await made(images, picture(), ["resize", resize])
    assert image.mode == "RGBA"
    assert image.getpixel((0, 0))[3] == 0


async def test_trimming(images: Images, picture: Picture) -> None:
    assert (await made(images, picture(), ["trim"])).size == (20, 20)


@pytest.mark.parametrize(
    "operation",
    [
        ["median", 3], ["blur"], ["blur", 2], ["sharpen"], ["sharpen", {"sigma": 2}], ["gamma"], ["gamma", 2],
        ["negate"], ["negate", {"alpha": False}], ["normalise"], ["clahe", {"width": 3, "height": 3}], ["threshold"],
        ["linear", 0.5, 2], ["linear", [0.5, 1, 1], [1, 2, 3]], ["greyscale"], ["tint", "red"],
        ["modulate", {"hue": 90}],
        ["recomb", [[1, 0, 0], [0, 1, 0], [0, 0, 1]]], ["removeAlpha"], ["ensureAlpha", 0.5], ["extractChannel", "red"],
        ["convolve", {"width": 3, "height": 3, "kernel": [0, 0, 0, 0, 1, 0, 0, 0, 0]}], ["bandbool", "or"],
        ["toColourspace", "b-w"], ["flatten", {"background": "#fff"}],
    ],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "I;16", "CMYK"])
async def test_every_operation_takes_every_kind_of_picture(
    images: Images, tmp_path: Path, operation: list[Any], mode: str
) -> None:
    source = tmp_path / "source"
    grey = Image.new("L", (24, 16), 100)
    (Image.new(mode, (24, 16), 30_000) if mode == "I;16" else grey.convert(mode)).save(
        source, "TIFF" if mode == "CMYK" else "PNG"
    )
    assert (await made(images, source, operation)).size == (24, 16)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    "operations",
    [[["resize", {"width": 10}]], [["flatten"]], [["extract", {"left": 0, "top": 0, "width": 10, "height": 20}]]],
)
async def test_exif_orientation_is_applied(images: Images, tmp_path: Path, orientation: int, operations: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    width, height = (20, 40) if orientation < 5 else (40, 20)
    Image.new("RGB", (width, height), RED).save(tmp_path / "o.jpg", exif=exif)
    image = await made(images, tmp_path / "o.jpg", *operations)
    assert image.height == image.width * 2
    assert not image.getexif()


async def test_a_rotation_switches_orientation_off(images: Images, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20), RED).save(tmp_path / "o.jpg", exif=exif)
    assert (await made(images, tmp_path / "o.jpg", ["rotate", 0])).size == (40, 20)


@pytest.mark.parametrize(
    "operation",
    [
        ["explode"], ["resize", {"width": 0}], ["resize", {"width": -5}], ["resize", {"width": 1.5}],
        ["resize", {"width": "5"}], ["resize", {"width": 5, "fit": "nope"}], ["resize", {"width": True}],
        ["toFormat", "gif"], ["toFormat", "jpeg", {"quality": 0}], ["jpeg", {"quality": 101}], ["rotate", "x"],
        ["extract", {"left": 0}], ["extract", {"left": -1, "top": 0, "width": 1, "height": 1}], ["tint", "blurple"],
        ["median", 0], ["blur", 0.1], ["gamma", 9], ["threshold", 300], ["clahe", {}], ["recomb", [[1]]],
        ["convolve", {"width": 3, "height": 3, "kernel": [1]}], ["linear", [1, 2], [1]], ["bandbool", "xor"],
        ["ensureAlpha", 2], ["extractChannel", 9], ["toColourspace", "nope"], ["extend", {"top": -1}],
        ["normalise", {"lower": 50, "upper": 10}],
        [], ["resize", 5, None, "x"],
    ],
)  # fmt: skip
def test_operations_that_cannot_work(operation: list[Any]) -> None:
    with pytest.raises(InvalidOperation):
        Recipe.of([operation])


async def test_a_region_outside_of_the_picture(images: Images, picture: Picture) -> None:
    with pytest.raises(InvalidOperation, match="40 x 20"):
        await made(images, picture(), ["extract", {"left": 35, "top": 0, "width": 10, "height": 10}])


class TestLimits:
    async def test_a_bomb_is_not_decoded(self, images: Images, tmp_path: Path) -> None:
        """A PNG of a few hundred bytes that says it is 60000 x 60000."""

        def chunk(kind: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
        body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\x00" * 1000)) + chunk(b"IEND", b"")
        (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
        with pytest.raises(ImageTooLarge):
            await made(images, tmp_path / "bomb.png", ["resize", {"width": 10}])

    @pytest.mark.parametrize(
        "operation",
        [
            ["resize", {"width": 30_000}],
            ["resize", {"width": 16_000_000, "height": 1, "fit": "fill"}],
            ["resize", {"width": 20_000, "height": 20_000, "fit": "contain"}],
            ["extend", 20_000],
        ],
    )
    async def test_nothing_huge_is_made(self, images: Images, picture: Picture, operation: list[Any]) -> None:
        with pytest.raises(ImageTooLarge):
            await made(images, picture(), operation)

    async def test_work_stops_at_the_deadline(self, picture: Picture) -> None:
        images = Images(Settings.of(ASSETS_TRANSFORM_TIMEOUT="1s"))
        with pytest.raises(OutOfTime):
            await made(images, picture(3000, 3000), ["median", 301])

    async def test_only_so_much_at_a_time(self, picture: Picture) -> None:
        images = Images(Settings.of(ASSETS_TRANSFORM_MAX_CONCURRENT=2))
        source = picture(2000, 2000)
        work = [
            images.transform(source, source.with_suffix(f".{n}"), Recipe.of([["blur", 5]]), "png") for n in range(3)
        ]
        results = await asyncio.gather(*work, return_exceptions=True)
        assert [type(r) for r in results] == [type(None), type(None), ServiceUnavailable]
        await images.transform(source, source.with_suffix(".x"), Recipe.of([["flop"]]), "png")

    @pytest.mark.parametrize(
        "content", [b"", b"GARBAGE", b"\x89PNG\r\n\x1a\nbroken", b"\xff\xd8\xff\xe0broken", b"%!PS"]
    )
    async def test_what_is_no_picture(self, images: Images, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(UnreadableImage):
            await images.describe(tmp_path / "x")

    async def test_a_truncated_picture(self, images: Images, picture: Picture, tmp_path: Path) -> None:
        whole = picture(800, 800, "JPEG").read_bytes()
        (tmp_path / "t.jpg").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(UnreadableImage):
            await made(images, tmp_path / "t.jpg", ["resize", {"width": 700}])

    async def test_names_are_never_taken_apart(self, images: Images, picture: Picture, tmp_path: Path) -> None:
        odd = tmp_path / "a[page=3].png"
        odd.write_bytes(picture().read_bytes())
        assert (await images.describe(odd)).width == 40


class TestMetadata:
    @pytest.fixture
    def exif(self) -> Any:
        from PIL.TiffImagePlugin import IFDRational

        exif = Image.Exif()
        exif[0x010F], exif[0x0110], exif[0x0132], exif[0x0112] = "Canon  ", "EOS", "2020:01:02 03:04:05", 6
        inner = exif.get_ifd(0x8769)
        inner[0x829D], inner[0x829A], inner[0x8827] = IFDRational(28, 10), IFDRational(1, 125), 100
        exif.get_ifd(0x8825)[2] = (48.0, 12.0, 3.5)
        return exif

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
    async def test_exif(self, images: Images, picture: Picture, exif: Any, kind: str) -> None:
        header = await images.describe(picture(kind=kind, exif=exif))
        tree = metadata_of(header)
        assert tree["ifd0"]["Model"] == "EOS"
        assert tree["ifd0"]["DateTime"] == "2020-01-02T03:04:05.000Z"
        if kind == "TIFF":  # what made the picture writes no more there
            return
        assert tree["exif"]["FNumber"] == 2.8
        assert tree["exif"]["ExposureTime"] == 0.008
        assert tree["gps"]["GPSLatitude"] == [48, 12, 3.5]

    async def test_the_size_is_that_of_the_turned_picture(self, images: Images, picture: Picture, exif: Any) -> None:
        header = await images.describe(picture(kind="JPEG", exif=exif))
        assert (header.width, header.height) == (20, 40)

    def test_the_list_of_what_is_kept(self) -> None:
        tree = {"ifd0": {"Make": " Canon ", "Model": "EOS"}, "exif": {"FNumber": 2.8}}
        assert allowed(tree, ["ifd0.Make", "exif.Nothing", "gps.GPSLatitude"]) == {"ifd0": {"Make": "Canon"}}
        assert allowed(tree, ["*"])["exif"] == {"FNumber": 2.8}
        assert allowed({}, ["*"]) == {}

    def test_iptc(self) -> None:
        def dataset(number: int, text: bytes) -> bytes:
            return bytes((0x1C, 2, number)) + len(text).to_bytes(2, "big") + text

        block = dataset(0, b"\x00\x02") + dataset(105, b"Headline") + dataset(25, b"one") + dataset(25, b"two")
        assert parse_iptc(block) == {"headline": "Headline", "keywords": ["one", "two"]}

    @pytest.mark.parametrize(
        "block",
        [b"", b"Exif\x00\x00", b"Exif\x00\x00MM\x00*\xff\xff\xff\xff", b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff"],
    )
    def test_broken_blocks_are_no_error(self, block: bytes) -> None:
        assert metadata_of(Header(1, 1, parse_exif(block), block, block, block)) == {}

    def test_a_circle_of_directories_ends(self) -> None:
        circle = b"II*\x00\x08\x00\x00\x00" + b"\x01\x00" + struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<I", 8)
        assert parse_exif(circle) == {"ifd0": {"ExifTag": 8}}

    def test_xmp_without_entities(self) -> None:
        packet = (
            '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
            '<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title><rdf:Alt><rdf:li>T</rdf:li></rdf:Alt></dc:title>'
            "<dc:subject><rdf:Bag><rdf:li>a</rdf:li><rdf:li>b</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"
        )
        assert metadata_of(Header(1, 1, {}, None, packet.encode(), None))["xmp"] == {
            "title": "T",
            "subject": ["a", "b"],
        }
        bomb = '<!DOCTYPE x [<!ENTITY a "aaaa">]>' + packet
        assert metadata_of(Header(1, 1, {}, None, bomb.encode(), None)) == {}


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("red", (255, 0, 0, 1)),
        ("#fff", (255, 255, 255, 1)),
        ("#ff000080", (255, 0, 0, 128 / 255)),
        ("rgba(1, 2, 3, 50%)", (1, 2, 3, 0.5)),
        ({"r": 1, "g": 300, "alpha": 0}, (1, 255, 0, 0)),
        ("transparent", (0, 0, 0, 0)),
    ],
)
def test_colours(text: Any, colour: tuple[float, ...]) -> None:
    assert parse_colour(text) == colour
