"""The text of posts: HTML to plain text, hashtags, mentions and the playing track."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.sources.text.post_text import hashtags, mentions, now_playing, plain

MASTODON = (
    '<p><span class="h-card"><a href="https://music.example/@bob" class="u-url mention">@<span>bob</span></a></span> '
    '<a href="https://music.example/tags/NowPlaying" class="mention hashtag" rel="tag">#<span>NowPlaying</span></a> '
    "Simon &amp; Garfunkel – America<br />so good</p><p>second</p>"
)


def test_html_becomes_the_text_that_a_reader_sees() -> None:
    words, links = plain(MASTODON)
    assert words == "@bob #NowPlaying Simon & Garfunkel – America\nso good\nsecond"
    assert links == ["https://music.example/@bob", "https://music.example/tags/NowPlaying"]


@pytest.mark.parametrize(
    ("html", "seen"),
    [
        ("a<script>alert('x > y')</script>b", "ab"),
        ("<style>p{}</style><P>A<BR>B</P>", "A\nB"),
        ("I <3 this & that &lt;b&gt;", "I <3 this & that <b>"),
        ("one\ntwo   three", "one two three"),
        ("cut <a href='x", "cut <a href='x"),
        ("<!-- hidden -->seen", "seen"),
        ("<script>never closed", ""),
        ("", ""),
    ],
)
def test_markup_is_not_part_of_the_text(html: str, seen: str) -> None:
    assert plain(html)[0] == seen


@pytest.mark.parametrize(
    "evil", ["<a ", "<", "<!--", "<a href='", "</", "&", "<p x=", "#", "@a.", " - ", "#nowplaying "]
)
def test_hostile_text_takes_little_time(evil: str) -> None:
    text = evil * (100_000 // len(evil))
    began = time.process_time()
    words, _ = plain(text)
    hashtags(words), mentions(words), now_playing(words)
    assert time.process_time() - began < 5  # quadratic work takes minutes


@given(st.text(st.sampled_from("<>/ap=\"'& \n#@-–!;"), max_size=60))
def test_any_markup_is_parsed_without_an_error(text: str) -> None:
    words, _ = plain(text)
    hashtags(words), mentions(words), now_playing(words)
    assert all(line == line.strip() and line for line in words.splitlines())


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("#nowplaying Artist – Title", ("Artist", "Title")),
        ("#NowPlaying: Artist - Title (Live) - Mono #jazz https://x.example/y", ("Artist", "Title (Live) - Mono")),
        ("Artist — Title #nowplaying", ("Artist", "Title")),
        ("oh – yes! #nowplaying A-ha – Take On Me @bob", ("A-ha", "Take On Me")),
        ("#nowplaying\n♫ Artist – “Title”", ("Artist", "Title")),
        ("#nowplaying Garbage – #1 Crush 🎵", ("Garbage", "#1 Crush")),
        ("#nowplaying Miles Davis – 'Round Midnight", ("Miles Davis", "'Round Midnight")),
        ("#nowplaying something nice", None),
        ("#nowplaying – Title", None),
        ("Artist – Title", None),
        ("#nowplayingnot Artist – Title", None),
        ("https://x.example/#nowplaying Artist – Title", None),
    ],
)  # fmt: skip
def test_the_playing_track_is_found_by_the_hashtag_and_a_dash(text: str, named: tuple[str, str] | None) -> None:
    assert now_playing(text) == named


def test_hashtags_and_mentions_of_a_text_are_returned_once_each() -> None:
    text = "@bob, @Ann@music.example. mail me@x.example #Jazz #jazz #1 #２nd! a#b https://x.example/@no#way &#39;"
    assert hashtags(text) == ["jazz", "2nd"]
    assert mentions(text) == ["bob", "Ann@music.example"]
