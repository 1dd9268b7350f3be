"""Name keys: equal names have equal keys, and other names have other keys."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.imports.name_key import SUBMITTED, name_keys

TEXT = st.one_of(st.none(), st.sampled_from(("", " ", "a", "a b", "b", "\x1f", "Björk", "Bjo\u0308rk")))
NAMES = st.tuples(TEXT, TEXT, TEXT, TEXT, st.lists(st.sampled_from(("x", "y"))))


def columns(*names: tuple[object, ...]) -> dict[str, pa.Array]:
    types = [*(pa.string() for _ in SUBMITTED[1:]), pa.list_(pa.string())]
    return {n: pa.array([row[i] for row in names], types[i]) for i, n in enumerate(SUBMITTED)}


def joinable(name: tuple[object, ...]) -> tuple[object, ...]:
    """Return a name as it is compared, with absent fields as empty text."""
    return (*(field or "" for field in name[:4]), tuple(name[4]))  # type: ignore[arg-type]


def test_a_stored_name_key_never_changes() -> None:
    assert name_keys(columns(("Artist", "Song", None, None, []))).to_pylist() == [-5427212117212255580]


@given(st.lists(NAMES, max_size=30))
def test_only_equal_names_have_equal_keys(names: list[tuple[object, ...]]) -> None:
    keys = name_keys(columns(*names)).to_pylist()
    assert len(set(zip(map(joinable, names), keys, strict=True))) == len(set(map(joinable, names))) == len(set(keys))


@pytest.mark.parametrize("absent", SUBMITTED[2:])
def test_a_missing_field_counts_as_an_empty_one(absent: str) -> None:
    fields = columns(("Artist", "Song", None, None, []))
    assert name_keys({n: c for n, c in fields.items() if n != absent}) == name_keys(fields)
