"""Catalog: the works of the sandbox, public-domain tunes and songs from the corpus of the package `music21`.

This module lists the allowed files, parses their headers and words, and adds facts about their collections. Notes stay
in the files, and a `Work` has their location. Everything here is real; `performers.py` has what is invented.
"""

import functools
import importlib.metadata
import importlib.util
import re
import unicodedata
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

from resources.notation.keys import MAJOR_KEYS, MODES
from resources.sandbox.songs import key as song_key
from resources.sandbox.songs import songs
from resources.sources.formats.musicxml import score, verses

NAMESPACE = uuid.UUID("6a0d0ac4-6fc5-5d0e-9a5c-0b1f6f3c8e21")  # changing it changes all ids

# The corpus has no common license ("see the licenses embedded in individual compositions"), so only the files listed
# here are read. Left out on purpose: essenFolksong (non-commercial), palestrina (rights reserved), bach (by
# permission), monteverdi and trecento (modern editions), the rest of leadSheet, and all files without a statement.
PUBLIC_DOMAIN_BY_AGE = "the tune is in the public domain by age, the file states no license"


@dataclass(frozen=True)
class Collection:
    """Facts about a collection that hold for all its works."""

    name: str
    files: str  # glob under the corpus folder
    title: str
    region: str | None
    year: int | None  # in print no later than; None if the source is unknown
    rights: str = PUBLIC_DOMAIN_BY_AGE  # for scores: the exact notice that the file must contain


# fmt: off
COLLECTIONS = (
    Collection("airdsAirs", "airdsAirs/*.abc", "Aird's Selection of Scotch, English, Irish and Foreign Airs",
               "Scotland", 1801),
    Collection("oneills1850", "oneills1850/*.abc", "O'Neill's Music of Ireland", "Ireland", 1903),
    Collection("ryansMammoth", "ryansMammoth/*.abc", "Ryan's Mammoth Collection", "United States", 1883),
    Collection("miscFolk", "miscFolk/northumbrianminstrelsyopus.abc", "Northumbrian Minstrelsy", "England", 1882),
    Collection("miscFolk", "miscFolk/americanfifeopus.abc", "Colonial and Civil War American Fife Music",
               "United States", None),
    Collection("lusitano", "lusitano/allor_che_ignuda.mxl", "a madrigal by Vicente Lusitano", "Italy", None,
               "Copyright 2022 Michael Scott Asato Cuthbert: released as CC0/Public Domain"),
    Collection("liliuokalani", "liliuokalani/aloha_oe.mxl", "a song by Queen Liliuokalani", "Hawaii", 1884,
               "Copyright 1884 by LILIUOKALANI (Now, Public Domain; Encoding by MSAC, CC0)"),
    Collection("johnson_j_r", "johnson_j_r/lift_every_voice.mxl", "a hymn by J. Rosamond and James Weldon Johnson",
               "United States", 1900, "Public Domain (Encoding by MSAC: CC0)"),
    Collection("fosterBrownHair", "leadSheet/fosterBrownHair.mxl", "a song by Stephen Foster", "United States", 1854,
               "Public Domain"),
    Collection("weber", "weber/concertino_clarinet.mxl", "a concertino by Carl Maria von Weber", "Germany", 1811,
               "Released to Public Domain in 1998"),
)
# fmt: on

MINSTREL = re.compile(r"\b(coon|dat|gwine)\b", re.IGNORECASE)  # excludes blackface songs of 1883

# fmt: off
# Dance forms as they occur in titles. Longer names come first, because "slip jig" is not a jig.
FORMS = ("slip jig", "highland fling", "quick step", "hornpipe", "strathspey", "walkaround", "schottische", "allemande",
         "cotillon", "gavotte", "minuet", "polka", "waltz", "march", "slide", "clog", "reel", "jig")
SAME_FORM = {"slipjig": "slip jig", "double jig": "jig", "single jig": "slide", "fling": "highland fling",
             "quickstep": "quick step", "cotillion": "cotillon"}
# Transcribers by a word that identifies them in `Z:` lines, which mix names with remarks, dates and mail addresses.
TRANSCRIBERS = {
    "campin": "Jack Campin", "davies": "Ray Davies", "chambers": "John Chambers", "trish": "Trish O'Neil",
    "norbeck": "Henrik Norbeck", "safranek": "Bob Safranek", "petersen": "Dan G. Petersen", "walsh": "John B. Walsh",
    "foy": "Stephen Foy", "hogan": "Michael Hogan", "puckette": "Bob Puckette", "keays": "Tom Keays",
    "wooldridge": "Dave Wooldridge", "falt": "Chris Falt", "paap": "Norbert Paap", "thorpe": "Robert Thorpe",
    "worman": "A. Lee Worman", "bradley": "Ivan Bradley", "terhorst": "Nick Terhorst", "hastings": "Ted Hastings",
    "d. long": "Michael D. Long", "de grae": "Paul de Grae",
}
# fmt: on
SMALL_WORDS = {"a", "an", "and", "by", "for", "from", "in", "na", "of", "on", "or", "the", "to", "with"}
ACCENTS = {"'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "c": "\u0327"}


@dataclass(frozen=True)
class Work:
    """A piece of music. Fields are None if neither the file nor its collection has them."""

    id: str  # UUIDv5 of file and tune number
    title: str
    collection: str
    file: str  # under the corpus folder, with forward slashes
    tune: int | None  # `X:` in an ABC file; None for a score, which has its own file
    form: str | None  # dance form: "reel", "slip jig", ...
    key: str | None  # tonic: "F#", "Bb", "C"
    mode: str | None  # "major", "minor", "dorian", ...
    meter: str | None  # "6/8"; common time is "4/4", cut time "2/2"
    tempo_bpm: float | None  # beats per minute
    tempo_beat: str | None  # the beat as a fraction of a whole note: "3/8" is a dotted quarter
    region: str | None
    year: int | None  # in print no later than
    transcriber: str | None
    lyrics: str | None  # from a score: one line per verse; else lines, with an empty one between verses
    provenance: str  # package, file, tune, collection and rights, and the origin of the words

    @property
    def has_sung_score(self) -> bool:
        """Return whether the score has the words, by syllable."""
        return self.tune is None and self.lyrics is not None


def works() -> list[Work]:
    """Return every allowed work, by collection, file and tune: about 4,200 in half a second.

    Works with the same title, key and meter within a collection count once, because several files have duplicates.
    Raise ModuleNotFoundError without music21, ValueError if a score lacks its notice, and TuttiError if it is not safe
    to read.
    """
    return list(_works(_corpus(), COLLECTIONS))


@functools.cache
def _works(corpus: Path, collections: tuple[Collection, ...]) -> tuple[Work, ...]:
    unique: dict[tuple[str | None, ...], Work] = {}
    for collection in collections:
        for path in sorted(corpus.glob(collection.files)):
            parse = _tunes if path.suffix == ".abc" else _score
            for work in parse(path, path.relative_to(corpus).as_posix(), collection):
                if not MINSTREL.search(work.title):
                    unique.setdefault((work.collection, work.title.casefold(), work.key, work.mode, work.meter), work)
    return tuple(unique.values())


def abc(work: Work) -> str:
    """Return a tune in ABC notation, from the line after its number. Raise KeyError if the work is a score."""
    return _tunes_of(work.file)[work.tune]


def musicxml(work: Work) -> Element:
    """Return the root element of a work's score. Raise TuttiError if it is not safe to read."""
    return score(_corpus() / work.file)


@functools.lru_cache(maxsize=128)  # the largest file has 300 tunes, Ryan's files have one each
def _tunes_of(file: str) -> dict[int | None, str]:
    return dict(_blocks(_corpus() / file))


@functools.cache
def _version() -> str:
    return importlib.metadata.version("music21")


def _corpus() -> Path:
    spec = importlib.util.find_spec("music21")  # importing takes seconds
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the sandbox needs the package music21. Run `pip install music21`.", name="music21")
    return Path(spec.submodule_search_locations[0]) / "corpus"


def _work(
    collection: Collection,
    file: str,
    tune: int | None,
    *,
    title: str,
    transcriber: str | None,
    tempo_bpm: str | None,
    words_by: str | None = None,
    **fields: str | None,
) -> Work:
    where = file if tune is None else f"{file}, tune {tune}"
    when = f"in print by {collection.year}" if collection.year else "year unknown"
    hand = f", transcribed by {transcriber}" if transcriber else ""
    words = f" Words: {words_by}; in the public domain by age." if words_by else ""
    return Work(
        id=str(uuid.uuid5(NAMESPACE, f"work/{file}/{tune}")),
        title=title,
        collection=collection.name,
        file=file,
        tune=tune,
        tempo_bpm=float(tempo_bpm) if tempo_bpm else None,
        region=collection.region,
        year=collection.year,
        transcriber=transcriber,
        provenance=f"Read from music21 {_version()}, corpus/{where}: {collection.title} ({when}){hand}; "
        f"rights: {collection.rights}.{words}",
        **fields,
    )


def _tunes(path: Path, file: str, collection: Collection) -> Iterator[Work]:
    """Yield the tunes of an ABC file. A header extends from `X:` to the first `K:` (ABC standard 2.1, section 3)."""
    for tune, block in _blocks(path):
        lines = block.split("\n")
        header: dict[str, str] = {}
        for field, value in (line.split(":", 1) for line in lines if re.match(r"[A-Z]:", line)):
            value = re.sub(r"(?<!\\)%.*", "", value).strip()
            header.setdefault(field, value)  # the first of several titles counts
            if field == "K":
                break
        title = _title(header.get("T", ""))
        song = songs().get(song_key(title))
        key = re.match(r"([A-G][#b]?)\s*([A-Za-z]{0,3})", header.get("K", ""))
        tempo = re.match(r"(\d+/\d+)\s*=\s*(\d+)", header.get("Q", ""))  # a number alone has no beat, so it is ignored
        yield _work(
            collection,
            file,
            tune,
            title=title or f"No. {tune} of {collection.title}",
            transcriber=_transcriber(" ".join(line for line in lines if line.startswith("Z:"))),
            form=_form(header.get("R", ""), title),
            key=key[1] if key else None,
            mode=MODES.get(key[2].lower()) if key else None,
            meter={"C": "4/4", "C|": "2/2", "": None}.get(header.get("M", ""), header.get("M")),
            tempo_bpm=tempo[2] if tempo else None,
            tempo_beat=tempo[1] if tempo else None,
            lyrics=song.words if song else None,
            words_by=song.words_by if song else None,
        )


def _blocks(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the tunes of an ABC file with their numbers, each from the line after its number."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")  # ABC files of the 1990s
    for block in re.split(r"^X:", "\n".join(text.splitlines()), flags=re.MULTILINE)[1:]:
        number, _, tune = block.partition("\n")
        yield int(number.split("%")[0]), tune


def _title(raw: str) -> str:
    """Return a title as printed: `BAG OF MEAL., THE -- JIG` becomes "The Bag of Meal Jig"."""
    text = re.sub(r"\\([\'`^\"~c])([A-Za-z])", lambda m: m[2] + ACCENTS[m[1]], raw)
    text = unicodedata.normalize("NFC", text).replace("=", "-")  # Aird's book joins words with `=`
    text = re.sub(r"^(.+?)\.?, (the|an?)\.?(?=$| -)", r"\2 \1", text, flags=re.IGNORECASE)
    text = re.sub(r"\s+(-+\s+)?", " ", text).strip()
    text = re.sub(r'^"([^"]+)"$', r"\1", text)
    if not text.endswith("Regt."):
        text = text.rstrip(" .,;")
    if sum(map(str.isupper, text)) > sum(map(str.islower, text)):
        text = re.sub(r"(?<![\w'])[a-z]|(?<=\bo')(?!er\b)[a-z]|(?<=\bmc)[a-z]", lambda m: m[0].upper(), text.lower())
    text = re.sub(r"(?<= )[A-Z][a-z]*\b", lambda m: m[0].lower() if m[0].lower() in SMALL_WORDS else m[0], text)
    return text[:1].upper() + text[1:]


def _form(rhythm: str, title: str) -> str | None:
    name = rhythm.lower().rstrip(".")
    if name:
        return SAME_FORM.get(name, name)
    match = re.search(rf"\b({'|'.join((*FORMS, *SAME_FORM))})s?\b", title.lower())
    return SAME_FORM.get(match[1], match[1]) if match else None


def _transcriber(credits: str) -> str | None:
    return next((name for word, name in TRANSCRIBERS.items() if word in credits.lower()), None)


def _score(path: Path, file: str, collection: Collection) -> Iterator[Work]:
    """Yield the work of a MusicXML score. Raise ValueError if it lacks its rights notice."""
    root = score(path)
    if collection.rights not in (rights.text for rights in root.iter("rights")):
        raise ValueError(f"{file} lacks the rights notice {collection.rights!r}, so it must not be used")
    fifths, mode = root.findtext(".//key/fifths"), root.findtext(".//key/mode")
    tempo = next((sound.get("tempo") for sound in root.iter("sound") if sound.get("tempo")), None)
    yield _work(
        collection,
        file,
        None,
        title=_title(root.findtext("movement-title") or collection.title),
        transcriber=next((c.text for c in root.iter("creator") if c.get("type") == "encoder"), None),
        form=None,
        key=MAJOR_KEYS[int(fifths) + (10 if mode == "minor" else 7)] if fifths else None,
        mode=mode,
        meter=f"{root.findtext('.//time/beats')}/{root.findtext('.//time/beat-type')}",
        tempo_bpm=tempo,
        tempo_beat="1/4" if tempo else None,  # `sound tempo` in MusicXML is in quarters
        lyrics=verses(root),
    )
