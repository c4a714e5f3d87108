"""JSON in and out, in one place, so that the library behind it can change (today msgspec)."""

from __future__ import annotations

from typing import Any

import msgspec

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


def encode(value: Any) -> bytes:
    """Compact JSON. Datetimes, dates, UUIDs and decimals become text."""
    return _encoder.encode(value)


def decode(text: str | bytes | memoryview) -> Any:
    """The value of a JSON text.

    Raises ``ValueError`` for what is not JSON, including texts nested deeper than the interpreter can follow.
    """
    try:
        return _decoder.decode(text)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
