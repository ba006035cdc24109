"""An argv arrives word for word on the other side of a real shell."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extendctl.errors import Usage
from extendctl.shell import render

# Prints its arguments with a NUL after each, so that no word can hide in another.
ECHO = ("printf", "%s\\0")
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


def through_a_shell(argv: list[str]) -> list[str]:
    done = subprocess.run(
        ["/bin/sh", "-c", render([*ECHO, *argv])], capture_output=True, check=True, timeout=10
    )
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize(
    "word",
    [
        "", " ", "a b", "'", '"', "''", "\\", "$HOME", "${HOME}", "$(id)", "`id`", "a;b", "a&b",
        "a|b", ">x", "<x", "*", "?", "[a]", "~", "#", "!", "\n", "a\nb", "\t", "-n", "--", "=",
        "ä€😀", "vg0/vol1", "--size=>1024", "%s\n%F", "{a,b}", "\x7f", "\x01", "it's",
    ],
)  # fmt: skip
def test_a_word_survives(word: str) -> None:
    assert through_a_shell(["before", word, "after"]) == ["before", word, "after"]


@settings(max_examples=60, deadline=None)
@given(st.lists(words, min_size=1, max_size=6))
def test_any_words_survive(argv: list[str]) -> None:
    assert through_a_shell(argv) == argv


def test_what_no_argv_can_carry_is_refused() -> None:
    with pytest.raises(Usage, match="NUL"):
        render(["echo", "a\0b"])
    with pytest.raises(Usage, match="empty"):
        render([])


def test_what_needs_no_quotes_gets_none() -> None:
    assert render(["sudo", "-n", "lvs", "vg0/vol1"]) == "sudo -n lvs vg0/vol1"
