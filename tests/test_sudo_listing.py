"""Which of sudo's rules decides is read off its listing as the real sudo decides it."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extendctl import sudo_listing
from extendctl.posix_patterns import Effort, extended, glob
from tests import phrases
from tests.properties import examples

RECORDED = json.loads((Path(__file__).parent / "recorded/sudo-listings.json").read_text())
SAMPLES: list[dict[str, Any]] = RECORDED["samples"]
PATTERNS: dict[str, list[str]] = RECORDED["patterns"]
"""By each pattern of arguments, as sudo lists it, what of RECORDED["arguments"] it takes in."""
WORDS = phrases.sent(("tee", "/sys/block/sdb/device/rescan"))
HEAD = ["User ops may run the following commands on web1:", "    (root) NOPASSWD: /bin/true, ALL"]
SECONDS = 10.0


def asking(listing: Sequence[str], words: Sequence[str] = WORDS) -> bool | None:
    """None where the listing is not understood."""
    try:
        return sudo_listing.asking(listing, words) is not None
    except ValueError:
        return None


def cases(*, certain: bool) -> list[Any]:
    return [
        pytest.param(sample["listing"], command, id=f"{sample['name']} {command['words'][-2]}")
        for sample in SAMPLES
        if sample["certain"] is certain
        for command in sample["commands"]
    ]


def wants_one(command: dict[str, Any]) -> bool:
    return any("password is required" in line for line in command["stderr"])


@pytest.mark.parametrize(("listing", "command"), cases(certain=True))
def test_what_sudo_says_yes_to_and_does_not_do_is_known(
    listing: list[str], command: dict[str, Any]
) -> None:
    believed = command["listed"] == 0
    assert (believed and asking(listing, command["words"])) == (believed and wants_one(command))


@pytest.mark.parametrize(("listing", "command"), cases(certain=False))
def test_what_is_not_certain_is_no_obstacle(listing: list[str], command: dict[str, Any]) -> None:
    assert not asking(listing, command["words"])


def test_the_recording_has_what_the_problem_is() -> None:
    found = [one for sample in SAMPLES for one in sample["commands"]]
    assert sum(one["listed"] == 0 and wants_one(one) for one in found) > 10
    assert sum(one["listed"] == 0 and not wants_one(one) for one in found) > 10


def matched(shown: str, text: str) -> bool | None:
    """Whether a rule's arguments take in this one; None where that is not certain."""
    listing = [*HEAD, f"    (root) PASSWD: /usr/bin/timeout {shown}"]
    return asking(listing, ("timeout", text) if text else ("timeout",))


@pytest.mark.parametrize("shown", PATTERNS)
def test_a_pattern_matches_what_it_matches_for_sudo(shown: str) -> None:
    for text in RECORDED["arguments"]:
        known = None if shown in DOUBTED else text in PATTERNS[shown]
        assert matched(shown, text) is known, text


DOUBTED = {
    "^()a$", "^a||b$", r"^\w+$", r"^(a)\1$", "^a**$", "^[[.a.]]$", "^a{,2}$", "^a+?$",
}  # fmt: skip
"""What the C libraries read differently, and what nobody writes."""


def test_of_the_printed_file_every_rule_is_read() -> None:
    (listing,) = (one["listing"] for one in SAMPLES if one["name"] == "the printed file last")
    _, rules = sudo_listing.rules(listing)
    assert len(rules) > 10
    for rule in rules[1:]:
        assert not rule.asks
        assert rule.as_root
        extended(rule.arguments or "", " ".join(WORDS[1:]), Effort())


def test_a_listing_that_is_wrapped_reads_the_same() -> None:
    """So it is where standard output is neither a pipe nor wider than 80 columns."""
    wrapped = [
        "Matching Defaults entries for ops on web1:",
        "    env_reset, mail_badpass,",
        "    use_pty",
        "",
        *HEAD[:1],
        "    (root) NOPASSWD: /bin/true, PASSWD: /usr/bin/timeout",
        "        -k 5 * tee *",
    ]
    assert asking(wrapped)
    assert not asking(wrapped, phrases.sent(("true",)))


@pytest.mark.parametrize(
    "line",
    [
        "sudo: unable to resolve host web1",
        "a line that is too long",
        "    (root",
        "    (root) ",
        "    (root) PASSWD: ",
        "    (root) PASSWD: /usr/bin/timeout a,b",
        "    (root) PASSWD: /usr/bin/timeout ^a",
        "    (root) PASSWD: ^/usr/bin/timeout",
        "    (root) PASSWD: /usr/bin/timeout a\\\\b",
        "    (root) PASSWD: /usr/bin/timeout größe",
        "    (root) PASSWD: /usr/bin/timeout [a",
        "    (root) PASSWD: usr/bin/env",
    ],
)
def test_what_is_not_understood_is_not_believed(line: str) -> None:
    assert asking([*HEAD, line]) is None


def test_a_rule_is_shown_with_its_users_and_no_longer_than_a_message() -> None:
    rule = sudo_listing.asking([*HEAD, "    (root, ops : disk) /usr/bin/timeout *"], WORDS)
    assert str(rule) == "(root, ops) /usr/bin/timeout *"
    rule = sudo_listing.asking([*HEAD, f"    (root) /usr/bin/timeout {'*' * 999}"], WORDS)
    assert len(str(rule)) < 250


PIECES = st.sampled_from(
    [*'()[]{}^$|*+?\\.,:=#! "/a-', ", ", "    (", "(root) ", "PASSWD: ", "NOPASSWD: ", "ALL",
     "/usr/bin/timeout", "^/usr/bin/", "LC_ALL", "sha256:0", "{2,255}", "(a*)*", "[[:alpha:]]", "é",
     "\t", "CWD=", "\n", "User ops may run:"]
)  # fmt: skip
LINES = st.lists(st.lists(PIECES, max_size=30).map("".join), max_size=8)


@examples(300)
@given(lines=LINES, known=st.booleans())
def test_nothing_in_a_listing_does_anything_but_be_read_or_refused(
    lines: list[str], known: bool
) -> None:
    before = time.process_time()
    asking([*HEAD, *(f"    (root) PASSWD: {one}" for one in lines)] if known else lines)
    assert time.process_time() - before < SECONDS


@examples(300)
@given(pattern=st.lists(PIECES, max_size=20).map("".join), text=st.text("ab/^$ \n", max_size=20))
def test_no_pattern_does_anything_but_match_or_not(pattern: str, text: str) -> None:
    for match in (extended, glob):
        try:
            assert match(pattern, text, Effort()) in {True, False}
        except ValueError:
            continue


@pytest.mark.parametrize(
    "rule",
    [
        "/usr/bin/timeout ^(a*)*(a*)*(a*)*b$",
        "/usr/bin/timeout ^((a{255}){255}){255}$",
        f"/usr/bin/timeout ^{'(' * 2000}a{')' * 2000}$",
        f"/usr/bin/timeout ^{'(a|' * 30}b{')' * 30}.*{'.?' * 500}$",
        f"/usr/bin/timeout ^{'a|' * 2000}b$",
        f"/usr/bin/timeout {'*a' * 2000}",
        "^" * 9000,
        "^$ " * 9000,
        "/a ^$ " * 9000,
        "sha256:0, " * 3000,
        "NOPASSWD: " * 3000,
        "\\" * 30000,
    ],
    ids=lambda rule: rule[:30],
)
@pytest.mark.parametrize("times", [1, 30])
def test_a_rule_that_is_made_to_take_long_does_not(rule: str, times: int) -> None:
    before = time.process_time()
    asking([*HEAD, *[f"    (root) PASSWD: {rule}"] * times], ("timeout", "a" * 3000))
    many = [f"    (root) PASSWD: {rule[:-1]}{one}{rule[-1]}" for one in range(times)]
    asking([*HEAD, *many], ("timeout", "a" * 3000))
    assert time.process_time() - before < SECONDS
