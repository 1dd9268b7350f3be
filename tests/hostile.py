"""Hostile names: text from outside that a terminal obeys, a browser renders, or a person misreads."""

import unicodedata

CONTROLS = {
    "an escape sequence": "\x1b[31mred\x1b[2J",
    "a window title": "\x1b]0;title\x07",
    "a hyperlink": "\x1b]8;;http://203.0.113.250/\x1b\\here\x1b]8;;\x1b\\",
    "a bell": "bell\a",
    "a C1 control": "C1\x9b2J\x9d0;t\x9c",
    "a backspace": "good\b\b\b\bevil",
    "a carriage return": "good\revil",
    "a line break": "one\ntutti: two",
    "other line breaks": "a\vb\fc\x1cd\x1de\x1ef\x85g",
    "a line separator": "one\u2028two\u2029three",
    "a bidirectional override": "evil\u202egpj.exe\u202c",
    "a bidirectional embedding": "\u202aone\u202btwo",
    "a bidirectional isolate": "\u2066one\u2067two\u2068three\u2069",
    "a bidirectional mark": "one\u200etwo\u200fthree\u061c",
    "a zero-width space": "ad\u200bele",
    "a joiner in Latin": "ad\u200dele\u200c",
    "a word joiner": "\u2060ad\ufeffele\xad",
    "an invisible letter": "ad\u3164ele\u115f",
    "a variation selector": "ad\ufe0fele\U000e0100",
    "tags": "ad\U000e0041\U000e007fele",
    "a lone surrogate": "half \ud83d and \udc80",
    "a null": "nothing\0",
}
MARKDOWN = {
    "an image": "![p](http://203.0.113.250/pix.png)",
    "an image by reference": "![p][r] [r]: http://203.0.113.250/ref.png",
    "a script": "<script>window.hacked = 1</script>",
    "an element": "<img src=http://203.0.113.250/tag.png onerror=window.hacked=1>",
    "an element of SVG": "<svg onload='window.hacked = 1'></svg>",
    "an entity": "&lt;script&gt; &#60;b&#62;",
    "a script's link": "[go](javascript:window.hacked=1)",
    "an unfinished link": "](javascript:window.hacked=1)",
    "an automatic link": "<http://203.0.113.250/auto>",
    "an address": "http://203.0.113.250/bare",
    "an address without a scheme": "www.example.net/bare",
    "a mail address": "ada@example.net",
    "a new cell": "one | two |",
    "an escaped pipe": "one \\| two \\",
    "a new row": "one |\n| --- |\n| two |",
    "code": "`one` ``two`` ```",
    "an address in code": "`http://203.0.113.250/code` | `",
    "emphasis": "*one* __two__ ~~three~~",
    "a heading": "# one",
    "a list": "- one",
    "a numbered list": "1. one",
    "a quotation": "> one",
    "a rule": "---",
    "a footnote": "one[^1] [^1]: two",
}
NAMES = CONTROLS | MARKDOWN
BENIGN = (
    "Beyoncé – Déjà Vu",
    "宇多田ヒカル　初恋",
    "می‌خواهم",
    "क्‍ष",
    "👨‍👩‍👧 ❤️ 1️⃣",
    "AC/DC – It's a Long Way (Live) [1977]",
    "Иван",
    "!!! – P!nk? $1",
)


def misleading(text: str) -> list[str]:
    """Return the characters of a text that no output may contain, line feeds aside."""
    categories = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    invisible = "\u115f\u1160\u3164\uffa0\u034f\ufe0f"
    return [ascii(c) for c in text if (unicodedata.category(c) in categories and c != "\n") or c in invisible]
