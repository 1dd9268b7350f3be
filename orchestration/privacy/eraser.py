"""Erasing: a person is taken out of the lake and the landing folder, and what others handed in with them is kept.

An import is the person's if it was made for them, or if its records are theirs and nobody else's: it goes, and so does
its file where that lies in the landing folder. A file with records of others is written anew without the person's and
taken in again, so that the ledger knows it. Which imports these are is written down before anything is changed: whoever
is killed finds it when started again, and it goes at the end.
"""

import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa

from assets.imports.batch import import_landed
from assets.imports.ledger import IMPORTS, LYING, Tell, identify
from assets.imports.packing import enter_pack, is_pack
from resources.files import whole
from resources.folders.landing import ARRIVING, Landing
from resources.lake.lake import Lake
from resources.privacy import files
from resources.privacy.person import Person
from resources.privacy.scanner import Scanner
from resources.privacy.tables import IMPORT, Removal, personal
from resources.pulls.listens import SERVICES
from resources.sources.readers.archive import Unreadable

LEDGER = "events/imports"
PLAN = ".erasing.json"  # in the data folder


@dataclass
class Plan:
    """The imports that go, and those that are taken in again of these files, written anew."""

    gone: set[str] = field(default_factory=set)
    again: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)  # below the landing folder
    names: set[str] = field(default_factory=set)  # of files imported for the person: logs tell of them by that

    @classmethod
    def read(cls, data: Path) -> "Plan":
        """What one that was killed had planned."""
        try:
            return cls(**{name: set(told) for name, told in json.loads((data / PLAN).read_bytes()).items()})
        except FileNotFoundError:
            return cls()

    def keep(self, data: Path) -> None:
        """Write it down."""
        with whole(data / PLAN) as file:
            file.write(json.dumps({name: sorted(told) for name, told in asdict(self).items()}).encode())

    @staticmethod
    def forget(data: Path) -> None:
        """It is done."""
        (data / PLAN).unlink(missing_ok=True)
        (data / f"{PLAN}.draft").unlink(missing_ok=True)


@dataclass(frozen=True)
class Eraser:
    """Who is erased, and from where."""

    scanner: Scanner
    lake: Lake
    landing: Landing
    schemas: Mapping[str, pa.Schema]  # by table, as declared
    orders: Mapping[str, Sequence[str]]
    tell: Callable[[str], object]

    @property
    def person(self) -> Person:
        """Who is erased."""
        return self.scanner.person

    def plan(self) -> Plan:
        """What goes and what is taken in again; of one that was killed, too."""
        plan, own = Plan.read(self.scanner.data), owned(self.person.name, self.lake, self.schemas)
        ledger = self._ledger()
        plan.gone |= own
        plan.names |= {str(row[n]) for row in ledger if row[IMPORT] in own for n in ("file", "landing_path") if row[n]}
        for path in self._landed():
            if self._pulled(path) or self._theirs(path, own) or not any(self.scanner.of_file(path)):
                continue
            name = path.relative_to(self.landing.root).as_posix()
            if name.split("/")[0] not in ARRIVING:  # nobody takes it in again
                continue
            plan.files.add(name)
            plan.again |= {str(row[IMPORT]) for row in ledger if row["landing_path"] == name}
        return plan

    def days(self, table: str, plan: Plan) -> list[date]:
        """The days of a dated table on which something goes."""
        found: set[date] = set()
        schema, removal = self.schemas[table], self._removal(table, plan)
        wanted = [n for n in schema.names if n in {"day", IMPORT, *removal.columns}]
        for share in self.lake.scan(table, schema).select(wanted).split():
            rows = share.table()
            found |= set(rows["day"].filter(pa.array(removal.going(rows))).unique().to_pylist())
        return sorted(found)

    def landed_files(self, plan: Plan) -> dict[str, str]:
        """Take the person out of the landing folder; what became of which file."""
        done: dict[str, str] = {}
        root = Path(self.landing.root)
        for path in self._landed():
            name = path.relative_to(root).as_posix()
            if files.is_draft(path):  # of one that was killed
                path.unlink()
            elif self._pulled(path) or self._theirs(path, plan.gone):
                path.unlink()
                done[name] = "removed"
            elif any(self.scanner.of_file(path)) and (what := files.take_out(path, self.person)):
                done[name] = what
        for service in SERVICES:
            folder = root / "listens" / service / self.person.folder
            for place, _, _ in os.walk(folder, topdown=False):
                Path(place).rmdir()
        return done

    def tables(self, plan: Plan) -> dict[str, int]:
        """Take the person out of every table; how many rows went of each."""
        done = {}
        for table in self.lake.tables():
            schema = self.schemas.get(table)
            stored = schema if schema is not None else self._undeclared(table)
            removal = self._removal(table, plan, stored)
            if not (removal.columns or removal.imports):  # it names nobody, and need not be read
                continue
            if gone := self.lake.rewrite(table, stored, removal, self.orders.get(table, ())):
                done[table] = gone
                self.tell(f"{table}: {gone:,} rows removed")
        return done

    def take_again(self, plan: Plan, now: datetime, tell: Tell) -> int:
        """Take in what was written anew; how many files."""
        found = [self.landing.look(name) for name in sorted(plan.files)]
        visible = [file for file in found if file and not Path(file.path).name.startswith(".")]
        for file in filter(lambda f: is_pack(f.path), visible):  # the records of which came by other files
            enter_pack(self.lake, identify(Path(self.landing.root, file.path), None), file, now)
        visible = [file for file in visible if not is_pack(file.path)]
        return sum(new for _, new in import_landed(self.landing, visible, None, self.lake, now, tell, self.tell))

    def _ledger(self) -> list[dict[str, object]]:
        columns = [IMPORT, "file", "listener", *LYING]
        rows: list[dict[str, object]] = self.lake.scan(LEDGER, IMPORTS).select(columns).table().to_pylist()
        return rows

    def _removal(self, table: str, plan: Plan, schema: pa.Schema | None = None) -> Removal:
        imports = plan.gone | plan.again if IMPORT in (schema or self.schemas[table]).names else set[str]()
        return Removal.of(schema or self.schemas[table], self.person, imports)

    def _undeclared(self, table: str) -> pa.Schema:
        """A table that no definition declares: columns count as personal whose names say who somebody is."""
        stored = self.lake.stored(table)
        marked = [f.with_metadata({"personal": "yes"}) if self.person.meant(f.name) else f for f in stored]
        return pa.schema([f.with_nullable(not self.person.meant(f.name)) for f in marked])

    def _landed(self) -> list[Path]:
        """Every file of the landing folder, hidden ones too."""
        found = (Path(place, name) for place, _, names in os.walk(self.landing.root) for name in names)
        return sorted(path for path in found if path.is_file())

    def _pulled(self, path: Path) -> bool:
        """Whether a file was pulled from a service as the person's."""
        parts = path.relative_to(self.landing.root).parts
        return len(parts) > 3 and parts[0] == "listens" and parts[1] in SERVICES and parts[2] == self.person.folder

    def _theirs(self, path: Path, own: Collection[str]) -> bool:
        """Whether a file is one that was imported for the person, whatever it says."""
        try:
            return bool(own) and any(identify(path, listener) in own for listener in (self.person.name, None))
        except (Unreadable, OSError):
            return False


def end_time_travel(lake: Lake) -> None:
    """Make the newest version of every table its oldest. Nobody else may be at work on the lake meanwhile."""
    for table in lake.tables():
        lake.forget(table)


def owned(name: str, lake: Lake, schemas: Mapping[str, pa.Schema]) -> set[str]:
    """The imports that are a person's alone."""
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
                hits = files.names(rows[column], name)
                named |= hits
                others |= ~hits & pc.is_valid(rows[column]).to_numpy(zero_copy_only=False)
            own |= set(rows[IMPORT].filter(pa.array(named)).unique().to_pylist())
            shared |= set(rows[IMPORT].filter(pa.array(others & ~named)).unique().to_pylist())
    told = lake.scan(LEDGER, IMPORTS).select([IMPORT, "listener"]).table().to_pylist()
    return (own - shared) | {row[IMPORT] for row in told if row["listener"] == name}
