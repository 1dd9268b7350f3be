"""Parse the text of posts: HTML to plain text, @mentions, #hashtags and the playing track.

A post names the playing track as "#nowplaying Artist – Title", or with the hashtag at the end. Assets match that with
a recording.
"""

import html
import re
import unicodedata
from collections.abc import Iterable

# Linear time for any input: the standard library's parser takes minutes for 100 kB of unclosed tags.
TAG = re.compile(r"<(/?)([a-zA-Z!?][^\s<>/]*+)([^<>]*+)>")
LINK = re.compile(r"""\bhref\s*+=\s*+(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
HASHTAG = re.compile(r"(?<![\w&/#])#(?=\w*[^\W\d_])(\w+)")  # "#1" is a number
MENTION = re.compile(r"(?<![\w./@])@(\w[\w.-]*(?:@[\w-]+(?:\.[\w-]+)+)?)(?<![.-])")
ADDRESS = re.compile(r"https?://\S+")
NOW_PLAYING = re.compile(r"(?<![\w&/#])#nowplaying\b", re.IGNORECASE)
DASH = re.compile(r" (?:[-\u2010-\u2015\u2212]|--) ")  # of any length, with space around
ORNAMENTS = ' \t\r\n:;,|•·~"“”„«»♩♪♫♬🎵🎶🎧\ufe0f'  # stripped from both ends of a name
LINE_BREAKING = {
    "p",
    "br",
    "div",
    "li",
    "ul",
    "ol",
    "blockquote",
    "pre",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "tr",
    "hr",
}
INVISIBLE = {"script", "style", "template", "noscript", "head", "title"}
SPACES = re.compile(r"[^\S\n]+")


def plain(markup: str) -> tuple[str, list[str]]:
    """Convert HTML to plain text. Return the text and the addresses of its links."""
    parts: list[str] = []
    links: list[str] = []
    at, hidden_by = 0, ""
    for match in TAG.finditer(markup):
        if not hidden_by:
            parts.append(markup[at : match.start()].replace("\n", " "))
        at = match.end()
        closes, tag = bool(match[1]), match[2].lower()
        if hidden_by:
            hidden_by = "" if closes and tag == hidden_by else hidden_by
        elif tag in INVISIBLE and not closes:
            hidden_by = tag
        elif tag in LINE_BREAKING:
            parts.append("\n")
        elif tag == "a" and (link := LINK.search(match[3])):
            links.append(html.unescape(link[1] or link[2] or ""))
    if not hidden_by:
        parts.append(markup[at:].replace("\n", " "))
    return tidy(html.unescape("".join(parts))), links


def tidy(text: str) -> str:
    """Strip each line, collapse its spaces and drop empty lines."""
    lines = (SPACES.sub(" ", line).strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def hashtag(name: str) -> str:
    """Normalize a hashtag for comparison: NFKC, case folded, without the sign."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip().lstrip("#")


def hashtags(text: str) -> list[str]:
    """Return the normalized hashtags of a text, each once."""
    return once(hashtag(name) for name in HASHTAG.findall(ADDRESS.sub(" ", text)))


def mentions(text: str) -> list[str]:
    """Return the names that a text mentions, each once, without the sign."""
    return once(MENTION.findall(ADDRESS.sub(" ", text)))


def now_playing(text: str) -> tuple[str, str] | None:
    """Return artist and title of the track that a post names as playing, or None.

    Searches after the hashtag, then in the whole line, then in the line below.
    """
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if match := NOW_PLAYING.search(line):
            below = lines[number + 1] if number + 1 < len(lines) else ""
            for part in (line[match.end() :], line, below):
                if names := _artist_and_title(part):
                    return names
    return None


def _artist_and_title(text: str) -> tuple[str, str] | None:
    """Return artist and title around the first dash, ignoring addresses, hashtags and mentions."""
    for noise in (ADDRESS, HASHTAG, MENTION):
        text = noise.sub(" ", text)
    artist, dash, title = _split_at_dash(f" {' '.join(text.split())} ")
    artist, title = _without_ornaments(artist), _without_ornaments(title)
    return (artist, title) if dash and artist and title else None


def _without_ornaments(name: str) -> str:
    """Strip ornaments from both ends of a name. A quotation mark stays if its pair is inside the name."""
    bare = name.strip(ORNAMENTS)
    return name.strip(ORNAMENTS.replace('"', "")) if bare.count('"') % 2 else bare


def _split_at_dash(text: str) -> tuple[str, bool, str]:
    match = DASH.search(text)
    return (text[: match.start()], True, text[match.end() :]) if match else (text, False, "")


def once(values: Iterable[str]) -> list[str]:
    """Return the non-empty values without duplicates, in order."""
    return list(dict.fromkeys(v for v in values if v))
