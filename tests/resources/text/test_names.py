"""Naming: what is spelling, what is another recording, and what may be a typo."""

import pytest

from resources.text.names import edits, taken_apart

SAME_LETTERS = [
    (("Björk", "Jóga"), ("BJORK", "joga")),
    (("Мумий Тролль", "Владивосток 2000"), ("Mumiy Troll'", "Vladivostok 2000")),
    (("愛してる", "Song"), ("Aishiteru", "Song")),
    (("Ｗｉｄｅ", "Ⅳ"), ("Wide", "IV")),
    (("Simon & Garfunkel", "America"), ("Simon and Garfunkel", "America")),
    (("The Beatles", "Help!"), ("Beatles, The", "Help")),
    (("Artist feat. Guest", "Song"), ("Artist", "Song (feat. Guest)")),
    (("Artist ft. Guest", "Song"), ("Artist featuring Guest", "Song")),
    (("Artist", "Song [with Guest]"), ("Artist", "Song (featuring Guest)")),
    (("Artist", "Don't Stop"), ("Artist", "Don’t  stop!")),
    (("Artist", "Symphony No. 5"), ("Artist", "Symphony № 5")),
    (("Artist", "Symphony #5, Op. 67"), ("Artist", "Symphony Nr. 5 Opus 67")),
    (("Artist", "Part II"), ("Artist", "Pt. 2")),
    (("Artist", "Vol. 02"), ("Artist", "Volume 2")),
    (("Ke$ha", "Song"), ("Kesha", "Song")),
    (("Artist", "Song (Live at Wembley)"), ("Artist", "Song - Live at Wembley")),
]
SAME_RECORDING = [
    (("Artist feat. Guest", "Song"), ("Artist", "Song")),
    (("Artist", "Song - 2011 Remaster"), ("Artist", "Song")),
    (("Artist", "Song (Remastered 2009) [Explicit]"), ("Artist", "Song")),
    (("Artist", "Song - Album Version"), ("Artist", "Song (feat. Guest)")),
    (("Ada & Bob", "Song"), ("Bob & Ada", "Song")),
    (("Tyler, The Creator", "Song"), ("Tyler The Creator", "Song")),
    (("Artist", "The Reel"), ("Artist", "Reel, The")),
    (("Artist", "Song (Live) - 2011 Remaster"), ("Artist", "Song - Live")),
]
OTHER_RECORDINGS = [
    (("Artist", "Song (Live)"), ("Artist", "Song")),
    (("Artist", "Song - Radio Edit"), ("Artist", "Song")),
    (("Artist", "Song (Acoustic)"), ("Artist", "Song (Live)")),
    (("Artist", "Song (Live 1985)"), ("Artist", "Song (Live 1986)")),
    (("Artist", "Song (Karaoke Version)"), ("Artist", "Song")),
    (("Artist", "Song (Instrumental)"), ("Artist", "Song")),
    (("Artist", "Song (Demo)"), ("Artist", "Song")),
    (("Artist", "Song (Taylor's Version)"), ("Artist", "Song")),
    (("Artist", "Symphony No. 5"), ("Artist", "Symphony No. 6")),
    (("Artist", "Symphony, Op. 5"), ("Artist", "Symphony, No. 5")),
    (("Artist", "1 2"), ("Artist", "12")),
    (("2D", "Song"), ("D2", "Song")),
    (("Artist", "!!!"), ("Artist", "???")),
    (("Live", "Song"), ("Artist", "Song")),
    (("Artist", "Live and Let Die"), ("Artist", "Let Die")),
    (("Artist", "Gone with the Wind"), ("Artist", "Gone")),
]
TYPOS = [
    ("netherby", "nethreby", 1),
    ("netherby", "nethereby", 1),
    ("orla larkin", "orla lrkin", 1),
    ("thistlewood orla", "thitslewod orla", 2),
    ("fox glove", "foxglove", 0),
    ("the humours of glynn", "humors of glynn", 1),
    ("motorhead", "motoerhead", 1),
    ("the faithful friend", "she faithful friend", 1),
]
NO_TYPOS = [
    ("muse", "mute"),  # four letters
    ("symphony 5", "symphony 6"),
    ("symphony 5", "symphony"),
    ("symphony in c", "symphony in d"),
    ("sonata in c minor op 27 2", "sonata in c minor op 27 3"),
    ("bwv 1007", "bwv 1008"),
    ("song live", "song love"),
    ("prelude in a minor", "prelude in a major"),
    ("morning dew", "evening dew"),
    ("love her madly", "love him madly"),
    ("orla larkin", "larkin orla"),
    ("symphony", "symphony live"),
]


@pytest.mark.parametrize(("one", "other"), SAME_LETTERS)
def test_spelling_makes_no_difference(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert taken_apart(*one).letters == taken_apart(*other).letters


@pytest.mark.parametrize(("one", "other"), SAME_RECORDING)
def test_remarks_and_guests_make_no_other_recording(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert taken_apart(*one).recording == taken_apart(*other).recording


@pytest.mark.parametrize(("one", "other"), OTHER_RECORDINGS)
def test_versions_and_numbers_tell_recordings_apart(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert taken_apart(*one).recording != taken_apart(*other).recording
    assert taken_apart(*one).letters != taken_apart(*other).letters


def test_a_version_is_known_as_one_of_its_song() -> None:
    live, plain = taken_apart("Artist", "Song (Live)"), taken_apart("Artist", "Song")
    assert live.version
    assert not plain.version
    assert live.any_version == plain.any_version
    assert taken_apart("Artist", "Live and Let Die").version == ()


@pytest.mark.parametrize(("one", "other", "typos"), TYPOS)
def test_typos_are_counted_either_way(one: str, other: str, typos: int) -> None:
    assert edits(one.split(), other.split(), elsewhere=10) == typos
    assert edits(other.split(), one.split(), elsewhere=10) == typos


@pytest.mark.parametrize(("one", "other"), NO_TYPOS)
def test_other_names_are_no_typos(one: str, other: str) -> None:
    assert edits(one.split(), other.split(), elsewhere=10) is None


def test_a_short_word_may_have_a_typo_only_beside_enough_that_agrees() -> None:
    assert edits(["meven"], ["maven"]) is None
    assert edits(["meven"], ["maven"], elsewhere=4) == 1
    assert edits(["boatie", "rows"], ["boatie", "rws"], elsewhere=0) is None
    assert edits(["boatie", "rows"], ["boatie", "rws"], elsewhere=8) == 1
