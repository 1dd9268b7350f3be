"""The works the sandbox plays: public-domain tunes and songs read from the `music21` package's corpus.

What belongs here: which files may be read, how their headers and words are read, and what the files do not tell
but their collection does. Notes stay in the files; a `Work` says where they are. What is invented is elsewhere.
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

NAMESPACE = uuid.UUID("6a0d0ac4-6fc5-5d0e-9a5c-0b1f6f3c8e21")  # the sandbox's own; ids change if it does

# The corpus disclaims any blanket license ("see the licenses embedded in individual compositions"), so a file is
# read only if it is named here. Left out on purpose: essenFolksong (non-commercial), palestrina (rights reserved),
# bach (by permission), monteverdi and trecento (modern editions), the rest of leadSheet, and all without a statement.
AGE = "the tune is in the public domain by age, the file states no license"


@dataclass(frozen=True)
class Collection:
    """What is known of a collection as a whole, each line of it stated for all its works."""

    name: str
    files: str  # glob under the corpus folder
    title: str
    region: str | None
    year: int | None  # in print no later than; null where the source is unknown
    rights: str = AGE  # for scores: the notice in the file, which must still be there word for word


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

MINSTREL = re.compile(r"\b(coon|dat|gwine)\b", re.IGNORECASE)  # blackface songs of 1883: no demo needs them

# fmt: off
# Dance forms as the titles name them; longer names first, for "slip jig" is not a jig.
FORMS = ("slip jig", "highland fling", "quick step", "hornpipe", "strathspey", "walkaround", "schottische", "allemande",
         "cotillon", "gavotte", "minuet", "polka", "waltz", "march", "slide", "clog", "reel", "jig")
SAME_FORM = {"slipjig": "slip jig", "double jig": "jig", "single jig": "slide", "fling": "highland fling",
             "quickstep": "quick step", "cotillion": "cotillon"}
# Who made the ABC, by a word that finds them in the `Z:` lines: those mix names with remarks, dates and mail addresses.
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
    """One piece of music. Fields are null where neither the file nor its collection tells."""

    id: str  # UUIDv5 of file and tune number
    title: str
    collection: str
    file: str  # under the corpus folder, with forward slashes
    tune: int | None  # the `X:` of an ABC file; null for a score, which is its file
    form: str | None  # dance form: "reel", "slip jig", ...
    key: str | None  # tonic: "F#", "Bb", "C"
    mode: str | None  # "major", "minor", "dorian", ...
    metre: str | None  # "6/8"; common time is "4/4", cut time "2/2"
    tempo_bpm: float | None  # beats a minute, of the beat below
    tempo_beat: str | None  # as a fraction of a whole note: "3/8" is a dotted quarter
    region: str | None
    year: int | None  # in print no later than
    transcriber: str | None
    lyrics: str | None  # one verse a line if they are in the score, else in lines with an empty one between verses
    provenance: str  # one sentence: package, file, tune, collection, rights; another one for words from elsewhere

    @property
    def has_sung_score(self) -> bool:
        """Whether the words are in the score, syllable by syllable."""
        return self.tune is None and self.lyrics is not None


def works() -> list[Work]:
    """Every allowed work, in the order of the table, then of file and tune. About 4,200 in half a second.

    Settings that share title, key and metre within a collection count once: several files hold the same tune twice.
    Raises `ModuleNotFoundError` without music21, `ValueError` if a score has lost its notice, `TuttiError` if it
    is not safe to read.
    """
    return list(_works(_corpus(), COLLECTIONS))


@functools.cache
def _works(corpus: Path, collections: tuple[Collection, ...]) -> tuple[Work, ...]:
    found: dict[tuple[str | None, ...], Work] = {}
    for collection in collections:
        for path in sorted(corpus.glob(collection.files)):
            read = _tunes if path.suffix == ".abc" else _score
            for work in read(path, path.relative_to(corpus).as_posix(), collection):
                if not MINSTREL.search(work.title):
                    found.setdefault((work.collection, work.title.casefold(), work.key, work.mode, work.metre), work)
    return tuple(found.values())


def abc(work: Work) -> str:
    """The tune in ABC notation, from the line after its number on. Raises `KeyError` for a work that is a score."""
    return _tunes_of(work.file)[work.tune]


def musicxml(work: Work) -> Element:
    """The root of a work's score. Raises `TuttiError` if it is not safe to read."""
    return score(_corpus() / work.file)


@functools.lru_cache(maxsize=128)  # the largest has 300 tunes; Ryan's have one each
def _tunes_of(file: str) -> dict[int | None, str]:
    return dict(_blocks(_corpus() / file))


@functools.cache
def _version() -> str:
    return importlib.metadata.version("music21")


def _corpus() -> Path:
    spec = importlib.util.find_spec("music21")  # locates without importing, which takes seconds
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the sandbox's catalog needs the package music21", name="music21")
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
    **told: str | None,
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
        **told,
    )


def _tunes(path: Path, file: str, collection: Collection) -> Iterator[Work]:
    """The tunes of an ABC file; a header runs from `X:` to the first `K:` (ABC standard 2.1, section 3)."""
    for tune, block in _blocks(path):
        lines = block.split("\n")
        header: dict[str, str] = {}
        for field, value in (line.split(":", 1) for line in lines if re.match(r"[A-Z]:", line)):
            value = re.sub(r"(?<!\\)%.*", "", value).strip()
            header.setdefault(field, value)  # of several titles the first is the name
            if field == "K":
                break
        title = _title(header.get("T", ""))
        song = songs().get(song_key(title))
        key = re.match(r"([A-G][#b]?)\s*([A-Za-z]{0,3})", header.get("K", ""))
        tempo = re.match(r"(\d+/\d+)\s*=\s*(\d+)", header.get("Q", ""))  # a bare number names no beat: unknown
        yield _work(
            collection,
            file,
            tune,
            title=title or f"No. {tune} of {collection.title}",
            transcriber=_transcriber(" ".join(line for line in lines if line.startswith("Z:"))),
            form=_form(header.get("R", ""), title),
            key=key[1] if key else None,
            mode=MODES.get(key[2].lower()) if key else None,
            metre={"C": "4/4", "C|": "2/2", "": None}.get(header.get("M", ""), header.get("M")),
            tempo_bpm=tempo[2] if tempo else None,
            tempo_beat=tempo[1] if tempo else None,
            lyrics=song.words if song else None,
            words_by=song.words_by if song else None,
        )


def _blocks(path: Path) -> Iterator[tuple[int, str]]:
    """The tunes of an ABC file by number, each from the line after its number on."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")  # the ABC of the 1990s
    for block in re.split(r"^X:", "\n".join(text.splitlines()), flags=re.MULTILINE)[1:]:
        number, _, tune = block.partition("\n")
        yield int(number.split("%")[0]), tune


def _title(raw: str) -> str:
    """A title as one would print it: `BAG OF MEAL., THE -- JIG` is "The Bag of Meal Jig"."""
    text = re.sub(r"\\([\'`^\"~c])([A-Za-z])", lambda m: m[2] + ACCENTS[m[1]], raw)
    text = unicodedata.normalize("NFC", text).replace("=", "-")  # Aird's printer joins words by `=`
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
    named = rhythm.lower().rstrip(".")
    if named:
        return SAME_FORM.get(named, named)
    found = re.search(rf"\b({'|'.join((*FORMS, *SAME_FORM))})s?\b", title.lower())
    return SAME_FORM.get(found[1], found[1]) if found else None


def _transcriber(credits: str) -> str | None:
    return next((name for word, name in TRANSCRIBERS.items() if word in credits.lower()), None)


def _score(path: Path, file: str, collection: Collection) -> Iterator[Work]:
    """The one work of a MusicXML score, if it still carries its notice."""
    root = score(path)
    if collection.rights not in (rights.text for rights in root.iter("rights")):
        raise ValueError(f"{file} no longer says {collection.rights!r}: not allowed")
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
        metre=f"{root.findtext('.//time/beats')}/{root.findtext('.//time/beat-type')}",
        tempo_bpm=tempo,
        tempo_beat="1/4" if tempo else None,  # MusicXML counts `sound tempo` in quarters
        lyrics=verses(root),
    )
