"""Writing images: for each format the option names of the sharp API, and defaults that suit browsers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tabulary.core.images.arguments import Options

_TIFF_COMPRESSION = ("none", "jpeg", "deflate", "packbits", "ccittfax4", "lzw", "webp", "zstd")


def save(image: Any, target: Path, kind: str, options: Mapping[str, Any]) -> None:
    """Encode an image into a file, without any metadata. Raises :class:`InvalidOperation` for options out of range."""
    _ENCODERS[kind](image, str(target), Options(kind, options))


def _jpeg(image: Any, target: str, options: Options) -> None:
    subsample = options.choice("chromaSubsampling", ("4:2:0", "4:4:4"), "4:2:0")
    image.jpegsave(
        target,
        Q=options.whole("quality", 1, 100, 80),
        interlace=options.flag("progressive"),
        optimize_coding=options.flag("optimizeCoding", True),
        subsample_mode="off" if subsample == "4:4:4" else "auto",
        keep="none",
    )


def _png(image: Any, target: str, options: Options) -> None:
    quality = options.get("quality")
    palette = options.flag("palette", quality is not None)
    image.pngsave(
        target,
        compression=options.whole("compressionLevel", 0, 9, 6),
        interlace=options.flag("progressive"),
        palette=palette,
        Q=options.whole("quality", 1, 100, 100),
        effort=options.whole("effort", 1, 10, 7),
        keep="none",
    )


def _webp(image: Any, target: str, options: Options) -> None:
    image.webpsave(
        target,
        Q=options.whole("quality", 1, 100, 80),
        alpha_q=options.whole("alphaQuality", 0, 100, 100),
        lossless=options.flag("lossless"),
        near_lossless=options.flag("nearLossless"),
        smart_subsample=options.flag("smartSubsample"),
        effort=options.whole("effort", 0, 6, 4),
        keep="none",
    )


def _tiff(image: Any, target: str, options: Options) -> None:
    compression = options.choice("compression", _TIFF_COMPRESSION, "deflate" if image.hasalpha() else "jpeg")
    image.tiffsave(
        target,
        compression=compression,
        Q=options.whole("quality", 1, 100, 80),
        predictor="horizontal" if compression in ("deflate", "lzw", "zstd") else "none",
        keep="none",
    )


def _avif(image: Any, target: str, options: Options) -> None:
    image.heifsave(
        target,
        compression="av1",
        Q=options.whole("quality", 1, 100, 50),
        lossless=options.flag("lossless"),
        effort=options.whole("effort", 0, 9, 4),
        bitdepth=8,
        keep="none",
    )


_ENCODERS = {"jpeg": _jpeg, "png": _png, "webp": _webp, "tiff": _tiff, "avif": _avif}
