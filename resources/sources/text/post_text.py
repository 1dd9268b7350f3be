"""The text of posts: HTML as plain text, and what people write into it: @mentions, #hashtags and what is playing.

A post says what is playing as "#nowplaying Artist – Title", or with the hashtag at the end. Which recording that is, is
not for a source to decide.
"""

import html
import re
import unicodedata
from collections.abc import Iterable

# Linear, whatever is written: the standard library's parser takes minutes for 100 kB of tags that never end.
TAG = re.compile(r"<(/?)([a-zA-Z!?][^\s<>/]*+)([^<>]*+)>")
LINK = re.compile(r"""\bhref\s*+=\s*+(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
HASHTAG = re.compile(r"(?<![\w&/#])#(?=\w*[^\W\d_])(\w+)")  # "#1" is a number
MENTION = re.compile(r"(?<![\w./@])@(\w[\w.-]*(?:@[\w-]+(?:\.[\w-]+)+)?)(?<![.-])")
ADDRESS = re.compile(r"https?://\S+")
NOW_PLAYING = re.compile(r"(?<![\w&/#])#nowplaying\b", re.IGNORECASE)
DASH = re.compile(r" (?:[-\u2010-\u2015\u2212]|--) ")  # of any length, with space around
ORNAMENT = ' \t\r\n:;,|•·~"“”„«»♩♪♫♬🎵🎶🎧\ufe0f'  # at the ends of a name as it is posted
BREAKS = {"p", "br", "div", "li", "ul", "ol", "blockquote", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "tr", "hr"}
UNSEEN = {"script", "style", "template", "noscript", "head", "title"}
SPACES = re.compile(r"[^\S\n]+")


def plain(markup: str) -> tuple[str, list[str]]:
    """HTML as a reader sees it, and the addresses its links lead to."""
    parts: list[str] = []
    links: list[str] = []
    at, unseen = 0, ""
    for found in TAG.finditer(markup):
        if not unseen:
            parts.append(markup[at : found.start()].replace("\n", " "))
        at = found.end()
        closes, tag = bool(found[1]), found[2].lower()
        if unseen:
            unseen = "" if closes and tag == unseen else unseen
        elif tag in UNSEEN and not closes:
            unseen = tag
        elif tag in BREAKS:
            parts.append("\n")
        elif tag == "a" and (link := LINK.search(found[3])):
            links.append(html.unescape(link[1] or link[2] or ""))
    if not unseen:
        parts.append(markup[at:].replace("\n", " "))
    return tidy(html.unescape("".join(parts))), links


def tidy(text: str) -> str:
    """Lines without space at their ends, and none that is empty."""
    lines = (SPACES.sub(" ", line).strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def hashtag(name: str) -> str:
    """A hashtag as it is compared: without its sign, whatever the case."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip().lstrip("#")


def hashtags(text: str) -> list[str]:
    """The hashtags of a text."""
    return once(hashtag(found) for found in HASHTAG.findall(ADDRESS.sub(" ", text)))


def mentions(text: str) -> list[str]:
    """Whom a text mentions, without the sign."""
    return once(MENTION.findall(ADDRESS.sub(" ", text)))


def now_playing(text: str) -> tuple[str, str] | None:
    """Artist and title of what a post says is playing, if it says that.

    It is looked for after the hashtag, then in the rest of its line, then in the line below.
    """
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if found := NOW_PLAYING.search(line):
            below = lines[number + 1] if number + 1 < len(lines) else ""
            for part in (line[found.end() :], line, below):
                if named := _named(part):
                    return named
    return None


def _named(text: str) -> tuple[str, str] | None:
    """Artist and title on either side of the first dash, but for what else is in a line of a post."""
    for noise in (ADDRESS, HASHTAG, MENTION):
        text = noise.sub(" ", text)
    artist, dash, title = _divided(f" {' '.join(text.split())} ")
    artist, title = _bare(artist), _bare(title)
    return (artist, title) if dash and artist and title else None


def _bare(name: str) -> str:
    """A name without what posts put around it; a quotation mark whose other one is inside the name stays."""
    bare = name.strip(ORNAMENT)
    return name.strip(ORNAMENT.replace('"', "")) if bare.count('"') % 2 else bare


def _divided(text: str) -> tuple[str, bool, str]:
    found = DASH.search(text)
    return (text[: found.start()], True, text[found.end() :]) if found else (text, False, "")


def once(values: Iterable[str]) -> list[str]:
    """Each value once, in order."""
    return list(dict.fromkeys(v for v in values if v))
