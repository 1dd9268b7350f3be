"""Generate damaged files and check that their parser reports all damage and loses no valid record."""

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

MAX_CPU_S = 20  # of a case: a thousand times as long as most take
MAX_MEMORY_BYTES = 256 << 20  # of a case: twice the limit of unpacking


class Case(NamedTuple):
    """A file for a parser, with the records that must be read from it as far as they are known."""

    parser: str
    name: str
    data: bytes
    required: Counter[str] = Counter()  # noqa: RUF012 (nobody changes it)
    min_results: int = 0  # records that must be parsed or reported as broken


class Hung(BaseException):
    """Raised in a case that exceeds MAX_CPU_S. Parsers do not catch it."""


def cases(seed: int, only: frozenset[str] = frozenset()) -> Iterator[Case]:
    """Yield damaged files indefinitely, the same for the same seed, beginning with bombs."""
    parsers = {name: parser for name, parser in PARSERS.items() if not only or name in only}
    yield from (Case(parser, bomb, data) for bomb, data in bombs().items() for parser in parsers)
    number = 0
    while True:
        dice = random.Random(f"{seed}/{number}")
        number += 1
        parser = dice.choice(list(parsers))
        sample, data = dice.choice(list(parsers[parser].samples.items()))
        name = f"case {number} of seed {seed}, {sample}"
        lines = _record_lines(parser, sample)
        if lines and dice.random() < 0.5:
            yield _with_damaged_record(dice, parser, name, data.split(b"\n"), dice.choice(list(lines.items())))
            continue
        for _ in range(dice.randrange(4)):
            data = dice.choice(TO_A_FILE)(dice, data) if data else data
        if parser == "exports" and dice.random() < 0.5:
            packing, pack = dice.choice([*PACKED.items(), *NESTED.items()])
            name, data = f"{name}, {packing}", pack(data)
        for _ in range(dice.randrange(3)):
            data = dice.choice(TO_BYTES)(dice, data) if data else data
        yield Case(parser, name, data)


def _with_damaged_record(
    dice: random.Random,
    parser: str,
    name: str,
    lines: list[bytes],
    damaged: tuple[int, tuple[Counter[str], int]],
) -> Case:
    """Return a file with one damaged record. All others must be read."""
    number, (others, results) = damaged
    line = lines[number].rstrip(b",")
    comma = lines[number][len(line) :]
    for _ in range(dice.randint(1, 2)):
        line = dice.choice(TO_A_RECORD)(dice, line).replace(b"\n", b"") or b"x"
    data = b"\n".join([*lines[:number], line + comma, *lines[number + 1 :]])
    if parser == "exports":
        packing, pack = dice.choice(list(PACKED.items()))
        name, data = f"{name}, {packing}", pack(data)
    return Case(parser, f"{name}, line {number + 1} of {len(lines)}", data, others, results)


@cache
def _record_lines(name: str, sample: str) -> Mapping[int, tuple[Counter[str], int]]:
    """Return the lines of a sample that are one record each, with the other records and the number of all records."""
    import tempfile

    parser, data = PARSERS[name], PARSERS[name].samples[sample]
    lines, result = data.split(b"\n"), {}
    with tempfile.TemporaryDirectory() as folder:
        all_records = _outcomes(parser, data, Path(folder, "x"))
        for n in range(len(lines)):
            try:
                rest = _outcomes(parser, b"\n".join([*lines[:n], *lines[n + 1 :]]), Path(folder, "x"))
            except parser.refuses:
                continue
            if "csv" in sample and not n:  # the first line determines the layout of a table
                continue
            if len(rest) == len(all_records) - 1 and not Counter(rest) - Counter(all_records):
                result[n] = Counter(r for r in rest if r != "None"), len(all_records)
    return result


def _outcomes(parser: Parser, data: bytes, path: Path) -> list[str]:
    path.write_bytes(data)
    return [repr(record) for record in parser.read(path)]


def fault_of(case: Case, path: Path) -> str | None:
    """Parse a case and return what its parser did wrong, or None."""
    parser = PARSERS[case.parser]
    records: list[str] = []
    try:
        with _bounded() as memory_bytes:
            records = _outcomes(parser, case.data, path)
    except parser.refuses as refusal:
        if "\n" in str(refusal):
            return f"refused in more than one line: {refusal}"
        if case.required:
            return f"the whole file is refused: {refusal}"
    except (Exception, Hung):
        return traceback.format_exc(limit=-6)
    if memory_bytes[0] > MAX_MEMORY_BYTES:
        return f"{memory_bytes[0] >> 20} MB of memory"
    if missing := case.required - Counter(records):
        return f"lost beside a broken record: {', '.join(missing)}"
    if len(records) < case.min_results:
        return f"{len(records)} of {case.min_results} records are parsed or reported"
    return None


@contextmanager
def _bounded() -> Iterator[list[int]]:
    """Raise `Hung` after MAX_CPU_S. Yield a list of one number: after the block, the most bytes it used."""

    def stop(*_: object) -> None:
        raise Hung

    memory_bytes = [0]
    handler = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, MAX_CPU_S)
    start = _memory("VmRSS", reset=True)
    try:
        yield memory_bytes
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)
        memory_bytes[0] = _memory("VmHWM") - start


def _memory(field: str, reset: bool = False) -> int:
    """Return the resident bytes of this process, now (VmRSS) or at most since the last reset (VmHWM).

    Return 0 if the kernel does not provide them.
    """
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith(field)), 0)
