"""Storage: one handle for a folder or a file, on this machine's disk or in a bucket of an S3-compatible object store.

A handle is an address, so it can be sent to any worker. Each process takes endpoint, region and credentials from its
own AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. No pickle, log or run
configuration contains them. Arrow reads and writes Parquet, delta-rs the logs of tables, and obstore everything else:
after deleting a file, Arrow would leave an empty object in place of its folder.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from errno import ENOENT
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from resources import bucket_lock
from resources.errors import TuttiError
from resources.files import publish

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.fs import FileSystem

BUCKET = "s3://"
LOCK = ".lock"
ARROW_TRIES = 6  # the last one is about ten seconds after the first
RETRIES, RETRY_S, BACKOFF_S, TIMEOUT_S = 10, 120, 10, 60  # of delta-rs and obstore
NO_METADATA = "http://127.0.0.1:1"  # keeps delta-rs and obstore from asking a cloud machine's metadata service
REFUSALS = {
    r"ACCESS_DENIED|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|INVALID_|SIGNATURE_|40[13] Forbidden": (
        "the object store refuses the credentials. Correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    ),
    r"NO_SUCH_BUCKET|NoSuchBucket": "the bucket does not exist. Create it, or correct the address",
    r"NETWORK_CONNECTION|error sending request|connect error|operation timed out": (
        NO_ANSWER := "the object store does not answer. Check AWS_ENDPOINT_URL and that it runs, then run this again"
    ),
}
"""Explanations of errors of Arrow, delta-rs and obstore, by a pattern of their text: they have no error codes."""
CONTROLS = re.compile(r"[\x00-\x1f\x7f]")  # control characters, which obstore refuses in names


class NoAnswer(TuttiError):
    """The object store does not answer; a later attempt may succeed."""


@dataclass(frozen=True)
class Stored:
    """A file as its folder lists it."""

    name: str
    bytes: int
    modified: float  # seconds since 1970; whole seconds in a bucket
    tag: str = field(default="", compare=False)  # in a bucket: changes with the content


@dataclass(frozen=True)
class Storage:
    """A folder or a file, by its absolute path or as s3://bucket/folder."""

    url: str

    @classmethod
    def at(cls, place: "str | Path | Storage") -> "Storage":
        """Return the handle of a place."""
        return place if isinstance(place, Storage) else cls(str(place).rstrip("/") or "/")

    @classmethod
    def from_environment(cls, variable: str, folder: Path) -> "Storage":
        """Return the place that an environment variable contains, which must be in a bucket, by default `folder`.

        Raises `TuttiError` if the value is not an address in a bucket.
        """
        if not (url := os.environ.get(variable)):
            return cls.at(folder)
        if not re.fullmatch(r"s3://[a-zA-Z0-9._-]+(/.*)?", url):
            shown = re.sub("//.*@", "//...@", url)  # hides credentials, which some programs accept there
            raise TuttiError(
                f"invalid {variable}: {shown}. Expected s3://bucket/folder; for a local folder set TUTTI_DATA_DIR."
            )
        return cls.at(url)

    def __truediv__(self, name: str) -> "Storage":
        return Storage(f"{self.url}/{name}")

    def __str__(self) -> str:
        return self.url

    def __fspath__(self) -> str:
        if self.remote:
            raise TypeError(f"{self.url} is in a bucket and cannot be used as a path")
        return self.url

    @property
    def remote(self) -> bool:
        """Return whether it is in a bucket, where nothing can be renamed or locked by the kernel."""
        return self.url.startswith(BUCKET)

    @property
    def path(self) -> str:
        """Return the place as Arrow names it: bucket/folder, or the path."""
        return self.url.removeprefix(BUCKET)

    @property
    def fs(self) -> "FileSystem":
        """Return Arrow's file system for the place."""
        return _arrow(*_service(self.url), os.getpid()) if self.remote else _local()

    @property
    def options(self) -> dict[str, str] | None:
        """Return delta-rs's options for the place, or None if it is on disk.

        In a bucket, delta-rs commits with a PUT that succeeds only if the version does not exist.
        """
        if not self.remote:
            return None
        endpoint, region, _ = _service(self.url)
        address = {"AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true"} if endpoint else {}
        retries = {"retry_timeout": f"{RETRY_S}s", "backoff_config.max_backoff": f"{BACKOFF_S}s"}
        retries |= {"max_retries": f"{RETRIES}", "timeout": f"{TIMEOUT_S}s"}
        return {"AWS_REGION": region, "AWS_METADATA_ENDPOINT": NO_METADATA, **address, **retries}

    def open(self) -> "pa.NativeFile":
        """Open a file for reading and seeking. Raises `FileNotFoundError`."""
        return self.fs.open_input_file(self.path)

    def read(self, name: str) -> bytes:
        """Return the content of a file. Raises `FileNotFoundError`."""
        if not self.remote:
            return self._local(name).read_bytes()
        with self.plain_errors(), (self / _inside(name)).open() as file:
            return file.read()

    def write(self, name: str, content: bytes | Path) -> None:
        """Write or replace a file atomically. On a disk, only one process at a time may write it."""
        if not self.remote:
            publish(self._local(name), [content if isinstance(content, bytes) else content.read_bytes()])
            return
        import obstore

        with self._bucket() as (store, prefix):
            obstore.put(store, f"{prefix}{_inside(name)}", content)

    def exists(self, name: str) -> bool:
        """Return whether a file exists."""
        return self.find(name) is not None if self.remote else self._local(name).exists()

    def find(self, name: str) -> Stored | None:
        """Return the entry of an object in a bucket, or None if it does not exist."""
        import obstore

        with self._bucket() as (store, prefix):
            try:
                return _stored(obstore.head(store, f"{prefix}{_inside(name)}"), prefix)
            except (FileNotFoundError, ValueError):  # ValueError: no object can have such a name
                return None

    def fetch(self, name: str, path: Path) -> Stored:
        """Copy an object of a bucket to a local file and return its entry. Raises `FileNotFoundError`."""
        import obstore

        with self._bucket() as (store, prefix), path.open("wb") as file:
            try:
                response = obstore.get(store, f"{prefix}{_inside(name)}")
            except ValueError:  # as in `find`
                raise FileNotFoundError(ENOENT, "No such object", name) from None
            for block in response.stream():
                file.write(block)
            return _stored(response.meta, prefix)

    def objects(self, below: str) -> list[Stored]:
        """List the objects in a folder of a bucket and its subfolders.

        Objects whose names have control characters or lead out of the folder are skipped.
        """
        from obstore.exceptions import InvalidPathError

        try:
            return list(self._listed(f"{_inside(below)}/"))
        except OSError as error:  # with one such name in the folder, obstore cannot list any
            if not isinstance(error.__cause__, InvalidPathError):
                raise
        from pyarrow.fs import FileSelector, FileType

        folder = (self / below).path
        with self.plain_errors():
            entries = self.fs.get_file_info(FileSelector(folder, recursive=True, allow_not_found=True))
        names = (file.path.removeprefix(f"{self.path}/") for file in entries if file.type == FileType.File)
        return [file for name in names if not CONTROLS.search(name) and (file := self.find(name))]

    def files(self) -> Iterator[Stored]:
        """Yield the files in a folder, without its subfolders; nothing if the folder does not exist."""
        if self.remote:
            yield from (file for file in self._listed() if "/" not in file.name)
            return
        with suppress(FileNotFoundError), os.scandir(self.url) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # removed in the meantime
                    if entry.is_file():
                        yield Stored(entry.name, entry.stat().st_size, entry.stat().st_mtime)

    def folders(self) -> list[str]:
        """List the names of a folder's direct subfolders."""
        if self.remote:
            import obstore

            with self._bucket() as (store, prefix):
                prefixes = obstore.list_with_delimiter(store, prefix)["common_prefixes"]
            return sorted(path.rsplit("/", 1)[-1] for path in prefixes)
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.url) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir())
        return []

    def names(self, below: str = "") -> list[str]:
        """List the names of all files in a folder and its subfolders, sorted, without lock files."""
        if self.remote:
            paths = (file.name for file in self._listed(f"{_inside(below)}/" if below else ""))
        else:
            files = (path for path in self._local(below).rglob("*") if path.is_file())
            paths = (path.relative_to(self.url).as_posix() for path in files)
        return sorted(name for name in paths if name.rsplit("/", 1)[-1] != LOCK)

    @contextmanager
    def lock(self, name: str, busy: Callable[[], object] = lambda: None) -> Iterator[None]:
        """Lock a folder against other writers. A killed process frees its lock, in a bucket after a minute.

        If another process holds the lock, calls `busy`, which may raise, and waits.
        """
        if self.remote:
            with ExitStack() as stack:
                with self._bucket() as (store, prefix):
                    stack.enter_context(bucket_lock.held(store, prefix + str(PurePosixPath(_inside(name), LOCK)), busy))
                try:
                    yield
                finally:
                    with self._bucket():
                        stack.close()
            return
        folder = self._local(name)
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            busy()
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, and folders that become empty. Files that do not exist are skipped."""
        if not self.remote:
            for name in names:
                path = self._local(name)
                path.unlink(missing_ok=True)
                for folder in path.relative_to(self.url).parents[:-1]:
                    try:
                        Path(self.url, folder).rmdir()
                    except OSError:  # not empty
                        break
        elif removed := list(names):
            import obstore

            with self._bucket() as (store, prefix):
                obstore.delete(store, [f"{prefix}{_inside(name)}" for name in removed])

    def _local(self, name: str) -> Path:
        """Return the path of a file or folder on this disk. Raises `ValueError` if the name leads out of this one."""
        return Path(self.url, _inside(name))

    @contextmanager
    def plain_errors(self) -> Iterator[None]:
        """Raise `TuttiError` with one line if the object store refuses a request or does not answer."""
        try:
            yield
        except TuttiError:
            raise
        except Exception as error:
            text = str(error) if self.remote else ""
            why = next((why for pattern, why in REFUSALS.items() if re.search(pattern, text)), None)
            if why is None:
                raise
            error_class = NoAnswer if why == NO_ANSWER else TuttiError
            raise error_class(f"{self.url}: {why}") from None  # the original error may contain the access key

    def _listed(self, below: str = "") -> Iterator[Stored]:
        """Yield the objects in a folder of a bucket and its subfolders, a page at a time."""
        import obstore

        with self._bucket() as (store, prefix):
            for page in obstore.list(store, f"{prefix}{below}"):
                for meta in page:
                    yield _stored(meta, prefix)

    @contextmanager
    def _bucket(self) -> Iterator[tuple[Any, str]]:
        """Yield obstore's client of the bucket and the prefix of the names of this folder's objects."""
        bucket, _, folder = self.path.partition("/")
        store = _obstore(bucket, *_service(self.url))
        from obstore.exceptions import BaseError

        with self.plain_errors():
            try:
                yield store, f"{folder}/" if folder else ""
            except BaseError as error:
                raise OSError(f"{self.url}: {error}") from error


def _inside(name: str) -> str:
    """Return a name of a file or folder. Raises `ValueError` if it leads out of the folder."""
    parts = PurePosixPath(name).parts
    if ".." in parts or parts[:1] == ("/",) or "\0" in name:
        raise ValueError(f"the name leads out of its folder: {name!r}")
    return name


def _stored(meta: Any, prefix: str) -> Stored:
    """Convert obstore's description of an object."""
    name, at = meta["path"].removeprefix(prefix), meta["last_modified"].timestamp()
    return Stored(name, meta["size"], at, meta["e_tag"] or "")


def _service(url: str) -> tuple[str | None, str, int]:
    """Return endpoint, region and a hash of the credentials. Raises `TuttiError` if there are no credentials."""
    get = os.environ.get
    key, secret = get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY")
    if not (key and secret):
        raise TuttiError(f"{url} needs credentials. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    endpoint = get("AWS_ENDPOINT_URL") or None  # None is Amazon's
    return endpoint, get("AWS_REGION") or "us-east-1", hash((key, secret, get("AWS_SESSION_TOKEN")))


@cache
def _local() -> "FileSystem":
    from pyarrow.fs import LocalFileSystem

    return LocalFileSystem()


@cache
def _arrow(endpoint: str | None, region: str, identity: int, process: int) -> "FileSystem":
    """Return Arrow's client. `process` makes it one per process: a fork would share its parent's connections."""
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")  # for the same reason as NO_METADATA
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

    return S3FileSystem(
        endpoint_override=endpoint,  # Arrow does not read AWS_ENDPOINT_URL
        region=region,
        allow_delayed_open=True,  # one request for a small file
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=ARROW_TRIES),
        connect_timeout=5,
        request_timeout=30,
    )


@cache
def _obstore(bucket: str, endpoint: str | None, region: str, identity: int) -> Any:
    try:
        from obstore.store import S3Store
    except ModuleNotFoundError:
        raise TuttiError("a bucket needs obstore. Install it with `make install-s3`") from None
    address: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
    return S3Store(
        bucket,
        region=region,
        metadata_endpoint=NO_METADATA,
        client_options={"allow_http": True, "timeout": timedelta(seconds=TIMEOUT_S)},
        retry_config={
            "max_retries": RETRIES,
            "retry_timeout": timedelta(seconds=RETRY_S),
            "backoff": {"max_backoff": timedelta(seconds=BACKOFF_S)},
        },
        **address,
    )
