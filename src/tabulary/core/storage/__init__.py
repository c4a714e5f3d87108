"""Where files are kept: one small protocol, a driver for the local disk, one for object stores (spec §3.12).

:class:`Storage` knows the locations of a Tabulary object by name and makes their drivers when they are first needed.
"""

from tabulary.core.storage.driver import (
    UNFINISHED,
    Driver,
    ObjectMissing,
    ReadOnlyStorage,
    Stat,
    StorageError,
    clean_path,
)
from tabulary.core.storage.locations import Storage

__all__ = [
    "UNFINISHED", "Driver", "ObjectMissing", "ReadOnlyStorage", "Stat", "Storage", "StorageError", "clean_path",
]  # fmt: skip
