"""Lists of shards in one word, against what WebDataset reads them with."""

import pytest
from braceexpand import braceexpand
from hypothesis import example, given
from hypothesis import strategies as st

from shards.brace_patterns import MAX_URLS, ShardUrlError, expand_braces

words = st.text(alphabet="ab/-.:0", max_size=4)
ends = st.one_of(st.integers(0, 30).map(str), st.integers(0, 12).map("{:03d}".format))
ranges = st.tuples(ends, ends).map(lambda pair: f"{{{pair[0]}..{pair[1]}}}")
braced = st.recursive(
    words | ranges,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"{{{','.join(parts)}}}"),
        st.lists(inner, min_size=1, max_size=2).map("".join),
    ),
    max_leaves=4,
)


@given(braced)
@example("s3://bucket/train-{000..120}.tar")
@example("{10..5}")
@example("{x{1,2},y}")
@example("{1..010}")
@example("{a,{b,c}}/{train,val}-{08..12}.tar")
def test_lists_are_read_as_webdataset_reads_them(text: str) -> None:
    assert expand_braces(text) == list(dict.fromkeys(braceexpand(text)))


@pytest.mark.parametrize("text", ["{0..999999999999}", "{0..9999}{0..9999}{0..9999}"])
def test_more_than_anybody_has_ends_at_once(text: str) -> None:
    with pytest.raises(ShardUrlError, match=f"stands for more than {MAX_URLS} shards"):
        expand_braces(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("train-{000..120.tar", "a brace without its other half"),
        ("train-000..120}.tar", "a brace without its other half"),
        ("train-{000}.tar", r"got \{000\}; expected a list"),
        ("train-{a..7}.tar", r"got \{a\.\.7\}; expected a list"),
    ],
)
def test_what_cannot_be_understood_is_told(text: str, told: str) -> None:
    with pytest.raises(ShardUrlError, match=told):
        expand_braces(text)
