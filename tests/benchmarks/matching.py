"""How well names are told: precision and recall on names spelled otherwise, `python -m tests.benchmarks.matching`.

Recordings of the sandbox, and (where TUTTI_SAMPLES names a folder that has `hetrec_lastfm2k/artists.dat`) 17,632 real
names of artists, each with one song. A fifth of them is kept out of the catalog: of those nothing is to be found, and
what is found is wrong. Names are misspelled in every way, at random but the same each time. The names of even
places are for choosing rules and limits, those of odd places tell how good these are.

A name determines the answer where it is nearer to its own than to any other name there is, kept out or not, by the
letters that differ; and where the catalog has one recording of that name.
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

KEPT_OUT = 0.2  # of the names, not in the catalog
PRECISION, RECALL = 0.99, 0.95  # wanted
LETTERS = "abcdefghijklmnopqrstuvwxyz"
MARKS = {"a": "á", "e": "é", "i": "í", "o": "ó", "u": "ü", "c": "ç", "n": "ñ", "s": "š"}
SPELT_OUT = {"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "æ": "ae", "ß": "ss"}

Pair = tuple[str, str]
Spelling = Callable[[Pair, random.Random], Pair | None]


@dataclass(frozen=True)
class Known:
    """A recording that somebody may name."""

    id: str
    pair: Pair
    in_catalog: bool


@dataclass
class Tally:
    """What became of names spelled in one way."""

    right: int = 0
    wrong: int = 0
    missed: int = 0
    nothing: int = 0  # rightly not found

    @property
    def precision(self) -> float:
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        wanted = self.right + self.missed
        return self.right / wanted if wanted else 1.0

    def add(self, other: "Tally") -> None:
        self.right += other.right
        self.wrong += other.wrong
        self.missed += other.missed
        self.nothing += other.nothing


def typo(text: str, rng: random.Random) -> str | None:
    """One letter too many, too few, wrong or changed with the next, but never in a number or a single letter."""
    words = text.split(" ")
    able = [n for n, w in enumerate(words) if w.isalpha() and w.isascii() and not is_exact_word(w.lower())]
    if not able or sum(len(w) for w in words) < 5:
        return None
    n = rng.choice(able)
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
    able = [i for i, c in enumerate(name) if c in MARKS]
    i = rng.choice(able) if able else -1
    return name[:i] + MARKS[name[i]] + name[i + 1 :] if able else None


def _unmarked(name: str, rng: random.Random) -> str | None:
    plain = "".join(unicodedata.normalize("NFKD", c)[0] if "LATIN" in unicodedata.name(c, "") else c for c in name)
    return plain if plain != name else None


def _spelt_out(name: str, rng: random.Random) -> str | None:
    spelled = "".join(
        SPELT_OUT.get(c, SPELT_OUT.get(c.lower(), c).capitalize() if c.lower() in SPELT_OUT else c) for c in name
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
    "as it is": lambda pair, rng: pair,
    "case": lambda pair, rng: (pair[0].upper(), pair[1].lower()),
    "quotes, dashes, white space": _both(_quoted),
    "without punctuation": _both(_unpunctuated),
    "wide letters": _both(_wide),
    "decomposed letters": lambda pair, rng: (
        unicodedata.normalize("NFD", pair[0]),
        unicodedata.normalize("NFD", pair[1]),
    ),
    "a diacritic too many": _one(_marked, 0),
    "without diacritics": _one(_unmarked, 0),
    "diacritics spelled out": _one(_spelt_out, 0),
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
    """Another number: that of another recording, which nobody need know."""
    digits = [i for i, c in enumerate(name) if c.isdigit()]
    if not digits:
        return None
    i = rng.choice(digits)
    return name[:i] + rng.choice([d for d in "123456789" if d != name[i]]) + name[i + 1 :]


def sandbox() -> list[Known]:
    """The recordings of the sandbox."""
    rng = random.Random(1)
    found = performers.recordings(catalog.works(), 7)
    return [Known(r.id, (r.credited, r.work.title), rng.random() >= KEPT_OUT) for r in found]


def hetrec(folder: Path) -> list[Known]:
    """Real artists, each with one song of the same name: what there is to tell is the artist."""
    rng = random.Random(1)
    lines = (folder / "hetrec_lastfm2k" / "artists.dat").read_text("utf-8").splitlines()[1:]
    names = dict.fromkeys(line.split("\t")[1].strip() for line in lines)
    return [Known(f"artist {n}", (name, "Song"), rng.random() >= KEPT_OUT) for n, name in enumerate(names) if name]


def measure(known: Sequence[Known], each: int, odd: bool, sides: Sequence[int] = (0, 1)) -> dict[str, Tally]:
    """What is found of names spelled in every way, `each` of them a way."""
    rng = random.Random(2)
    shared = defaultdict(set)
    for k in known:
        shared[parse_name(*k.pair).recording_key].add(k.id)
    asked: list[tuple[str, Known | None, Pair]] = []
    pool = [k for n, k in enumerate(known) if n % 2 == odd and len(shared[parse_name(*k.pair).recording_key]) == 1]
    for kind, spelling in SPELLINGS.items():
        if kind in ("a typo in the title", "a typo in each") and 1 not in sides:
            continue
        rng.shuffle(pool)
        spelled = ((k, p) for k in pool if (p := spelling(k.pair, rng)) is not None)
        asked += [(kind, k, p) for (k, p), _ in zip(spelled, range(each), strict=False)]
    asked = list(_determined(asked, known))
    names = {normalize("\x1f".join(k.pair)) for k in known}
    for side in sides:
        other = _one(_renumbered, side)
        spelled = ((k, p) for k in pool if (p := other(k.pair, rng)) is not None)
        asked += [
            ("another number", None, p)
            for (_, p), _ in zip(spelled, range(each), strict=False)
            if normalize("\x1f".join(p)) not in names
        ]
    answers = found(known, [pair for _, _, pair in asked])
    tallies: dict[str, Tally] = defaultdict(Tally)
    for kind, right, pair in asked:
        tally, answer = tallies[kind], answers[pair]
        if right is not None and right.in_catalog:
            tally.right += answer == right.id
            tally.missed += answer != right.id
            tally.wrong += answer not in (right.id, None)
        else:
            tally.wrong += answer is not None
            tally.nothing += answer is None
    return tallies


def found(known: Sequence[Known], pairs: Sequence[Pair]) -> dict[Pair, str | None]:
    """The recording of each name as the asset decides, or none where it is unmapped."""
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
        for k in known
        if k.in_catalog
    ]
    asked = [raw(at(LEAP), n, artist_name=a, recording_name=t) for n, (a, t) in enumerate(dict.fromkeys(pairs))]
    given = engine.from_arrow(table(asked, RAW_LISTENS)), engine.from_arrow(table(rows, RECORDINGS))
    decided = with_keys(recording_matches)(*given, span=(LEAP, LEAP)).collect(RECORDING_MATCHES).to_pylist()
    return {
        (r["artist_name"], r["recording_name"]): None if r["rule"] == "unmapped" else r["recording_id"] for r in decided
    }


def _determined(asked: Sequence[tuple[str, Known, Pair]], known: Sequence[Known]) -> Iterator[tuple[str, Known, Pair]]:
    """Those of the names that are nearer to their own than to any other."""

    def letters(pair: Pair) -> str:
        return parse_name(*pair).any_version_key

    texts = [letters(k.pair) for k in known]
    place = {k.id: n for n, k in enumerate(known)}
    step = 500
    for start in range(0, len(asked), step):
        part = asked[start : start + step]
        away = cdist([letters(p) for _, _, p in part], texts, scorer=OSA.distance, score_cutoff=4, dtype=np.uint8)
        for row, one in zip(away, part, strict=True):
            own = place[one[1].id]
            rest = np.delete(row, own).min()
            if row[own] < rest:
                yield one


def show(title: str, tallies: dict[str, Tally]) -> Tally:
    """A table of what was found."""
    total = Tally()
    print(f"\n{title}")
    print("spelled".ljust(28), " right  wrong missed not there precision  recall")
    for tally in tallies.values():
        total.add(tally)
    for kind, t in [*tallies.items(), ("in all", total)]:
        counts = f"{t.right:6d} {t.wrong:6d} {t.missed:6d} {t.nothing:9d}"
        print(f"{kind:28s} {counts} {t.precision:9.4f} {t.recall:7.4f}")
    return total


def main() -> None:
    """Both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=400, help="names spelled in each way")
    parser.add_argument("--even", action="store_true", help="the half for choosing limits")
    asked = parser.parse_args()
    show("recordings of the sandbox", measure(sandbox(), asked.each, not asked.even))
    folder = os.environ.get("TUTTI_SAMPLES")
    if folder and (Path(folder) / "hetrec_lastfm2k" / "artists.dat").exists():
        show("real artists (HetRec 2011)", measure(hetrec(Path(folder)), asked.each, not asked.even, sides=(0,)))
    else:
        print("\nreal artists: passed over, TUTTI_SAMPLES names no folder that has hetrec_lastfm2k/artists.dat")


if __name__ == "__main__":
    main()
