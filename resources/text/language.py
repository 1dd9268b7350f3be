"""Identify the language of lyrics.

py3langid (BSD-3-Clause, 4.5 MB) is naive Bayes over byte sequences. It was measured on 160 lines of songs in eight
languages, including Latin. Shares of correctly identified lines:

- py3langid with the languages below: .98, and .97 from the first four words of each line.
- lingua (Apache-2.0, 96 MB): .98 and .96.
- fastText's small model with all its languages: .89, and .30 of the Latin lines.
- langdetect: .80, and none of the Latin lines.

Of the answers above `MIN_CONFIDENCE`, .99 were correct. Of whole songs, all were.
"""

import functools
from typing import Any

# All languages with a script of their own, and the most sung ones of each shared script. Each further language lowers
# the confidence of the others. Latin is included because choirs sing it.
LANGUAGES = (
    "am ar be bg bn cs cy da de el en es fa fi fr ga gu he hi hr hu hy id is it ja ka kk km kn ko la lo mk ml mn mr my"
    " ne nl no pa pl pt ro ru si sr sv ta te th tr uk ur vi zh"
)
MIN_CONFIDENCE = 0.5  # below it another language is as likely, as for "la la la"
MAX_CHARS = 10_000  # the rest of a text is ignored


def identify(text: str) -> tuple[str, float] | None:
    """Return the language of a text (ISO 639-1) and the confidence from 0 to 1, or None below `MIN_CONFIDENCE`."""
    language, confidence = _identifier().classify(text[:MAX_CHARS])
    return (str(language), float(confidence)) if confidence >= MIN_CONFIDENCE else None


@functools.cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # loading takes half a second

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(LANGUAGES.split())
    return identifier
