"""Make text from data printable: one line that means what it shows, in terminals, tables, logs and errors.

Escape sequences can rewrite a terminal, line breaks can imitate lines of their own, and invisible or reordering
characters can imitate another name. Each such character is shown as Python's escape of it, such as `\\x1b`.
"""

import re
from unicodedata import category

# Characters that no font shows, but that Python calls printable: fillers, and variants of the character before them.
INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
JOINERS = "\u200c\u200d"  # part of the spelling of Persian and Indic words, and of emoji
VARIANTS = "\ufe0e\ufe0f"  # of a sign: as text or as emoji
SIGNS = ("So", "Sm", "Sk")


def printable(text: str) -> str:
    """Escape each character of `text` that a terminal would obey, hide or reorder. Other text stays as it is."""
    if text.isprintable() and not INVISIBLE.search(text):
        return text
    return "".join(c if _is_plain(text, at) else ascii(c)[1:-1] for at, c in enumerate(text))


def _is_plain(text: str, at: int) -> bool:
    """Return whether the character at a position can be shown as it is."""
    char = text[at]
    if char in JOINERS:  # between letters of the scripts that need them, or between signs
        before, after = category(text[at - 1]) if at else "", category(text[at + 1]) if at + 1 < len(text) else ""
        return before in ("Lo", "Mn", "Mc", *SIGNS) and after in ("Lo", *SIGNS)
    if char in VARIANTS:
        return at > 0 and (category(text[at - 1]) in SIGNS or text[at - 1] in "#*0123456789")
    return (char.isprintable() and not INVISIBLE.match(char)) or category(char) == "Zs"
