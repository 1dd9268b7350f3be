"""Wording: counts words to avoid in pages, help and descriptions, and long sentences in pages.

`python -m tests.docs.wording` lowers the limits in `wording.json` to what is counted now. Limits never rise.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TypeAlias

import click
import dagster as dg
from pydantic import BaseModel

from orchestration.cli.commands import COMMANDS, tutti
from tests.docs.pages import PAGES, PROJECT, prose, sentences, words
from tests.orchestration.support import platform

LIMITS = Path(__file__).with_name("wording.json")
LONGEST_SENTENCE = 25  # words
LONG_SENTENCE = "sentences over 25 words"
AVOID: Mapping[str, str] = {
    "told, tells": r"told|tell|tells|telling",
    "heard": r"heard|hears?",
    "taken in, handed in": r"(?:take|takes|taken|taking|took|hand|hands|handed) in(?! (?:seconds|minutes|hours))",
    "passed over": r"pass(?:es|ed)? over",
    "goes on": r"(?:go|goes|going|gone|went) on",
    "is away": r"(?:is|are|was|were) away",
    "lies": r"lies?|lay|lain|lying",
    "struck": r"struck|strikes?",
    "owed": r"owed|owes?",
    "gives way": r"(?:give|gives|given|gave) way",
    "a look": r"a look|look(?:s|ed|ing)? at",
    "door": r"(?:front|live) door|doors?",
    "rooms": r"rooms?",
    "anew, made again": r"anew|mak(?:e|es|ing) (?:\w+ )?again|made (?:\w+ )?again",
    "archaic": r"for ever|heed(?:s|ed|ing)?|upon|lest|of old|whoever|whomever|whom|is to be had",
    "is no": r"(?<!there )(?:is|are|was|were) (?:no|none)(?! (?:longer|more))",
    "those of, what is": r"(?:those|that) (?:of (?:which|what)|in which)|what (?:is|was|are|were) (?!new\b)",
    "where for if": r"where (?:the )?(?:source|sources|one|it|a source) (?:tells?|says?|has|knows?)",
    "she": r"she|hers?|herself",
    "British spelling": r"\w*(?:catalogue|neighbour|colour|behaviour|favourite|honour|centre)\w*"
    r"|analys(?:e|ed|er|ing)|(?:recogn|normal|organ|summar)is(?:e|es|ed|ing)",
}
PATTERNS = {name: re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE) for name, pattern in AVOID.items()}

Counts: TypeAlias = dict[str, dict[str, int]]


def texts() -> Iterator[tuple[str, str]]:
    """Yield everything that users read without running anything, each text with its place."""
    for page, text in PAGES.items():
        if page != "docs/assets.md":  # generated from the descriptions below
            yield page, prose(text)
    yield from (("help", text) for text in _help())
    yield from (("help", text) for text in re.findall(r"##(.*)$", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    yield from _descriptions(platform())


@cache
def count() -> Counts:
    """Return how often each place has each word to avoid, and how many long sentences each page has."""
    found: dict[str, Counter[str]] = {}
    for place, text in texts():
        counter = found.setdefault(place, Counter())
        counter.update({name: len(pattern.findall(text)) for name, pattern in PATTERNS.items()})
    for page, text in PAGES.items():
        if page in found:
            found[page][LONG_SENTENCE] = sum(words(each) > LONGEST_SENTENCE for each in sentences(text))
    counts = {place: {name: n for name, n in sorted(each.items()) if n} for place, each in sorted(found.items())}
    return {place: each for place, each in counts.items() if each}


def limits() -> Counts:
    """Return the most that each place may have."""
    found: Counts = json.loads(LIMITS.read_text())
    return found


def above(counts: Counts, most: Counts) -> list[str]:
    """Return a line for each count that is above its limit."""
    return [
        f"{place}: {name}: {n}, at most {most.get(place, {}).get(name, 0)}"
        for place, each in counts.items()
        for name, n in each.items()
        if n > most.get(place, {}).get(name, 0)
    ]


def _help() -> Iterator[str]:
    """Yield the help of every command and option."""
    context = click.Context(tutti)
    yield tutti.help or ""
    for name in COMMANDS:
        command = tutti.get_command(context, name)
        assert command
        yield command.help or ""
        yield from (option.help or "" for option in command.params if isinstance(option, click.Option))


def _descriptions(definitions: dg.Definitions) -> Iterator[tuple[str, str]]:
    """Yield the descriptions of assets, columns, checks, jobs, ops, sensors, schedules, resources and config fields."""
    for spec in definitions.resolve_all_asset_specs():
        yield "asset descriptions", spec.description or ""
        for column in spec.metadata["dagster/column_schema"].columns:
            yield "column descriptions", column.description or ""
    for checks in definitions.asset_checks or ():
        for check in getattr(checks, "check_specs", ()):
            yield "check descriptions", check.description or ""
    repository = definitions.get_repository_def()
    for each in (*repository.sensor_defs, *repository.schedule_defs):
        yield "sensor and schedule descriptions", each.description or ""
    for job in repository.get_all_jobs():
        yield "job descriptions", job.description or ""
        for node in job.all_node_defs:
            yield "job descriptions", node.description or ""
    for model in _models(BaseModel):
        yield from (("config field descriptions", field.description or "") for field in model.model_fields.values())


def _models(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield the classes of configuration that the platform declares."""
    for each in base.__subclasses__():
        if each.__module__.startswith(("assets.", "orchestration.", "resources.")):
            yield each
        yield from _models(each)


def main() -> None:
    """Lower the limits to what is counted now. Exits with 1 if something is above its limit."""
    counts, most = count(), limits() if LIMITS.exists() else None
    if most is not None and (wrong := above(counts, most)):
        sys.exit("\n".join(wrong))
    LIMITS.write_text(json.dumps(counts, indent=2) + "\n")


if __name__ == "__main__":
    main()
