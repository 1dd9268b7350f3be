"""Artifacts: results that are not tables, such as models, indexes and report pages, each in versions.

    derived/recommender/serving.json                   the version that readers get, and those before it
    derived/recommender/versions/<id>/manifest.json    written last: a version without one does not exist
    derived/recommender/versions/<id>/factors.npy      one file of the artifact

A version names the versions of the tables that it came from and the checksum of each file. It is a candidate until it
is promoted: replacing `serving.json` is one atomic step. Readers therefore never wait and never see half an artifact.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from resources.errors import TuttiError
from resources.storage import Storage

KEEP = 3  # versions of an artifact, beside the one that serves: enough to go back
TRIES = 5  # of a reader whose version was replaced and pruned while it read
SERVING, MANIFEST = "serving.json", "manifest.json"


class Missing(TuttiError):
    """No version of an artifact serves."""


class Damaged(TuttiError):
    """A file of an artifact is absent or differs from what was written."""


@dataclass(frozen=True)
class Artifact:
    """Files by name, and the version of each table or artifact that they came from; its own once it was written."""

    files: Mapping[str, bytes]
    inputs: Mapping[str, int | str] = field(default_factory=dict)
    version: str | None = None


@dataclass(frozen=True)
class Version:
    """One version of an artifact, as its manifest describes it."""

    id: str
    inputs: Mapping[str, int | str]
    personal: bool
    files: Mapping[str, str]  # SHA-256 by name
    size: int  # bytes
    written_at: str

    @classmethod
    def of(cls, artifact: Artifact, personal: bool) -> "Version":
        """Describe an artifact that is to be written."""
        files = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(artifact.files.items())}
        inputs = dict(sorted(artifact.inputs.items()))
        size = sum(map(len, artifact.files.values()))
        return cls(_id(inputs, personal, files), inputs, personal, files, size, datetime.now(UTC).isoformat())

    @classmethod
    def read(cls, content: bytes) -> "Version":
        """Read a manifest. Raises `ValueError` if it is damaged."""
        try:
            found = cls(**json.loads(content))
            whole = found.id == _id(found.inputs, found.personal, found.files)
        except (TypeError, AttributeError) as error:
            raise ValueError("not a manifest") from error
        if not whole:
            raise ValueError("the manifest differs from what was written")
        return found


@dataclass(frozen=True)
class Artifacts:
    """All artifacts below a folder, by name ("derived/recommender")."""

    store: Storage
    keep: int = KEEP

    def write(self, name: str, artifact: Artifact, personal: bool) -> Version:
        """Write a candidate, prune old versions, and return the version. The version that serves stays as it is.

        `personal` marks an artifact that holds data of listeners: an erasure removes it. The same files from the same
        inputs are the same version; if its stored files are damaged they are written again.
        """
        with self.store.lock(name):
            return self._write(name, artifact, personal)

    def publish(self, name: str, artifact: Artifact, personal: bool) -> Version:
        """Write a version and serve it at once, before another writer's turn."""
        with self.store.lock(name):
            version = self._write(name, artifact, personal)
            self._promote(name, version.id)
            return version

    def promote(self, name: str, id: str) -> None:
        """Serve a version from now on; an earlier one too, to go back. Raises `Damaged` if it cannot be read."""
        with self.store.lock(name):
            self._promote(name, id)

    def roll_back(self, name: str) -> str:
        """Serve the version that served before, and return its id. Raises `Missing` if there is none."""
        for id in self._pointer(name)[1:]:
            if not self._problem(name, id):
                self.promote(name, id)
                return id
        raise Missing(f"{name} has no earlier version to serve")

    def serving(self, name: str) -> str | None:
        """Return the id of the version that serves, if one does."""
        return next(iter(self._pointer(name)), None)

    def versions(self, name: str) -> list[Version]:
        """Return the versions whose manifests are whole, oldest first."""
        found = []
        for id in self._ids(name):
            try:
                found.append(self._version(name, id))
            except (FileNotFoundError, ValueError):
                continue
        return sorted(found, key=lambda version: (version.written_at, version.id))

    def candidate(self, name: str) -> Version | None:
        """Return the newest version, if it does not serve yet."""
        newest = self.versions(name)[-1:]
        return newest[0] if newest and newest[0].id != self.serving(name) else None

    def read(self, name: str, id: str | None = None) -> Artifact:
        """Read the version that serves, or the version `id`, whole.

        Raises `Missing` if no version serves, and `Damaged` if a file is absent or differs from what was written.
        """
        for _ in range(TRIES):
            wanted = id or self.serving(name)
            if wanted is None:
                raise Missing(f"no version of {name} serves: materialize it")
            try:
                version = self._version(name, wanted)
                return Artifact(dict(self._files(name, version)), version.inputs, wanted)
            except (FileNotFoundError, ValueError) as error:
                if id or wanted == self.serving(name):  # else it was replaced meanwhile
                    raise Damaged(f"{name} {wanted} is damaged: {_said(error)}. Materialize {name} again") from error
        raise Damaged(f"{name} is replaced faster than it can be read")

    def problems(self) -> dict[str, str]:
        """Return what is wrong with the version that serves, by artifact; whole artifacts are left out."""
        found: dict[str, str] = {}
        for name in self.all():
            try:
                id = self.serving(name)
            except Damaged:
                found[name] = f"{SERVING} is damaged"
                continue
            if id and (problem := self._problem(name, id)):
                found[name] = problem
        return found

    def all(self) -> list[str]:
        """Return the names of all artifacts, sorted."""
        return sorted({_name(file) for file in self.store.names()} - {""})

    def erase(self, personal: bool, mentions: Callable[[str], bool]) -> list[str]:
        """Remove artifacts with all their versions, and return their names.

        Those are removed that have a file that `mentions` somebody and, if `personal`, those not known to be free of
        personal data. They are rebuilt from tables without that person. Nobody else may use the store meanwhile.
        """
        removed = []
        for name in self.all():
            files = self.store.names(name)
            if (personal and self._personal(name)) or any(map(mentions, files)):
                self.store.remove(file for file in files if PurePosixPath(file).name in (SERVING, MANIFEST))
                self.store.remove(files)
                removed.append(name)
        return removed

    def _write(self, name: str, artifact: Artifact, personal: bool) -> Version:
        for file in artifact.files:
            parts = PurePosixPath(file).parts
            if "/".join(parts) != file or file == MANIFEST or any(part.startswith(".") for part in parts):
                raise ValueError(f"invalid name of a file in an artifact: {file!r}")
        version = Version.of(artifact, personal)
        folder = _folder(name, version.id)
        if self._problem(name, version.id):
            self.store.remove([f"{folder}/{MANIFEST}"])
            for file, content in artifact.files.items():
                self.store.write(f"{folder}/{file}", content)
        self.store.write(f"{folder}/{MANIFEST}", json.dumps(vars(version)).encode())  # it is now the newest
        self._prune(name, version.id)
        return version

    def _promote(self, name: str, id: str) -> None:
        if problem := self._problem(name, id):
            raise Damaged(f"{name} {id} cannot serve: {problem}. Materialize {name} again")
        before = [past for past in self._pointer(name) if past != id]
        self.store.write(f"{name}/{SERVING}", json.dumps([id, *before][: 1 + self.keep]).encode())

    def _personal(self, name: str) -> bool:
        """Whether any version is personal, or damaged so that nobody can know."""
        known = self.versions(name)
        return len(known) < len(self._ids(name)) or any(version.personal for version in known)

    def _ids(self, name: str) -> list[str]:
        parts = (PurePosixPath(file).relative_to(name).parts for file in self.store.names(f"{name}/versions"))
        return sorted({part[1] for part in parts})

    def _version(self, name: str, id: str) -> Version:
        version = Version.read(self.store.read(f"{_folder(name, id)}/{MANIFEST}"))
        if version.id != id:
            raise ValueError("the manifest is that of another version")
        return version

    def _files(self, name: str, version: Version) -> Iterator[tuple[str, bytes]]:
        """Read the files of a version. Raises `ValueError` at the first that differs from what was written."""
        for file, checksum in version.files.items():
            content = self.store.read(f"{_folder(name, version.id)}/{file}")
            if hashlib.sha256(content).hexdigest() != checksum:
                raise ValueError(f"{file} differs from what was written")
            yield file, content

    def _problem(self, name: str, id: str) -> str | None:
        """Return why a version cannot be read, or None."""
        try:
            for _ in self._files(name, self._version(name, id)):
                pass
        except (FileNotFoundError, ValueError) as error:
            return _said(error)
        return None

    def _pointer(self, name: str) -> list[str]:
        """Return the ids of the version that serves and of those before it; none if there is no pointer."""
        try:
            ids = json.loads(self.store.read(f"{name}/{SERVING}"))
        except FileNotFoundError:
            return []
        except ValueError:
            ids = None
        if not isinstance(ids, list) or not all(isinstance(id, str) for id in ids):
            raise Damaged(f"{name}/{SERVING} is damaged. Materialize {name} again")
        return ids

    def _prune(self, name: str, new: str) -> None:
        """Remove all but the newest versions, the one that serves and the new one, and what killed writers left."""
        try:
            serves = self.serving(name)
        except Damaged:
            self.store.remove([f"{name}/{SERVING}"])
            serves = None
        others = [version.id for version in self.versions(name) if version.id not in (serves, new)]
        kept = {serves, new, *others[max(0, len(others) - self.keep) :]}
        for id in self._ids(name):
            if id not in kept:
                folder = _folder(name, id)
                self.store.remove([f"{folder}/{MANIFEST}"])
                self.store.remove(self.store.names(folder))


def _id(inputs: Mapping[str, Any], personal: bool, files: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps([dict(inputs), personal, dict(files)], sort_keys=True).encode()).hexdigest()[:32]


def _folder(name: str, id: str) -> str:
    return f"{name}/versions/{id}"


def _name(file: str) -> str:
    """Return the artifact that a file belongs to; an empty text for a file of none."""
    parts = PurePosixPath(file).parts
    at = parts.index("versions") if "versions" in parts else len(parts) - 1 if parts[-1] == SERVING else 0
    return "/".join(parts[:at])


def _said(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{PurePosixPath(str(error.filename)).name} is missing"
    return str(error)
