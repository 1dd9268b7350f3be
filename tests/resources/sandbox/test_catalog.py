"""Catalog: allowed works, their headers, titles, lyrics and provenance."""

import subprocess
import sys
import uuid
from collections import Counter
from dataclasses import replace

import pytest

from resources.sandbox import catalog
from resources.sandbox.catalog import Work, works
from resources.sandbox.songs import key, songs


@pytest.fixture(scope="module")
def all_works() -> list[Work]:
    return works()


def test_every_work_has_an_id_a_title_and_its_provenance(all_works: list[Work]) -> None:
    assert len(all_works) >= 4_000
    assert len({uuid.UUID(work.id) for work in all_works}) == len(all_works)
    for work in all_works:
        assert work.title.strip() == work.title != ""
        assert work.file in work.provenance and "music21 " in work.provenance and "rights: " in work.provenance
        assert work.provenance.count("\n") == 0
        assert work.tune is None or f"tune {work.tune}:" in work.provenance


def test_only_allowed_collections_are_read(all_works: list[Work]) -> None:
    folders = Counter(work.file.split("/")[0] for work in all_works)
    assert folders == {
        "airdsAirs": folders["airdsAirs"],
        "oneills1850": folders["oneills1850"],
        "ryansMammoth": folders["ryansMammoth"],
        "miscFolk": folders["miscFolk"],
        "lusitano": 1,
        "liliuokalani": 1,
        "johnson_j_r": 1,
        "leadSheet": 1,
        "weber": 1,
    }
    assert [work.file for work in all_works if "leadSheet" in work.file] == ["leadSheet/fosterBrownHair.mxl"]


def test_the_catalog_is_the_same_every_time(all_works: list[Work]) -> None:
    assert works() == all_works


def test_music21_itself_is_not_imported() -> None:
    code = "import sys; from resources.sandbox.catalog import works; works(); print('music21' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": "."}
    )
    assert done.stdout.strip() == "False"


def test_parses_form_key_mode_meter_and_tempo_from_headers(all_works: list[Work]) -> None:
    by_tune = {(work.file, work.tune): work for work in all_works}
    aird = by_tune["airdsAirs/book1.abc", 4]
    assert (aird.title, aird.form, aird.key, aird.mode, aird.meter) == (
        "I'll Touzle your Kurchy",
        None,
        "E",
        "minor",
        "6/8",
    )
    assert (aird.tempo_bpm, aird.tempo_beat, aird.transcriber) == (120.0, "3/8", "Jack Campin")
    assert (aird.region, aird.year) == ("Scotland", 1801)
    slip = by_tune["oneills1850/1136-1175.abc", 1137]
    assert (slip.title, slip.form, slip.meter, slip.tempo_bpm) == ("The Irish Girl", "slip jig", "9/8", None)


@pytest.mark.parametrize(
    ("raw", "printed"),
    [
        ("Rakes of Mallow, The", "The Rakes of Mallow"),
        ("Irish Girl., The", "The Irish Girl"),
        (" BELLES OF EDINBORO' -- HIGHLAND FLING", "Belles of Edinboro' Highland Fling"),
        ("O'CONNELL'S WELCOME -- JIG", "O'Connell's Welcome Jig"),
        (r"La Nov\'ell\'e Hol\'endoise.", "La Novéllé Holéndoise"),
        ("Dorset=Shire March.", "Dorset-Shire March"),
        ("March 3d. Regt.", "March 3d. Regt."),
        ("", ""),
    ],
)
def test_titles_are_cleaned_for_display(raw: str, printed: str) -> None:
    assert catalog._title(raw) == printed


def test_no_mail_address_of_a_transcriber_is_used(all_works: list[Work]) -> None:
    assert not [work for work in all_works if "@" in f"{work.transcriber}{work.title}{work.provenance}"]
    assert sum(work.transcriber is not None for work in all_works) > 3_900


def test_a_work_in_several_files_counts_once(all_works: list[Work]) -> None:
    assert sum(work.title == "The Kerry Cobbler" and work.meter == "6/8" for work in all_works) == 1


def test_a_score_with_words_has_each_verse_once(all_works: list[Work]) -> None:
    words = {work.title: work.lyrics for work in all_works if work.has_sung_score}
    assert len(words) == 4
    hymn = words["Lift Every Voice and Sing"]
    assert hymn is not None and len(hymn.splitlines()) == 3
    assert hymn.startswith("Lift ev'ry voice and sing, till earth and heaven ring, Ring with the harmonies of liberty;")
    madrigal = words["Allor che ignuda d'herb et fior la terra"]
    assert madrigal is not None and "\n" not in madrigal


def test_every_song_has_a_tune_and_names_the_author_of_its_words(all_works: list[Work]) -> None:
    sung = [work for work in all_works if work.lyrics and not work.has_sung_score]
    assert {song.words for song in songs().values()} == {work.lyrics for work in sung}
    assert all(songs()[key(work.title)].words_by in work.provenance for work in sung)
    (afton,) = (work for work in sung if work.title == "Afton Water")
    assert afton.provenance.endswith("Words: Robert Burns, 1791; in the public domain by age.")


def test_a_score_without_its_rights_notice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    hymn = next(c for c in catalog.COLLECTIONS if c.name == "johnson_j_r")
    monkeypatch.setattr(catalog, "COLLECTIONS", (replace(hymn, rights="CC BY 4.0"),))
    with pytest.raises(ValueError, match=r"CC BY 4\.0"):
        works()


def test_the_error_for_a_missing_corpus_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="music21"):
        works()
