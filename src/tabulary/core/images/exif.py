"""EXIF: the tags in an image's block as plain values (spec files §3.8). Broken parts are left out, never raised."""

from __future__ import annotations

import math
import re
import struct
from datetime import datetime
from mmap import mmap
from typing import Any, Final

Groups = dict[str, dict[str, Any]]

_MOST_TAGS = 1000
_LONGEST = 65_536
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_LETTERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d"}
_MOMENT = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d)")
_POINTERS = {"ExifTag": "exif", "GPSTag": "gps", "InteroperabilityTag": "interop"}


def parse_exif(block: bytes | mmap) -> Groups:
    """The groups ``ifd0``, ``ifd1``, ``exif``, ``gps`` and ``interop``, as far as the block has them."""
    data = block[6:] if block[:6] == b"Exif\x00\x00" else block
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 8:
        return {}
    return _Block(data, order).groups()


class _Block:
    """A TIFF structure and a cursor-free way to read it; every place is visited once."""

    def __init__(self, data: bytes | mmap, order: str) -> None:
        self.data, self.order = data, order
        self.found: Groups = {}
        self.visited: set[int] = set()

    def groups(self) -> Groups:
        following = self._directory("ifd0", self._number("I", 4))
        if following:
            self._directory("ifd1", following)
        return self.found

    def _directory(self, name: str, place: int) -> int:
        """Read one directory and those that it points to; the place of the next one in the chain."""
        if place in self.visited or not 8 <= place <= len(self.data) - 2:
            return 0
        self.visited.add(place)
        count = min(self._number("H", place), _MOST_TAGS)
        names, tags = _NAMES.get(name, _IFD), {}
        for start in range(place + 2, min(place + 2 + 12 * count, len(self.data) - 11), 12):
            tag = names.get(self._number("H", start))
            value = self._value(start) if tag else None
            if tag and value is not None:
                tags[tag] = value
        if tags:
            self.found[name] = tags
        for pointer, group in _POINTERS.items():
            if isinstance(tags.get(pointer), int):
                self._directory(group, tags[pointer])
        after = place + 2 + 12 * count
        return self._number("I", after) if after + 4 <= len(self.data) else 0

    def _value(self, start: int) -> Any:
        kind, count = self._number("H", start + 2), self._number("I", start + 4)
        size = _SIZES.get(kind, 0) * count
        if not 0 < size <= _LONGEST:
            return None
        place = start + 8 if size <= 4 else self._number("I", start + 8)
        raw = self.data[place : place + size]
        if len(raw) < size:
            return None
        if kind == 2:
            return _text(raw)
        if kind == 7:
            return _undefined(raw)
        values = (
            self._rationals(raw, kind)
            if kind in (5, 10)
            else list(struct.unpack(f"{self.order}{count}{_LETTERS[kind]}", raw))
        )
        plain = [None if isinstance(v, float) and not math.isfinite(v) else v for v in values]
        return plain[0] if count == 1 else plain

    def _rationals(self, raw: bytes, kind: int) -> list[float | None]:
        letter = "I" if kind == 5 else "i"
        numbers = struct.unpack(f"{self.order}{len(raw) // 4}{letter}", raw)
        return [_divided(a, b) for a, b in zip(numbers[::2], numbers[1::2], strict=True)]

    def _number(self, letter: str, place: int) -> int:
        number: int = struct.unpack_from(f"{self.order}{letter}", self.data, place)[0]
        return number


def _divided(above: int, below: int) -> float | None:
    if not below:
        return None
    quotient = above / below
    return int(quotient) if quotient.is_integer() else quotient


def _text(raw: bytes) -> str:
    text = raw.split(b"\x00", 1)[0].decode("utf-8", "replace").strip()
    if found := _MOMENT.fullmatch(text):
        try:
            return datetime.fromisoformat(f"{found[1]}-{found[2]}-{found[3]}T{found[4]}").isoformat() + ".000Z"
        except ValueError:
            return text
    return text


def _undefined(raw: bytes) -> Any:
    """Bytes of no declared type: text where they are text, else the list of their numbers."""
    text = raw.removeprefix(b"ASCII\x00\x00\x00").rstrip(b"\x00 ")
    if text and all(32 <= byte < 127 for byte in text):
        return text.decode("ascii")
    return list(raw) if len(raw) <= 64 else None


def _table(text: str) -> dict[int, str]:
    words = text.split()
    return {int(number, 16): name for number, name in zip(words[::2], words[1::2], strict=True)}


_IFD: Final = _table(
    """
    fe NewSubfileType 100 ImageWidth 101 ImageLength 102 BitsPerSample 103 Compression 106
    PhotometricInterpretation 10e ImageDescription 10f Make 110 Model 111 StripOffsets 112 Orientation 115
    SamplesPerPixel 116 RowsPerStrip 117 StripByteCounts 11a XResolution 11b YResolution 11c PlanarConfiguration
    128 ResolutionUnit 12d TransferFunction 131 Software 132 DateTime 13b Artist 13c HostComputer 13e WhitePoint
    13f PrimaryChromaticities 201 JpegIFOffset 202 JpegIFByteCount 211 YCbCrCoefficients 212 YCbCrSubSampling
    213 YCbCrPositioning 214 ReferenceBlackWhite 4746 Rating 4749 RatingPercent 8298 Copyright 8769 ExifTag 8825
    GPSTag 9c9b XPTitle 9c9c XPComment 9c9d XPAuthor 9c9e XPKeywords 9c9f XPSubject
    """
)
_EXIF: Final = _table(
    """
    829a ExposureTime 829d FNumber 8822 ExposureProgram 8824 SpectralSensitivity 8827 ISOSpeedRatings 8828 OECF
    8829 Interlace 882a TimeZoneOffset 882b SelfTimerMode 8830 SensitivityType 8831 StandardOutputSensitivity
    8832 RecommendedExposureIndex 8833 ISOSpeed 8834 ISOSpeedLatitudeyyy 8835 ISOSpeedLatitudezzz 9000
    ExifVersion 9003 DateTimeOriginal 9004 DateTimeDigitized 9010 OffsetTime 9011 OffsetTimeOriginal 9012
    OffsetTimeDigitized 9101 ComponentsConfiguration 9102 CompressedBitsPerPixel 9201 ShutterSpeedValue 9202
    ApertureValue 9203 BrightnessValue 9204 ExposureBiasValue 9205 MaxApertureValue 9206 SubjectDistance 9207
    MeteringMode 9208 LightSource 9209 Flash 920a FocalLength 920d Noise 9211 ImageNumber 9212
    SecurityClassification 9213 ImageHistory 9216 TIFFEPStandardID 927c MakerNote 9286 UserComment 9290
    SubsecTime 9291 SubsecTimeOriginal 9292 SubsecTimeDigitized 9400 AmbientTemperature 9401 Humidity 9402
    Pressure 9403 WaterDepth 9404 Acceleration 9405 CameraElevationAngle a000 FlashPixVersion a001 ColorSpace
    a002 ExifImageWidth a003 ExifImageHeight a004 RelatedSoundFile a005 InteroperabilityTag a20b FlashEnergy
    a20c SpatialFrequencyResponse a20e FocalPlaneXResolution a20f FocalPlaneYResolution a210
    FocalPlaneResolutionUnit a214 SubjectLocation a215 ExposureIndex a217 SensingMethod a300 FileSource a301
    SceneType a302 CFAPattern a401 CustomRendered a402 ExposureMode a403 WhiteBalance a404 DigitalZoomRatio a405
    FocalLengthIn35mmFilm a406 SceneCaptureType a407 GainControl a408 Contrast a409 Saturation a40a Sharpness
    a40b DeviceSettingDescription a40c SubjectDistanceRange a420 ImageUniqueID a430 CameraOwnerName a431
    BodySerialNumber a432 LensSpecification a433 LensMake a434 LensModel a435 LensSerialNumber a460
    CompositeImage a461 CompositeImageCount a462 CompositeImageExposureTimes
    """
)
_GPS: Final = _table(
    """
    0 GPSVersionID 1 GPSLatitudeRef 2 GPSLatitude 3 GPSLongitudeRef 4 GPSLongitude 5 GPSAltitudeRef 6
    GPSAltitude 7 GPSTimeStamp 8 GPSSatellites 9 GPSStatus a GPSMeasureMode b GPSDOP c GPSSpeedRef d GPSSpeed e
    GPSTrackRef f GPSTrack 10 GPSImgDirectionRef 11 GPSImgDirection 12 GPSMapDatum 13 GPSDestLatitudeRef 14
    GPSDestLatitude 15 GPSDestLongitudeRef 16 GPSDestLongitude 17 GPSDestBearingRef 18 GPSDestBearing 19
    GPSDestDistanceRef 1a GPSDestDistance 1b GPSProcessingMethod 1c GPSAreaInformation 1d GPSDateStamp 1e
    GPSDifferential 1f GPSHPositioningError
    """
)
_INTEROP: Final = _table(
    """
    1 InteropIndex 2 InteropVersion 1000 RelatedImageFileFormat 1001 RelatedImageWidth 1002 RelatedImageHeight
    """
)
_NAMES: Final = {"exif": _EXIF, "gps": _GPS, "interop": _INTEROP}
