"""Artifacts: results that are not tables, such as models, indexes and report pages, each in versions.

    derived/recommender/serving.json                   the served version, and those before it
    derived/recommender/versions/<id>/manifest.json    written last: a version without one does not exist
    derived/recommender/versions/<id>/factors.npy      one file of the artifact

A manifest contains the versions of the input tables and the checksum of each file. A version is a candidate until it is
promoted: replacing `serving.json` is one atomic step. Readers therefore never wait and never see half an artifact.
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

KEEP_VERSIONS = 3  # versions of an artifact that stay besides the served one, to roll back
TRIES = 5  # for a reader whose version was replaced and pruned while it read
SERVING, MANIFEST = "serving.json", "manifest.json"


class Missing(TuttiError):
    """No version of an artifact is served."""


class Damaged(TuttiError):
    """A file of an artifact is missing or differs from what was written."""


@dataclass(frozen=True)
class Artifact:
    """Files by name, the versions of the tables and artifacts that they were made from, and, if stored, its version."""

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
        """Return the manifest of an artifact before it is written."""
        files = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(artifact.files.items())}
        inputs = dict(sorted(artifact.inputs.items()))
        size = sum(map(len, artifact.files.values()))
        return cls(_id(inputs, personal, files), inputs, personal, files, size, datetime.now(UTC).isoformat())

    @classmethod
    def read(cls, content: bytes) -> "Version":
        """Read a manifest. Raises `ValueError` if it is damaged."""
        try:
            version = cls(**json.loads(content))
            intact = version.id == _id(version.inputs, version.personal, version.files)
        except (TypeError, AttributeError) as error:
            raise ValueError("not a manifest") from error
        if not intact:
            raise ValueError("the manifest differs from what was written")
        return version


@dataclass(frozen=True)
class Artifacts:
    """All artifacts below a folder, by name ("derived/recommender")."""

    store: Storage
    keep: int = KEEP_VERSIONS

    def write(self, name: str, artifact: Artifact, personal: bool) -> Version:
        """Write a candidate, prune old versions, and return the new version. The served version does not change.

        `personal` marks an artifact with data of listeners: an erasure removes it. The same files from the same inputs
        are the same version; damaged files of an existing version are written again.
        """
        with self.store.lock(name):
            return self._write(name, artifact, personal)

    def publish(self, name: str, artifact: Artifact, personal: bool) -> Version:
        """Write a version and serve it at once, under one lock."""
        with self.store.lock(name):
            version = self._write(name, artifact, personal)
            self._promote(name, version.id)
            return version

    def promote(self, name: str, version_id: str) -> None:
        """Serve a version from now on, new or old. Raises `Damaged` if it cannot be read."""
        with self.store.lock(name):
            self._promote(name, version_id)

    def roll_back(self, name: str) -> str:
        """Serve the previously served version, and return its id. Raises `Missing` if there is none."""
        for version_id in self._pointer(name)[1:]:
            if not self._problem(name, version_id):
                self.promote(name, version_id)
                return version_id
        raise Missing(f"{name} has no earlier version to serve")

    def serving(self, name: str) -> str | None:
        """Return the id of the served version, or None."""
        return next(iter(self._pointer(name)), None)

    def versions(self, name: str) -> list[Version]:
        """Return the versions with an intact manifest, oldest first."""
        versions = []
        for version_id in self._ids(name):
            try:
                versions.append(self._version(name, version_id))
            except (FileNotFoundError, ValueError):
                continue
        return sorted(versions, key=lambda version: (version.written_at, version.id))

    def candidate(self, name: str) -> Version | None:
        """Return the newest version if it is not the served one, otherwise None."""
        newest = self.versions(name)[-1:]
        return newest[0] if newest and newest[0].id != self.serving(name) else None

    def read(self, name: str, version_id: str | None = None) -> Artifact:
        """Read all files of the served version, or of the version `version_id`.

        Raises `Missing` if no version is served, and `Damaged` if a file is missing or differs from what was written.
        """
        for _ in range(TRIES):
            requested = version_id or self.serving(name)
            if requested is None:
                raise Missing(f"no version of {name} is served. Materialize {name}.")
            try:
                version = self._version(name, requested)
                return Artifact(dict(self._files(name, version)), version.inputs, requested)
            except (FileNotFoundError, ValueError) as error:
                if version_id or requested == self.serving(name):  # otherwise it was replaced in the meantime
                    raise Damaged(
                        f"{name} {requested} is damaged: {_reason(error)}. Materialize {name} again."
                    ) from error
        raise Damaged(f"{name} was replaced {TRIES} times while it was read. Try again.")

    def problems(self) -> dict[str, str]:
        """Return the reason by name for each artifact whose served version cannot be read."""
        reasons: dict[str, str] = {}
        for name in self.all():
            try:
                version_id = self.serving(name)
            except Damaged:
                reasons[name] = f"{SERVING} is damaged"
                continue
            if version_id and (problem := self._problem(name, version_id)):
                reasons[name] = problem
        return reasons

    def all(self) -> list[str]:
        """Return the names of all artifacts, sorted."""
        return sorted({_name(file) for file in self.store.names()} - {""})

    def erase(self, personal: bool, mentions: Callable[[str], bool]) -> list[str]:
        """Remove all versions of some artifacts, and return the artifacts' names.

        An artifact is removed if `mentions` is true for one of its files, or if `personal` is true and any version is
        personal or damaged. It can be rebuilt from tables without the listener. No other process may use the store
        meanwhile.
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
                raise ValueError(f"invalid name of a file in the artifact {name}: {file!r}")
        version = Version.of(artifact, personal)
        folder = _folder(name, version.id)
        if self._problem(name, version.id):
            self.store.remove([f"{folder}/{MANIFEST}"])
            for file, content in artifact.files.items():
                self.store.write(f"{folder}/{file}", content)
        self.store.write(f"{folder}/{MANIFEST}", json.dumps(vars(version)).encode())  # it is now the newest
        self._prune(name, version.id)
        return version

    def _promote(self, name: str, version_id: str) -> None:
        if problem := self._problem(name, version_id):
            raise Damaged(f"{name} {version_id} cannot be served: {problem}. Materialize {name} again.")
        before = [past for past in self._pointer(name) if past != version_id]
        self.store.write(f"{name}/{SERVING}", json.dumps([version_id, *before][: 1 + self.keep]).encode())

    def _personal(self, name: str) -> bool:
        """Return whether any version is personal, or has a damaged manifest."""
        versions = self.versions(name)
        return len(versions) < len(self._ids(name)) or any(version.personal for version in versions)

    def _ids(self, name: str) -> list[str]:
        parts = (PurePosixPath(file).relative_to(name).parts for file in self.store.names(f"{name}/versions"))
        return sorted({part[1] for part in parts})

    def _version(self, name: str, version_id: str) -> Version:
        version = Version.read(self.store.read(f"{_folder(name, version_id)}/{MANIFEST}"))
        if version.id != version_id:
            raise ValueError("the manifest is that of another version")
        return version

    def _files(self, name: str, version: Version) -> Iterator[tuple[str, bytes]]:
        """Read the files of a version. Raises `ValueError` at the first that differs from what was written."""
        for file, checksum in version.files.items():
            content = self.store.read(f"{_folder(name, version.id)}/{file}")
            if hashlib.sha256(content).hexdigest() != checksum:
                raise ValueError(f"{file} differs from what was written")
            yield file, content

    def _problem(self, name: str, version_id: str) -> str | None:
        """Return why a version cannot be read, or None."""
        try:
            for _ in self._files(name, self._version(name, version_id)):
                pass
        except (FileNotFoundError, ValueError) as error:
            return _reason(error)
        return None

    def _pointer(self, name: str) -> list[str]:
        """Return the ids of the served version and of those before it; empty if none was ever served."""
        try:
            ids = json.loads(self.store.read(f"{name}/{SERVING}"))
        except FileNotFoundError:
            return []
        except ValueError:
            ids = None
        if not isinstance(ids, list) or not all(isinstance(version_id, str) for version_id in ids):
            raise Damaged(f"{name}/{SERVING} is damaged. Materialize {name} again.")
        return ids

    def _prune(self, name: str, new: str) -> None:
        """Remove old versions and files of killed writers; keep the newest, the served and the new version."""
        try:
            serves = self.serving(name)
        except Damaged:
            self.store.remove([f"{name}/{SERVING}"])
            serves = None
        unserved = [version.id for version in self.versions(name) if version.id not in (serves, new)]
        retained = {serves, new, *unserved[max(0, len(unserved) - self.keep) :]}
        for version_id in self._ids(name):
            if version_id not in retained:
                folder = _folder(name, version_id)
                self.store.remove([f"{folder}/{MANIFEST}"])
                self.store.remove(self.store.names(folder))


def _id(inputs: Mapping[str, Any], personal: bool, files: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps([dict(inputs), personal, dict(files)], sort_keys=True).encode()).hexdigest()[:32]


def _folder(name: str, version_id: str) -> str:
    return f"{name}/versions/{version_id}"


def _name(file: str) -> str:
    """Return the artifact to which a file belongs, or an empty text."""
    parts = PurePosixPath(file).parts
    at = parts.index("versions") if "versions" in parts else len(parts) - 1 if parts[-1] == SERVING else 0
    return "/".join(parts[:at])


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{PurePosixPath(str(error.filename)).name} is missing"
    return str(error)
