"""Object stores by the one client for all of them, ``obstore``: S3 and what speaks like it, Google Cloud, Azure.

The extra ``s3`` (or ``gcs``, ``azure``: the same package) installs it. An upload that comes in pieces is kept as one
object a piece, named by its offset, until all are there: that works on every store and across processes.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabulary.core.errors import ConfigurationError
from tabulary.core.storage.driver import (
    CHUNK,
    UNFINISHED,
    ObjectMissing,
    ReadOnlyStorage,
    Stat,
    StorageError,
    clean_path,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    import obstore
    from obstore import exceptions, store
except ImportError:  # pragma: no cover - depends on the installation
    obstore = None  # type: ignore[assignment]

_PART_SIZE = 8 << 20


class ObjectDriver:
    """A location in an object store.

    Args:
        bucket: a store of ``obstore``.
        typed: whether objects carry the content type that they are served with.
        ordered: whether the store lists objects in the order of their names.
    """

    lists_by_prefix = True

    def __init__(self, bucket: Any, *, typed: bool = True, ordered: bool = False) -> None:
        self._store = bucket
        self._typed = typed
        self._ordered = ordered

    def local_path(self, path: str) -> Path | None:
        return None

    async def stat(self, path: str) -> Stat:
        with _translated():
            found = await obstore.head_async(self._store, _clean(path))
        return Stat(found["size"], found["last_modified"])

    async def exists(self, path: str) -> bool:
        try:
            await self.stat(path)
        except ObjectMissing:
            return False
        return True

    async def read(self, path: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        wanted: Any = {"range": (start, end)} if end is not None else {"range": {"offset": start}} if start else None
        with _translated():
            found = await obstore.get_async(self._store, _clean(path), options=wanted)
            async for chunk in found.stream(min_chunk_size=CHUNK):
                yield bytes(chunk)

    async def write(self, path: str, content: AsyncIterable[bytes], content_type: str | None = None) -> int:
        size = 0

        async def counted() -> AsyncIterator[bytes]:
            nonlocal size
            async for chunk in content:
                size += len(chunk)
                yield chunk

        attributes: Any = {"Content-Type": content_type} if content_type and self._typed else None
        with _translated():
            await obstore.put_async(
                self._store,
                _clean(path),
                counted(),
                attributes=attributes,
                use_multipart=True,
                chunk_size=_PART_SIZE,
                max_concurrency=2,
            )
        return size

    async def move(self, source: str, target: str) -> None:
        await self.copy(source, target)
        await self.delete(source)

    async def copy(self, source: str, target: str) -> None:
        with _translated():
            await obstore.copy_async(self._store, _clean(source), _clean(target))

    async def delete(self, path: str) -> None:
        try:
            with _translated():
                await obstore.delete_async(self._store, _clean(path))
        except ObjectMissing:
            pass

    async def paths(self, prefix: str = "") -> AsyncIterator[str]:
        async for path in self._names(prefix):
            if not path.startswith(UNFINISHED):
                yield path

    async def append(self, path: str, offset: int, content: AsyncIterable[bytes]) -> int:
        for piece in await self._pieces(path):
            if _offset(piece) >= offset:
                await self.delete(piece)
        arrived = 0
        async for block in _blocks(content, _PART_SIZE):
            await self.write(f"{_piece_folder(path)}{offset + arrived:020d}", _once(block))
            arrived += len(block)
        if not offset and not arrived:  # an upload of no bytes is one, too
            await self.write(f"{_piece_folder(path)}{0:020d}", _once(b""))
        return arrived

    async def finish(self, path: str, content_type: str | None = None) -> None:
        pieces = await self._pieces(path)
        if not pieces:
            raise ObjectMissing("Nothing has arrived")

        async def joined() -> AsyncIterator[bytes]:
            for piece in pieces:
                async for chunk in self.read(piece):
                    yield chunk

        await self.write(path, joined(), content_type)
        await self.discard(path)

    async def discard(self, path: str) -> None:
        for piece in await self._pieces(path):
            await self.delete(piece)

    async def sweep(self, before: datetime) -> int:
        count = 0
        async for path, changed in self._listed(UNFINISHED):
            if changed < before:
                await self.delete(path)
                count += 1
        return count

    async def _pieces(self, path: str) -> list[str]:
        return sorted([name async for name in self._names(_piece_folder(path))])

    async def _names(self, prefix: str) -> AsyncIterator[str]:
        async for path, _ in self._listed(prefix):
            yield path

    async def _listed(self, prefix: str) -> AsyncIterator[tuple[str, datetime]]:
        """Path and moment of the last change of what begins with the prefix."""
        # the library lists whole folders; a start and an early end make of that what the last part begins with
        with _translated():
            async for batch in obstore.list(self._store, prefix.rpartition("/")[0] or None, offset=prefix or None):
                for entry in batch:
                    if entry["path"].startswith(prefix):
                        yield entry["path"], entry["last_modified"]
                    elif self._ordered and entry["path"] > prefix:
                        return


def s3(options: Mapping[str, Any]) -> ObjectDriver:
    """The ``s3`` driver, with the option names of spec §3.12 in camel case."""
    _require()
    endpoint = options.get("endpoint")
    config = {
        "aws_access_key_id": options.get("key"),
        "aws_secret_access_key": options.get("secret"),
        "aws_region": options.get("region") or "us-east-1",
        "aws_endpoint": _with_scheme(endpoint),
        "aws_virtual_hosted_style_request": "false" if endpoint or options.get("forcePathStyle") else "true",
        "aws_server_side_encryption": options.get("serverSideEncryption"),
        "aws_sse_kms_key_id": options.get("serverSideEncryptionKmsKeyId"),
    }
    client = _client(options, plain_http=str(_with_scheme(endpoint) or "").startswith("http://"))
    return ObjectDriver(_made("s3", store.S3Store, _bucket(options, "bucket"), options, config, client), ordered=True)


def gcs(options: Mapping[str, Any]) -> ObjectDriver:
    """The ``gcs`` driver: a key file, or the machine's own identity."""
    _require()
    config = {"google_service_account": options.get("keyFilename")}
    return ObjectDriver(
        _made("gcs", store.GCSStore, _bucket(options, "bucket"), options, config, _client(options)), ordered=True
    )


def azure(options: Mapping[str, Any]) -> ObjectDriver:
    """The ``azure`` driver."""
    _require()
    config = {
        "azure_storage_account_name": options.get("accountName"),
        "azure_storage_account_key": options.get("accountKey"),
        "azure_storage_endpoint": _with_scheme(options.get("endpoint")),
    }
    container = _bucket(options, "containerName")
    return ObjectDriver(_made("azure", store.AzureStore, container, options, config, _client(options)), ordered=True)


def _require() -> None:
    if obstore is None:
        raise ConfigurationError('This storage driver needs the package "obstore": install "tabulary[s3]"')


def _bucket(options: Mapping[str, Any], name: str) -> str:
    if not options.get(name):
        setting = "".join(f"_{c}" if c.isupper() else c.upper() for c in name)
        raise ConfigurationError(f"Set STORAGE_<LOCATION>_{setting}: an object store needs it")
    return str(options[name])


def _client(options: Mapping[str, Any], plain_http: bool = False) -> dict[str, Any]:
    return {
        "connect_timeout": f"{int(options.get('connectionTimeout', 5000))}ms",
        "timeout": f"{int(options.get('socketTimeout', 120_000))}ms",
        "allow_http": plain_http,
    }


def _made(
    kind: str, factory: Any, bucket: str, options: Mapping[str, Any], config: Mapping[str, Any], client: Any
) -> Any:
    given = {name: str(value) for name, value in config.items() if value not in (None, "")}
    root = str(options.get("root") or "").strip("/")
    try:
        return factory(bucket, prefix=root or None, config=given, client_options=client)
    except Exception as problem:  # texts of the library may quote options, secrets among them
        raise ConfigurationError(f"The options of the {kind} storage cannot work; check STORAGE_*") from problem


def _with_scheme(endpoint: Any) -> str | None:
    if not endpoint:
        return None
    return str(endpoint) if "://" in str(endpoint) else f"https://{endpoint}"


@contextmanager
def _translated() -> Iterator[None]:
    """Exceptions of the library as ours."""
    try:
        yield
    except (FileNotFoundError, exceptions.NotFoundError) as problem:
        raise ObjectMissing("There is no such object") from problem
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as problem:
        raise ReadOnlyStorage("The storage refuses our credentials") from problem
    except exceptions.BaseError as problem:
        raise StorageError("The storage does not answer as it should") from problem


def _clean(path: str) -> str:
    try:
        return clean_path(path)
    except ValueError as problem:
        raise ObjectMissing(f"The path {problem}") from None


def _piece_folder(path: str) -> str:
    return f"{UNFINISHED}{_clean(path).replace('/', '-')}/"


def _offset(piece: str) -> int:
    return int(piece.rpartition("/")[2])


async def _once(block: bytes) -> AsyncIterator[bytes]:
    yield block


async def _blocks(content: AsyncIterable[bytes], size: int) -> AsyncIterator[bytes]:
    """A stream in blocks of about ``size`` bytes; what is left comes out even when the stream breaks off."""
    gathered = bytearray()
    failure: Exception | None = None
    try:
        async for chunk in content:
            gathered += chunk
            if len(gathered) >= size:
                yield bytes(gathered)
                gathered.clear()
    except Exception as problem:
        failure = problem
    if gathered:
        yield bytes(gathered)
    if failure is not None:
        raise failure
