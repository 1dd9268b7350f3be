"""The eraser: it removes a listener from the lake and the landing folder, and keeps the records of others.

An import belongs to the listener if it was made for them, or if all its records are theirs. Such an import is removed,
and so is its landed file. A landed file that also has records of others is rewritten without the listener's records and
imported again, so that the ledger knows it. Before anything changes, the eraser stores a plan of these imports. A
killed erasure resumes from the plan. It stays until the last step, after which rebuilt tables have no older versions.
"""

import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path

import pyarrow as pa

from assets.imports.batch import import_landed
from assets.imports.ledger import IMPORTS, LANDING_COLUMNS, ReportDays, identify
from assets.imports.packing import enter_pack, is_pack
from resources.files import atomic_write
from resources.folders.landing import ARRIVING, Landing
from resources.lake.lake import Lake
from resources.privacy import files
from resources.privacy.person import Person
from resources.privacy.scanner import Scanner
from resources.privacy.tables import IMPORT, Removal, personal
from resources.pulls.listens import SERVICES
from resources.sources.readers.archive import Unreadable
from resources.text.counted import counted

LEDGER = "events/imports"
PLAN = ".erasing.json"  # in the data folder


@dataclass
class Plan:
    """The imports to remove, and the files to rewrite and import again."""

    removed: set[str] = field(default_factory=set)  # ids of imports that belong to the listener
    replaced: set[str] = field(default_factory=set)  # ids of imports of `files`, which are imported again
    files: set[str] = field(default_factory=set)  # paths below the landing folder
    names: set[str] = field(default_factory=set)  # file names of the listener's imports, which logs contain
    listeners: set[str] = field(default_factory=set)  # digests of the names of listeners who are being erased
    erased: set[str] = field(default_factory=set)  # digests of those whose data are removed, while tables are stale

    @classmethod
    def read(cls, data: Path) -> "Plan":
        """Return the plan of a killed erasure, or an empty one."""
        try:
            return cls(**{name: set(values) for name, values in json.loads((data / PLAN).read_bytes()).items()})
        except FileNotFoundError:
            return cls()

    def keep(self, data: Path) -> None:
        """Store the plan in the data folder."""
        with atomic_write(data / PLAN) as file:
            file.write(json.dumps({name: sorted(values) for name, values in asdict(self).items()}).encode())

    def removed_data(self, name: str) -> "Plan":
        """Return the plan once a listener's data are removed. It contains nothing that could name them."""
        erased = self.erased | {digest(name)}
        others = self.listeners - erased
        return replace(self, erased=erased) if others else Plan(listeners=self.listeners, erased=erased)

    @classmethod
    def end(cls, data: Path, name: str) -> None:
        """Remove a listener from the stored plan, since their erasure is done, or the plan if it has no other."""
        plan, of_listener = cls.read(data), {digest(name)}
        if plan.listeners - of_listener:
            replace(plan, listeners=plan.listeners - of_listener, erased=plan.erased - of_listener).keep(data)
            return
        (data / PLAN).unlink(missing_ok=True)
        (data / f"{PLAN}.draft").unlink(missing_ok=True)


def digest(name: str) -> str:
    """Return a hash of a listener's name, so that a plan does not contain the name."""
    return sha256(name.encode(errors="surrogateescape")).hexdigest()


@dataclass(frozen=True)
class Eraser:
    """Erases one listener from a lake and a landing folder."""

    scanner: Scanner
    lake: Lake
    landing: Landing
    schemas: Mapping[str, pa.Schema]  # declared schema of each table
    sort_keys: Mapping[str, Sequence[str]]
    log: Callable[[str], object]

    @property
    def person(self) -> Person:
        """The listener to erase."""
        return self.scanner.person

    def plan(self) -> Plan:
        """Return what to remove and what to import again, including the plan of a killed erasure."""
        plan, own = Plan.read(self.scanner.data), owned(self.person.name, self.lake, self.schemas)
        ledger = self._ledger()
        plan.removed |= own
        plan.names |= {str(row[n]) for row in ledger if row[IMPORT] in own for n in ("file", "landing_path") if row[n]}
        for path in self._landed():
            if self._pulled(path) or self._theirs(path, own) or not any(self.scanner.of_file(path)):
                continue
            name = path.relative_to(self.landing.root).as_posix()
            if name.split("/")[0] not in ARRIVING:  # such files are not imported
                continue
            plan.files.add(name)
            plan.replaced |= {str(row[IMPORT]) for row in ledger if row["landing_path"] == name}
        return plan

    def days(self, table: str, plan: Plan) -> list[date]:
        """Return the days on which rows of a dated table are removed."""
        days: set[date] = set()
        schema, removal = self.schemas[table], self._removal(table, plan)
        columns = [n for n in schema.names if n in {"day", IMPORT, *removal.columns}]
        for share in self.lake.scan(table, schema).select(columns).split():
            rows = share.table()
            days |= set(rows["day"].filter(pa.array(removal.going(rows))).unique().to_pylist())
        return sorted(days)

    def landed_files(self, plan: Plan) -> dict[str, str]:
        """Remove the listener from the landing folder. Return what was done to each file: "removed" or "rewritten"."""
        done: dict[str, str] = {}
        root = Path(self.landing.root)
        for path in self._landed():
            name = path.relative_to(root).as_posix()
            if files.is_draft(path):  # left by a killed erasure
                path.unlink()
            elif self._pulled(path) or self._theirs(path, plan.removed):
                path.unlink()
                done[name] = "removed"
            elif any(self.scanner.of_file(path)) and (outcome := files.remove_listener(path, self.person)):
                done[name] = outcome
        for service in SERVICES:
            folder = root / "listens" / service / self.person.folder
            for place, _, _ in os.walk(folder, topdown=False):
                Path(place).rmdir()
        return done

    def tables(self, plan: Plan) -> dict[str, int]:
        """Remove the listener from every table. Return the number of removed rows by table."""
        done = {}
        for table in self.lake.tables():
            schema = self.schemas.get(table)
            stored = schema if schema is not None else self._undeclared(table)
            removal = self._removal(table, plan, stored)
            if not (removal.columns or removal.imports):  # the table has no personal columns
                continue
            if removed := self.lake.rewrite(table, stored, removal, self.sort_keys.get(table, ())):
                done[table] = removed
                self.log(f"{table}: removed {counted(removed, 'rows')}")
        return done

    def reimport(self, plan: Plan, now: datetime, report: ReportDays) -> int:
        """Import the rewritten files again. Return the number of files."""
        landed = [self.landing.state_of(name) for name in sorted(plan.files)]
        visible = [file for file in landed if file and not Path(file.path).name.startswith(".")]
        for file in filter(lambda f: is_pack(f.path), visible):  # its records were imported from other files
            enter_pack(self.lake, identify(Path(self.landing.root, file.path), None), file, now)
        visible = [file for file in visible if not is_pack(file.path)]
        return sum(new for _, new in import_landed(self.landing, visible, None, self.lake, now, report, self.log))

    def _ledger(self) -> list[dict[str, object]]:
        columns = [IMPORT, "file", "listener", *LANDING_COLUMNS]
        rows: list[dict[str, object]] = self.lake.scan(LEDGER, IMPORTS).select(columns).table().to_pylist()
        return rows

    def _removal(self, table: str, plan: Plan, schema: pa.Schema | None = None) -> Removal:
        imports = plan.removed | plan.replaced if IMPORT in (schema or self.schemas[table]).names else set[str]()
        return Removal.of(schema or self.schemas[table], self.person, imports)

    def _undeclared(self, table: str) -> pa.Schema:
        """Return the schema of an undeclared table. Columns with names such as `user_id` count as personal."""
        stored = self.lake.stored(table)
        marked = [f.with_metadata({"personal": "yes"}) if self.person.identifies(f.name) else f for f in stored]
        return pa.schema([f.with_nullable(not self.person.identifies(f.name)) for f in marked])

    def _landed(self) -> list[Path]:
        """Return every file of the landing folder, including hidden ones."""
        paths = (Path(place, name) for place, _, names in os.walk(self.landing.root) for name in names)
        return sorted(path for path in paths if path.is_file())

    def _pulled(self, path: Path) -> bool:
        """Return whether a file was pulled from the listener's account at a service."""
        parts = path.relative_to(self.landing.root).parts
        return len(parts) > 3 and parts[0] == "listens" and parts[1] in SERVICES and parts[2] == self.person.folder

    def _theirs(self, path: Path, own: Collection[str]) -> bool:
        """Return whether a file is one of the imports in `own`, by its content."""
        try:
            return bool(own) and any(identify(path, listener) in own for listener in (self.person.name, None))
        except (Unreadable, OSError):
            return False


def end_time_travel(lake: Lake) -> None:
    """Remove all versions of every table but the newest. The caller must hold the exclusive lock of the lake."""
    for table in lake.tables():
        lake.drop_history(table)


def owned(name: str, lake: Lake, schemas: Mapping[str, pa.Schema]) -> set[str]:
    """Return the ids of imports that were made for a listener or whose records are all theirs."""
    import numpy as np
    import pyarrow.compute as pc

    own, shared = set[str](), set[str]()
    for table, schema in schemas.items():
        who = sorted(c for c in personal(schema) if c != "raw")
        if IMPORT not in schema.names or not who:
            continue
        for share in lake.scan(table, schema).select([IMPORT, *who]).split():
            rows = share.table()
            named, others = np.zeros(len(rows), bool), np.zeros(len(rows), bool)
            for column in who:
                hits = files.matches(rows[column], name)
                named |= hits
                others |= ~hits & pc.is_valid(rows[column]).to_numpy(zero_copy_only=False)
            own |= set(rows[IMPORT].filter(pa.array(named)).unique().to_pylist())
            shared |= set(rows[IMPORT].filter(pa.array(others & ~named)).unique().to_pylist())
    imports = lake.scan(LEDGER, IMPORTS).select([IMPORT, "listener"]).table().to_pylist()
    return (own - shared) | {row[IMPORT] for row in imports if row["listener"] == name}
