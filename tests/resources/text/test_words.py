"""Words: a text is split by the rules of its language."""

import pytest

from resources.text.words import words


@pytest.mark.parametrize(
    ("language", "text", "wanted"),
    [
        ("fr", "L'amour, j’ai qu'aujourd'hui", "l' amour j' ai qu' aujourd'hui"),
        ("it", "Dell'amore c'è un po' d’acqua", "dell' amore c' è un po d' acqua"),
        ("en", "Don't you rock'n'roll, 'cause I’m l'amour", "don't you rock'n'roll cause i'm l'amour"),
        ("de", "Straße STRASSE geht's Äpfel", "strasse strasse geht's äpfel"),
        ("tr", "IŞIK İstanbul ılık", "ışık istanbul ılık"),
        ("en", "INSIDE", "inside"),
        ("ja", "愛してる、LOVEだ", "愛し して てる love だ"),
        ("zh", "月亮代表 心", "月亮 亮代 代表 心"),
        ("ko", "사랑해 너를", "사랑해 너를"),
        (None, "e\u0301te\u0301 L'amour", "été l'amour"),
        ("en", "[Chorus]\nla la\n[Verse 2]\nla [la]", "la la la la"),
    ],
)
def test_words_are_split_by_the_rules_of_their_language(language: str | None, text: str, wanted: str) -> None:
    assert words(text, language) == wanted.split()


def test_marks_stay_with_their_sign_in_scripts_without_spaces() -> None:
    assert words("รักเธอ", "th") == ["รัก", "กเ", "เธ", "ธอ"]
