"""Measure precision and recall of matching on misspelled names: `python -m tests.benchmarks.matching`.

The names are recordings of the sandbox. If the folder TUTTI_SAMPLES has `hetrec_lastfm2k/artists.dat`, also 17,632 real
artist names, each with one song. A fifth of the names is left out of the catalog, so any match of these is wrong. Names
are misspelled in many ways by a seeded generator. Names at even positions serve to choose rules and thresholds, names
at odd positions to evaluate them.

A misspelled name counts only if it has a definite answer. Its edit distance to the original is smaller than to any
other name, left out or not, and the catalog has one recording of that name.
"""

import argparse
import os
import random
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from anyascii import anyascii
from rapidfuzz.distance import OSA
from rapidfuzz.process import cdist

from assets.content.recordings import RECORDINGS
from assets.events.imports import RAW_LISTENS
from assets.events.recording_matches import RECORDING_MATCHES, recording_matches
from resources.engines.pandas import PandasEngine
from resources.sandbox import catalog, performers
from resources.text.names import is_exact_word, normalize, parse_name
from tests.tables import LEAP, at, raw, table
from tests.transformations import with_keys

LEFT_OUT_SHARE = 0.2  # of the names, missing from the catalog
MIN_PRECISION, MIN_RECALL = 0.99, 0.95
LETTERS = "abcdefghijklmnopqrstuvwxyz"
MARKS = {"a": "á", "e": "é", "i": "í", "o": "ó", "u": "ü", "c": "ç", "n": "ñ", "s": "š"}
SPELLED_OUT = {"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "æ": "ae", "ß": "ss"}

Pair = tuple[str, str]
Spelling = Callable[[Pair, random.Random], Pair | None]


@dataclass(frozen=True)
class NamedRecording:
    """A recording, its artist and title, and whether it is in the catalog."""

    id: str
    pair: Pair
    in_catalog: bool


@dataclass
class Tally:
    """Counts of the answers for names with one kind of misspelling."""

    correct: int = 0
    wrong: int = 0
    missed: int = 0
    correctly_unmatched: int = 0

    @property
    def precision(self) -> float:
        return self.correct / (self.correct + self.wrong) if self.correct + self.wrong else 1.0

    @property
    def recall(self) -> float:
        matchable = self.correct + self.missed
        return self.correct / matchable if matchable else 1.0

    def add(self, other: "Tally") -> None:
        self.correct += other.correct
        self.wrong += other.wrong
        self.missed += other.missed
        self.correctly_unmatched += other.correctly_unmatched


def typo(text: str, rng: random.Random) -> str | None:
    """Insert, drop, replace or swap a letter, but not in numbers or words of one letter."""
    words = text.split(" ")
    candidates = [n for n, w in enumerate(words) if w.isalpha() and w.isascii() and not is_exact_word(w.lower())]
    if not candidates or sum(len(w) for w in words) < 5:
        return None
    n = rng.choice(candidates)
    word, i = words[n], rng.randrange(len(words[n]))
    letter = rng.choice(LETTERS)
    kind = rng.randrange(4)
    changed = {
        0: word[:i] + letter + word[i:],
        1: word[:i] + word[i + 1 :],
        2: word[:i] + letter + word[i + 1 :],
        3: word[:i] + word[i : i + 2][::-1] + word[i + 2 :],
    }[kind]
    words[n] = changed
    return " ".join(words) if changed.lower() != word.lower() and len(changed) > 1 else None


def _both(change: Callable[[str, random.Random], str | None]) -> Spelling:
    def spell(pair: Pair, rng: random.Random) -> Pair | None:
        artist, title = (change(name, rng) for name in pair)
        return None if artist is None and title is None else (artist or pair[0], title or pair[1])

    return spell


def _one(change: Callable[[str, random.Random], str | None], side: int) -> Spelling:
    def spell(pair: Pair, rng: random.Random) -> Pair | None:
        changed = change(pair[side], rng)
        if changed is None:
            return None
        return (changed, pair[1]) if side == 0 else (pair[0], changed)

    return spell


def _marked(name: str, rng: random.Random) -> str | None:
    candidates = [i for i, c in enumerate(name) if c in MARKS]
    i = rng.choice(candidates) if candidates else -1
    return name[:i] + MARKS[name[i]] + name[i + 1 :] if candidates else None


def _unmarked(name: str, rng: random.Random) -> str | None:
    plain = "".join(unicodedata.normalize("NFKD", c)[0] if "LATIN" in unicodedata.name(c, "") else c for c in name)
    return plain if plain != name else None


def _spelled_out(name: str, rng: random.Random) -> str | None:
    spelled = "".join(
        SPELLED_OUT.get(c, SPELLED_OUT.get(c.lower(), c).capitalize() if c.lower() in SPELLED_OUT else c) for c in name
    )
    return spelled if spelled != name else None


def _transliterated(name: str, rng: random.Random) -> str | None:
    latin = anyascii(name)
    return latin if latin != name and sum(c.isalpha() and not c.isascii() for c in name) > 2 else None


def _wide(name: str, rng: random.Random) -> str | None:
    wide = "".join(chr(ord(c) + 0xFEE0) if c.isascii() and c.isalnum() else c for c in name)
    return wide if wide != name else None


def _quoted(name: str, rng: random.Random) -> str | None:
    changed = name.replace("'", "’").replace("-", "‐").replace("...", "…")
    return changed if changed != name else name.replace(" ", "  ") + " "


def _unpunctuated(name: str, rng: random.Random) -> str | None:
    plain = " ".join("".join(c for c in name if c not in "'’.,!?:;\"").split())
    return plain if plain and plain != name else None


def _article_last(name: str, rng: random.Random) -> str | None:
    return f"{name[4:]}, The" if name.lower().startswith("the ") and len(name) > 4 else None


def _no_article(name: str, rng: random.Random) -> str | None:
    return name[4:] if name.lower().startswith("the ") and len(name) > 4 else None


def _ampersand(name: str, rng: random.Random) -> str | None:
    for a, b in ((" & ", " and "), (" and ", " & "), (" + ", " & ")):
        if a in name:
            return name.replace(a, b)
    return None


def _after(*suffixes: str) -> Callable[[str, random.Random], str | None]:
    return lambda name, rng: name + rng.choice(suffixes)


GUEST = ("feat. Quentin Zabriskie", "ft. Quentin Zabriskie", "featuring Quentin Zabriskie")
SPELLINGS: dict[str, Spelling] = {
    "unchanged": lambda pair, rng: pair,
    "case": lambda pair, rng: (pair[0].upper(), pair[1].lower()),
    "quotes, dashes, white space": _both(_quoted),
    "without punctuation": _both(_unpunctuated),
    "full-width letters": _both(_wide),
    "decomposed letters": lambda pair, rng: (
        unicodedata.normalize("NFD", pair[0]),
        unicodedata.normalize("NFD", pair[1]),
    ),
    "an additional diacritic": _one(_marked, 0),
    "without diacritics": _one(_unmarked, 0),
    "diacritics spelled out": _one(_spelled_out, 0),
    "transliterated": _one(_transliterated, 0),
    "article last": _both(_article_last),
    "without article": _one(_no_article, 0),
    "& and and": _one(_ampersand, 0),
    "a guest of the artist": _one(_after(*(f" {g}" for g in GUEST)), 0),
    "a guest in the title": _one(_after(*(f" ({g})" for g in GUEST), " [with Quentin Zabriskie]"), 1),
    "remaster": _one(
        _after(" - 2011 Remaster", " (Remastered)", " - Remastered 2009", " [2015 Remastered Version]"), 1
    ),
    "explicit, album version": _one(_after(" [Explicit]", " (Album Version)", " - Album Version"), 1),
    "live": _one(_after(" (Live)", " - Live", " (Live at Ullevi 1985)", " [Live]"), 1),
    "a typo in the artist": _one(typo, 0),
    "a typo in the title": _one(typo, 1),
    "a typo in each": _both(typo),
}


def _renumbered(name: str, rng: random.Random) -> str | None:
    """Replace a digit, so that the name is that of another recording."""
    digits = [i for i, c in enumerate(name) if c.isdigit()]
    if not digits:
        return None
    i = rng.choice(digits)
    return name[:i] + rng.choice([d for d in "123456789" if d != name[i]]) + name[i + 1 :]


def sandbox() -> list[NamedRecording]:
    """Return the recordings of the sandbox."""
    rng = random.Random(1)
    recordings = performers.recordings(catalog.works(), 7)
    return [NamedRecording(r.id, (r.credited, r.work.title), rng.random() >= LEFT_OUT_SHARE) for r in recordings]


def hetrec(folder: Path) -> list[NamedRecording]:
    """Return real artists, each with one song of the same title, so that only the artist differs."""
    rng = random.Random(1)
    lines = (folder / "hetrec_lastfm2k" / "artists.dat").read_text("utf-8").splitlines()[1:]
    names = dict.fromkeys(line.split("\t")[1].strip() for line in lines)
    return [
        NamedRecording(f"artist {n}", (name, "Song"), rng.random() >= LEFT_OUT_SHARE)
        for n, name in enumerate(names)
        if name
    ]


def measure(
    recordings: Sequence[NamedRecording], per_kind: int, odd: bool, sides: Sequence[int] = (0, 1)
) -> dict[str, Tally]:
    """Match `per_kind` names of each kind of misspelling and count the answers by kind."""
    rng = random.Random(2)
    shared = defaultdict(set)
    for k in recordings:
        shared[parse_name(*k.pair).recording_key].add(k.id)
    queries: list[tuple[str, NamedRecording | None, Pair]] = []
    pool = [k for n, k in enumerate(recordings) if n % 2 == odd and len(shared[parse_name(*k.pair).recording_key]) == 1]
    for kind, spelling in SPELLINGS.items():
        if kind in ("a typo in the title", "a typo in each") and 1 not in sides:
            continue
        rng.shuffle(pool)
        spelled = ((k, p) for k in pool if (p := spelling(k.pair, rng)) is not None)
        queries += [(kind, k, p) for (k, p), _ in zip(spelled, range(per_kind), strict=False)]
    queries = list(_definite(queries, recordings))
    names = {normalize("\x1f".join(k.pair)) for k in recordings}
    for side in sides:
        other = _one(_renumbered, side)
        spelled = ((k, p) for k in pool if (p := other(k.pair, rng)) is not None)
        queries += [
            ("another number", None, p)
            for (_, p), _ in zip(spelled, range(per_kind), strict=False)
            if normalize("\x1f".join(p)) not in names
        ]
    answers = matched(recordings, [pair for _, _, pair in queries])
    tallies: dict[str, Tally] = defaultdict(Tally)
    for kind, original, pair in queries:
        tally, answer = tallies[kind], answers[pair]
        if original is not None and original.in_catalog:
            tally.correct += answer == original.id
            tally.missed += answer != original.id
            tally.wrong += answer not in (original.id, None)
        else:
            tally.wrong += answer is not None
            tally.correctly_unmatched += answer is None
    return tallies


def matched(recordings: Sequence[NamedRecording], pairs: Sequence[Pair]) -> dict[Pair, str | None]:
    """Return the recording that the asset matches to each name, or None if it is unmapped."""
    engine = PandasEngine()
    rows = [
        dict.fromkeys(RECORDINGS.names)
        | {
            "recording_id": k.id,
            "title": k.pair[1],
            "artist_credit": k.pair[0],
            "artist_ids": [],
            "isrcs": [],
            "provenance": "",
        }
        for k in recordings
        if k.in_catalog
    ]
    listens = [raw(at(LEAP), n, artist_name=a, recording_name=t) for n, (a, t) in enumerate(dict.fromkeys(pairs))]
    frames = engine.from_arrow(table(listens, RAW_LISTENS)), engine.from_arrow(table(rows, RECORDINGS))
    matches = with_keys(recording_matches)(*frames, span=(LEAP, LEAP)).collect(RECORDING_MATCHES).to_pylist()
    return {
        (r["artist_name"], r["recording_name"]): None if r["rule"] == "unmapped" else r["recording_id"] for r in matches
    }


def _definite(
    queries: Sequence[tuple[str, NamedRecording, Pair]], recordings: Sequence[NamedRecording]
) -> Iterator[tuple[str, NamedRecording, Pair]]:
    """Yield the queries whose names are nearer to their original than to any other name."""

    def letters(pair: Pair) -> str:
        return parse_name(*pair).any_version_key

    texts = [letters(k.pair) for k in recordings]
    place = {k.id: n for n, k in enumerate(recordings)}
    step = 500
    for start in range(0, len(queries), step):
        part = queries[start : start + step]
        distances = cdist([letters(p) for _, _, p in part], texts, scorer=OSA.distance, score_cutoff=4, dtype=np.uint8)
        for row, query in zip(distances, part, strict=True):
            original = place[query[1].id]
            if row[original] < np.delete(row, original).min():
                yield query


def show(title: str, tallies: dict[str, Tally]) -> Tally:
    """Print a table of the counts and return their total."""
    total = Tally()
    print(f"\n{title}")
    print("spelling".ljust(28), "correct  wrong missed unmatched precision  recall")
    for tally in tallies.values():
        total.add(tally)
    for kind, t in [*tallies.items(), ("total", total)]:
        counts = f"{t.correct:7d} {t.wrong:6d} {t.missed:6d} {t.correctly_unmatched:9d}"
        print(f"{kind:28s} {counts} {t.precision:9.4f} {t.recall:7.4f}")
    return total


def main() -> None:
    """Measure matching and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=400, help="names per kind of misspelling (default: %(default)s)")
    parser.add_argument("--even", action="store_true", help="use the half that serves to choose thresholds")
    options = parser.parse_args()
    show("recordings of the sandbox", measure(sandbox(), options.each, not options.even))
    folder = os.environ.get("TUTTI_SAMPLES")
    if folder and (Path(folder) / "hetrec_lastfm2k" / "artists.dat").exists():
        show("real artists (HetRec 2011)", measure(hetrec(Path(folder)), options.each, not options.even, sides=(0,)))
    else:
        print("\nreal artists skipped: no hetrec_lastfm2k/artists.dat in the folder TUTTI_SAMPLES")


if __name__ == "__main__":
    main()
