"""Names: differences of spelling, other recordings, and possible typos."""

import pytest

from resources.text.names import count_typos, parse_name

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
    assert parse_name(*one).letters_key == parse_name(*other).letters_key


@pytest.mark.parametrize(("one", "other"), SAME_RECORDING)
def test_remarks_and_guests_do_not_change_the_recording(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert parse_name(*one).recording_key == parse_name(*other).recording_key


@pytest.mark.parametrize(("one", "other"), OTHER_RECORDINGS)
def test_versions_and_numbers_distinguish_recordings(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert parse_name(*one).recording_key != parse_name(*other).recording_key
    assert parse_name(*one).letters_key != parse_name(*other).letters_key


def test_a_version_is_matched_with_its_song() -> None:
    live, plain = parse_name("Artist", "Song (Live)"), parse_name("Artist", "Song")
    assert live.version
    assert not plain.version
    assert live.any_version_key == plain.any_version_key
    assert parse_name("Artist", "Live and Let Die").version == ()


@pytest.mark.parametrize(("one", "other", "typos"), TYPOS)
def test_typos_are_counted_in_both_directions(one: str, other: str, typos: int) -> None:
    assert count_typos(one.split(), other.split(), context_letters=10) == typos
    assert count_typos(other.split(), one.split(), context_letters=10) == typos


@pytest.mark.parametrize(("one", "other"), NO_TYPOS)
def test_different_names_are_not_typos(one: str, other: str) -> None:
    assert count_typos(one.split(), other.split(), context_letters=10) is None


def test_a_short_word_may_have_a_typo_only_beside_matching_letters() -> None:
    assert count_typos(["meven"], ["maven"]) is None
    assert count_typos(["meven"], ["maven"], context_letters=4) == 1
    assert count_typos(["boatie", "rows"], ["boatie", "rws"], context_letters=0) is None
    assert count_typos(["boatie", "rows"], ["boatie", "rws"], context_letters=8) == 1
