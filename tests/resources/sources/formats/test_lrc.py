"""LRC: lines are returned in the order in which they are sung, and every text is accepted."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from resources.errors import TuttiError
from resources.sources.formats import lrc
from resources.sources.formats.lrc import MAX_BYTES, MAX_STAMP_MS, Line, Lrc, parse, read, write

PIECES = st.one_of(
    st.sampled_from(
        (
            *("[00:01.00]", "[01:02.345]", "[00:01]", "[0:1.5]", "[1:02:03]", "[00:10:75]", "[00:59:10]", "[99:59.99]"),
            *(
                "[00:61.00]",
                "[00:75:10]",
                "[00:01.5.5]",
                "[]",
                "[",
                "]",
                "<00:01.00>",
                "<00:",
                "01.00>",
                "[00:0",
                "1.00]",
            ),
            *("[ti:", "[ar:a]", "[offset:+500]", "[offset:-1]", "[offset: x]", "[length:1]", "[#:x]", "[Chorus: a]"),
            *("\n", "\r\n", "\r", "\u2028", "\x1c", " ", "\t", "\0", "\ufeff", "\ud800", "٠", "la", "é", "愛", "🎵"),
        )
    ),
    st.text(max_size=3),
)
TEXTS = st.lists(PIECES, max_size=12).map("".join)


def lines(text: str) -> list[tuple[int | None, str]]:
    return [(line.at_ms, line.text) for line in parse(text).lines]


@pytest.mark.parametrize(
    ("stamp", "at"),
    [
        ("[00:12]", 12_000),
        ("[00:12.5]", 12_500),
        ("[00:12.34]", 12_340),
        ("[00:12.345]", 12_345),
        ("[1:02.03]", 62_030),
        ("[123:00.00]", 7_380_000),
        ("[01:02:03]", 3_723_000),
        ("[1:02:03.45]", 3_723_450),
    ],
)
def test_a_stamp_is_the_time_of_its_line(stamp: str, at: int) -> None:
    assert lines(f"{stamp}la") == [(at, "la")]
    assert lines(f" {stamp}  la ") == [(at, "la")]


def test_hundredths_after_a_colon_are_not_read_as_seconds() -> None:
    """One value over 59 shows that none of them are seconds."""
    assert lines("[00:10:16]Joy\n[00:19:58]\n[00:29:75]all") == [(10_160, "Joy"), (19_580, ""), (29_750, "all")]
    assert lines("[00:10:16]Joy\n[00:19:58]all") == [(616_000, "Joy"), (1_198_000, "all")]


def test_a_line_with_several_stamps_is_repeated_in_order() -> None:
    text = "[00:30.00]Verse\n[00:40.00] [00:20.00]Refrain\n[00:10.00]First"
    assert lines(text) == [(10_000, "First"), (20_000, "Refrain"), (30_000, "Verse"), (40_000, "Refrain")]
    assert parse(text).text == "First\nRefrain\nVerse\nRefrain"


def test_stamps_of_words_are_dropped_and_syllables_joined() -> None:
    assert lines("[00:12.00] <00:12.04> When <00:12.16> the <00:13.00> truth") == [(12_000, "When the truth")]
    assert lines("[00:12.00]<00:12.04>Hal<00:12.50>le<00:13.10>lu<00:14.00>ja") == [(12_000, "Halleluja")]


@pytest.mark.parametrize(
    "text",
    [
        "[au: instrumental]",
        "[ti:A Song]\n[au:Instrumental]\n",
        "[00:00.00]♪ Instrumental ♪",
        "(Instrumental)",
        "[00:00.00]纯音乐，请欣赏",
    ],
)
def test_an_instrumental_mark_is_not_lyrics(text: str) -> None:
    assert parse(text).instrumental


@pytest.mark.parametrize("text", ["", "[au: Ann]", "la\n[Instrumental]\nla", "[au: instrumental]\nla", "[00:01.00]♪"])
def test_a_pause_or_empty_lyrics_do_not_mark_an_instrumental(text: str) -> None:
    assert not parse(text).instrumental


def test_tags_are_distinguished_from_words() -> None:
    lyrics = parse(
        "[ti:Song]\n[AR: Ann Lee ]\n[by:x]\n[length: 2:23]\n[al:]\n[Chorus: Ann]\n[00:01.00][ti:sung]\nla [ar:x]"
    )
    assert lyrics.tags == {"ti": "Song", "ar": "Ann Lee", "by": "x", "length": "2:23"}
    assert lyrics.text == "[Chorus: Ann]\n[ti:sung]\nla [ar:x]"


@pytest.mark.parametrize("offset", [-1500, 0, 500, 2000])
def test_a_positive_offset_makes_every_line_earlier(offset: int) -> None:
    """As described in https://en.wikipedia.org/wiki/LRC_(file_format). Times are never negative."""
    song = "[00:01.00][00:05.00]a\n[00:03.00]b"
    shifted = lines(f"{song}\n[offset: {offset:+}]")  # the position of the tag does not matter
    assert shifted == [(max(0, at - offset), text) for at, text in lines(song) if at is not None]


@given(TEXTS, st.integers(-999_999, 999_999))
def test_an_offset_shifts_every_line(text: str, offset: int) -> None:
    if "[offset" not in text.lower():
        shifted = parse(f"[offset:{offset}]\n{text}")
        plain = parse(text)
        assert [line.text for line in shifted.lines] == [line.text for line in plain.lines]
        for line, before in zip(shifted.lines, plain.lines, strict=True):
            assert line.at_ms == (None if before.at_ms is None else min(max(0, before.at_ms - offset), MAX_STAMP_MS))


@given(TEXTS)
@example("[00:10<00:01.00>:75]")
@example("<00:<00:01.00>02.00>")
@example("[00:01.00]<00:02.00>[00:03.00]x")
@example("[00:75:10]a\n[00:10:75]b")
@example("[offset:1]\n\ufeff\ufeffa")
def test_written_lyrics_are_read_back_unchanged(text: str) -> None:
    once = parse(text)
    assert parse(write(once)) == once
    write(once).encode()  # a table can hold it
    times = [line.at_ms for line in once.lines if line.at_ms is not None]
    assert times == sorted(times)


@given(st.binary(max_size=60))
def test_no_bytes_are_refused(data: bytes) -> None:
    once = parse(lrc.decoded(data))
    assert parse(write(once)) == once


WORDS = st.text("abcé愛' -", min_size=1).map(lambda text: " ".join(text.split())).filter(bool)


@given(
    st.lists(st.tuples(st.integers(0, MAX_STAMP_MS), WORDS), min_size=1).map(
        lambda lines: sorted(lines, key=lambda x: x[0])
    ),
    st.dictionaries(st.sampled_from(("ti", "ar", "al")), WORDS),
)
def test_any_lyrics_survive_a_round_trip(timed: list[tuple[int, str]], tags: dict[str, str]) -> None:
    lyrics = Lrc(tags, tuple(Line(at, text) for at, text in timed))
    assert parse(write(lyrics)) == lyrics


@given(st.lists(WORDS | st.just(""), min_size=1))
def test_plain_lyrics_keep_their_lines_and_the_gaps_between_verses(rows: list[str]) -> None:
    text = "\n".join(rows)
    assert parse(text).text == text.strip("\n")
    assert not parse(text).synced


def test_malformed_lines_stay_as_text_below_the_line_they_follow() -> None:
    text = "intro\n[00:05.00]b\nand on\n[00:99.00]c\n[00:0x.00]d\n[00:01.00]a\n\n"
    wanted = [
        (None, "intro"),
        (1_000, "a"),
        (5_000, "b"),
        (None, "and on"),
        (None, "[00:99.00]c"),
        (None, "[00:0x.00]d"),
    ]
    assert lines(text) == wanted


SONG = "[00:01.00]Être à toi"
OLDER = {
    "cp1252": "Être à toi, où que tu sois\nJ'ai gardé l'été dans mes mains",
    "cp1251": "Очи чёрные, очи страстные\nКак люблю я вас, как боюсь я вас",
    "koi8-r": "Очи чёрные, очи страстные\nКак люблю я вас, как боюсь я вас",
    "gb18030": "月亮代表我的心\n你问我爱你有多深\n我爱你有几分",
    "big5": "月亮代表我的心\n你問我愛你有多深\n我愛你有幾分",
    "shift_jis": "愛してる君だけを\nさくらの花が咲く\nありがとうと言いたい",
    "euc-jp": "愛してる君だけを\nさくらの花が咲く\nありがとうと言いたい",
    "euc-kr": "사랑해 당신을 정말로 사랑해\n당신이 내 곁을 떠나간 뒤에",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_every_unicode_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    (tmp_path / "a.lrc").write_bytes(mark + f"{SONG}\r\n".encode(encoding))
    assert read(tmp_path / "a.lrc").lines == (Line(1000, "Être à toi"),)


@pytest.mark.parametrize("encoding", OLDER)
def test_older_encodings_are_detected(encoding: str) -> None:
    text = "\n".join(f"[00:{n:02}.00]{line}" for n, line in enumerate(OLDER[encoding].split("\n")))
    assert parse(lrc.decoded(text.encode(encoding))).text == OLDER[encoding]


def test_a_file_too_long_for_lyrics_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.lrc").write_bytes(b"a" * (MAX_BYTES + 1))
    with pytest.raises(TuttiError, match="longer than 1 MB"):
        read(tmp_path / "a.lrc")


def test_endless_repetition_does_not_fill_the_memory() -> None:
    lyrics = parse("[00:01.00]" * 30_000 + "la " * 20_000 + "\n[00:02.00]end")
    assert [line.at_ms for line in lyrics.lines] == [1000, 2000]
