"""The music folder: file layout, tags, covers and lyrics, and audio with the stated beats and key."""

import io
import re
from pathlib import Path

import mutagen
import numpy as np
import pytest
import soundfile
from mutagen.flac import FLAC
from PIL import Image

from resources.sandbox import audio
from resources.sandbox.audio import ODD, Summary, safe, write
from resources.sandbox.renditions import Take, keynote
from resources.sandbox.truth import Rendering, renderings

pytestmark = pytest.mark.slow  # renders audio

CLIPS = 14  # enough for every kind of arrangement


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("music")


@pytest.fixture(scope="module")
def summary(music: Path) -> Summary:
    return write(music, clips=CLIPS)


@pytest.fixture(scope="module")
def flacs(music: Path, summary: Summary) -> list[Path]:
    return sorted(path for path in music.rglob("*.flac") if path.parent.name != ODD)


@pytest.fixture(scope="module")
def truth() -> dict[str, Rendering]:
    return renderings(clips=CLIPS)


@pytest.fixture(scope="module")
def chosen() -> dict[str, Take]:
    return {take.recording.id: take for take in audio.rendered(clips=CLIPS)}


def mono(path: Path) -> tuple[np.ndarray, int]:
    """Return the mean of both channels, and the sample rate."""
    samples, rate = soundfile.read(path, always_2d=True)
    return samples.mean(axis=1), rate


def recording_of(path: Path) -> str:
    return str(FLAC(path)["musicbrainz_trackid"][0])


def test_the_same_arguments_write_the_same_bytes(music: Path, summary: Summary, tmp_path: Path) -> None:
    write(tmp_path, clips=CLIPS)
    first, again = ({p.relative_to(f): p.read_bytes() for p in f.rglob("*.*")} for f in (music, tmp_path))
    assert first == again
    assert {music / name for name in first} == set(summary.files)


def test_files_are_in_folders_by_artist_and_release(music: Path, flacs: list[Path], summary: Summary) -> None:
    assert len(flacs) == summary.clips == CLIPS
    for path in flacs:
        tags = FLAC(path)
        artist, release, name = path.relative_to(music).parts
        assert (artist, release) == (safe(tags["albumartist"][0]), safe(tags["album"][0]))
        assert name == f"{int(tags['tracknumber'][0]):02} {safe(tags['title'][0])}.flac"


def test_sound_is_stereo_of_sixteen_bits_and_never_clipped(flacs: list[Path], summary: Summary) -> None:
    seconds = 0.0
    for path in flacs:
        samples, rate = soundfile.read(path, dtype="int16")
        info = soundfile.info(path)
        assert (rate, info.channels, info.subtype) == (22_050, 2, "PCM_16")
        assert np.abs(samples.astype(int)).max() < 0.9 * 32_767
        assert samples[-1].any() == 0 or np.abs(samples[-1]).max() < 20
        assert (samples[:, 0] != samples[:, 1]).any()
        seconds += info.duration
    assert abs(seconds - summary.seconds) < 0.01 and 14 < seconds / CLIPS < 23


def test_loudness_varies_between_files(flacs: list[Path]) -> None:
    levels = [20 * np.log10(np.sqrt(np.mean(mono(path)[0] ** 2))) for path in flacs]
    assert min(levels) > -26 and max(levels) < -10 and max(levels) - min(levels) > 4


def test_tags_are_those_that_picard_writes(flacs: list[Path], chosen: dict[str, Take]) -> None:
    for path in flacs:
        tags = FLAC(path)
        take = chosen[recording_of(path)]
        recording, work = take.recording, take.recording.work
        assert tags["title"] == [work.title] and tags["artist"] == [recording.credited]
        assert tags["musicbrainz_artistid"] == [artist.id for artist, _ in recording.credit]
        assert tags["musicbrainz_albumid"] == [recording.release.id] and tags["date"] == [recording.release.date]
        assert tags.get("genre", []) == ([work.form] if work.form else [])
        assert work.provenance in tags["comment"][0] and "invented" in tags["comment"][0]
        assert not {"isrc", "bpm", "key", "initialkey"} & set(tags.keys())  # ground truth


def test_each_release_has_its_own_cover(flacs: list[Path]) -> None:
    covers: dict[str, set[bytes]] = {}
    for path in flacs:
        (picture,) = FLAC(path).pictures
        image = Image.open(io.BytesIO(picture.data))
        image.load()
        assert image.size == (picture.width, picture.height) and picture.mime == "image/jpeg"
        covers.setdefault(FLAC(path)["musicbrainz_albumid"][0], set()).add(picture.data)
    assert all(len(of_release) == 1 for of_release in covers.values())
    assert len(set.union(*covers.values())) == len(covers)


def test_lyrics_lines_start_when_they_are_sung(music: Path, chosen: dict[str, Take], summary: Summary) -> None:
    files = sorted(music.rglob("*.lrc"))
    assert len(files) == summary.lyrics >= 3
    embedded = 0
    for path in files:
        flac = path.with_suffix(".flac")
        take = chosen[recording_of(flac)]
        lines = re.findall(r"^\[(\d\d):(\d\d\.\d\d)\](.+)$", path.read_text(), re.MULTILINE)
        times = [60 * int(minutes) + float(seconds) for minutes, seconds, _ in lines]
        assert len(lines) >= 2 and times == sorted(set(times))
        assert times[0] >= 0 and times[-1] < soundfile.info(flac).duration
        onsets = [take.seconds(note.onset) for note in take.notes if note.syllable]
        assert all(min(abs(at - onset) for onset in onsets) < 0.011 for at in times)
        words = " ".join(text for *_, text in lines).split()
        assert set(words) <= set((take.recording.work.lyrics or "").split())
        embedded += "lyrics" in FLAC(flac)
    assert 0 < embedded < len(files)


def test_energy_rises_on_the_beats(flacs: list[Path], truth: dict[str, Rendering]) -> None:
    """Onset strength (spectral flux) is greater on the true beats than between them."""
    for path in flacs:
        true = truth[recording_of(path)]
        flux, frames = onsets(path)
        beats, period = np.array(true.beats), 60 / true.tempo_bpm

        def near(times: np.ndarray, flux: np.ndarray = flux, frames: float = frames) -> float:
            at = (times * frames).astype(int)
            return float(np.mean([flux[max(0, a - 3) : a + 4].max() for a in at if a < len(flux)]))

        assert near(beats) > 1.1 * near(beats + 0.41 * period), path.name


def onsets(path: Path) -> tuple[np.ndarray, float]:
    """Return the spectral flux of each frame, and frames per second."""
    samples, rate = mono(path)
    window, hop = 1024, 220
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, window // 2), window)[::hop]
    size = np.log1p(100 * np.abs(np.fft.rfft(frames * np.hanning(window), axis=1)))
    return np.maximum(0, np.diff(size, axis=0, prepend=size[:1])).sum(axis=1), rate / hop


def test_tonic_and_fifth_are_among_the_strongest_pitch_classes(flacs: list[Path], truth: dict[str, Rendering]) -> None:
    matching = 0
    for path in flacs:
        true = truth[recording_of(path)]
        samples, rate = mono(path)
        padded = 2**19  # other lengths take seconds
        size = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), padded))
        hertz = np.fft.rfftfreq(padded, 1 / rate)
        band = (hertz > 60) & (hertz < 2000)
        classes = np.round(69 + 12 * np.log2(hertz[band] / 440)).astype(int) % 12
        chroma = np.bincount(classes, weights=size[band] ** 2, minlength=12) ** 0.5
        strongest = set(np.argsort(chroma)[-4:].tolist())
        tonic = keynote(true.key)
        matching += {tonic, (tonic + 7) % 12} <= strongest
    assert matching >= 0.85 * len(flacs)


def test_the_truth_matches_the_files(flacs: list[Path], truth: dict[str, Rendering]) -> None:
    assert {recording_of(path) for path in flacs} == truth.keys()
    for path in flacs:
        true = truth[recording_of(path)]
        assert true.beats[0] >= 0 and true.beats[-1] < soundfile.info(path).duration
        if true.meter in ("6/8", "9/8"):
            assert true.beat == "3/8"


def test_odd_files_have_the_problem_in_their_name(music: Path, summary: Summary) -> None:
    odd = {path.name: path for path in (music / ODD).iterdir()}
    assert len(odd) == summary.odd == 6
    assert odd["empty.mp3"].stat().st_size == 0
    assert not soundfile.read(odd["silence.flac"])[0].any()
    assert not FLAC(odd["no tags.flac"]).tags and soundfile.info(odd["no tags.flac"]).duration > 10
    assert soundfile.info(odd["a WAV named otherwise.flac"]).format == "WAV"
    complete = soundfile.info(odd["no tags.flac"])
    assert odd["cut short.flac"].stat().st_size < odd["no tags.flac"].stat().st_size
    try:
        read = len(soundfile.read(odd["cut short.flac"])[0])
    except soundfile.LibsndfileError:
        read = 0
    assert read < complete.frames
    with pytest.raises((mutagen.MutagenError, soundfile.LibsndfileError)):
        soundfile.info(odd["a text named otherwise.m4a"])


def test_zero_clips_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="0 clips"):
        write(tmp_path, clips=0)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("AC/DC: Who?", "AC_DC_ Who_"),
        ("...And Then", "_..And Then"),
        ("March 3d. Regt.", "March 3d. Regt"),
        ("  ", "_"),
        ("x" * 300, "x" * 80),
    ],
)
def test_names_are_valid_on_every_disk(name: str, file: str) -> None:
    assert safe(name) == file
