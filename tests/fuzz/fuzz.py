"""One case after the other: a sound file is damaged, and whatever reads such files must tell what is left of it."""

import random
import signal
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.damage import NESTED, PACKED, TO_A_FILE, TO_A_RECORD, TO_BYTES, bombs
from tests.fuzz.parsers import PARSERS, Parser

SECONDS = 20  # of CPU time that a case may take: a thousand times as long as most do
MEMORY = 256 << 20  # bytes that a case may ask for: what unpacking may, twice


class Case(NamedTuple):
    """A file, and what must be found in it, as far as that is known: records, and how many are told of at least."""

    parser: str
    says: str
    data: bytes
    found: Counter[str] = Counter()  # noqa: RUF012 (nobody changes it)
    told: int = 0


class Hung(BaseException):
    """A case that does not end; no parser takes it for damage."""


def cases(seed: int, only: frozenset[str] = frozenset()) -> Iterator[Case]:
    """Damaged files without end, the same for the same seed; bombs come first."""
    parsers = {name: parser for name, parser in PARSERS.items() if not only or name in only}
    yield from (Case(parser, what, data) for what, data in bombs().items() for parser in parsers)
    number = 0
    while True:
        dice = random.Random(f"{seed}/{number}")
        number += 1
        name = dice.choice(list(parsers))
        sample, data = dice.choice(list(parsers[name].samples.items()))
        says = f"case {number} of seed {seed}, {sample}"
        lines = _apart(name, sample)
        if lines and dice.random() < 0.5:
            yield _beside(dice, name, says, data.split(b"\n"), dice.choice(list(lines.items())))
            continue
        for _ in range(dice.randrange(4)):
            data = dice.choice(TO_A_FILE)(dice, data) if data else data
        if name == "exports" and dice.random() < 0.5:
            way, pack = dice.choice([*PACKED.items(), *NESTED.items()])
            says, data = f"{says}, {way}", pack(data)
        for _ in range(dice.randrange(3)):
            data = dice.choice(TO_BYTES)(dice, data) if data else data
        yield Case(name, says, data)


def _beside(
    dice: random.Random, name: str, says: str, lines: list[bytes], hurt: tuple[int, tuple[Counter[str], int]]
) -> Case:
    """A file of which one record is damaged: the others must be found."""
    number, (others, told) = hurt
    line = lines[number].rstrip(b",")
    comma = lines[number][len(line) :]
    for _ in range(dice.randint(1, 2)):
        line = dice.choice(TO_A_RECORD)(dice, line).replace(b"\n", b"") or b"x"
    data = b"\n".join([*lines[:number], line + comma, *lines[number + 1 :]])
    if name == "exports":
        way, pack = dice.choice(list(PACKED.items()))
        says, data = f"{says}, {way}", pack(data)
    return Case(name, f"{says}, line {number + 1} of {len(lines)}", data, others, told)


@cache
def _apart(name: str, sample: str) -> Mapping[int, tuple[Counter[str], int]]:
    """The lines of a sample that are records of their own, each with what the others hold and how many there are."""
    import tempfile

    parser, data = PARSERS[name], PARSERS[name].samples[sample]
    lines, found = data.split(b"\n"), {}
    with tempfile.TemporaryDirectory() as folder:
        whole = _outcomes(parser, data, Path(folder, "x"))
        for n in range(len(lines)):
            try:
                rest = _outcomes(parser, b"\n".join([*lines[:n], *lines[n + 1 :]]), Path(folder, "x"))
            except parser.refuses:
                continue
            if "csv" in sample and not n:  # what a table is called by its headings, or is taken for by its first byte
                continue
            if len(rest) == len(whole) - 1 and not Counter(rest) - Counter(whole):
                found[n] = Counter(r for r in rest if r != "None"), len(whole)
    return found


def _outcomes(parser: Parser, data: bytes, path: Path) -> list[str]:
    path.write_bytes(data)
    return [repr(each) for each in parser.read(path)]


def wrong(case: Case, path: Path) -> str | None:
    """What is wrong with how a case is read, if anything."""
    parser = PARSERS[case.parser]
    found: list[str] = []
    try:
        with _bounded() as took:
            found = _outcomes(parser, case.data, path)
    except parser.refuses as refusal:
        if "\n" in str(refusal):
            return f"refused in more than a line: {refusal}"
        if case.found:
            return f"refused whole: {refusal}"
    except (Exception, Hung):
        return traceback.format_exc(limit=-6)
    if took[0] > MEMORY:
        return f"{took[0] >> 20} MB"
    if missing := case.found - Counter(found):
        return f"lost beside a broken record: {', '.join(missing)}"
    if len(found) < case.told:
        return f"{case.told} records, {len(found)} told of"
    return None


@contextmanager
def _bounded() -> Iterator[list[int]]:
    """Raise `Hung` where this takes too long; the bytes that were asked for inside, at most, once it has ended."""

    def stop(*_: object) -> None:
        raise Hung

    took = [0]
    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    began = _memory("VmRSS", afresh=True)
    try:
        yield took
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        took[0] = _memory("VmHWM") - began


def _memory(what: str, afresh: bool = False) -> int:
    """Resident bytes of this process, now or at most (since it was last asked afresh); 0 where no kernel tells."""
    try:
        if afresh:
            Path("/proc/self/clear_refs").write_text("5")
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith(what)), 0)
