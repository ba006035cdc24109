"""Every layer against tools that lie, lines that break and machines that are silent."""

from contextlib import suppress

import pytest

from extendctl.compute.partition import PartitionView
from extendctl.errors import NotVerified, OutcomeUnknown, Unreachable
from extendctl.stack import ToolFailed, grow
from tests.test_layers import ALL, EVERY, ready, sizes
from tests.world.every import SITES

pytestmark = pytest.mark.long

TOOLS = {
    "lv": "lvextend",
    "file": "truncate",
    "path": "tee",
    "loop": "losetup",
    "multipath": "multipathd",
    "partition": "partx",
    "luks": "cryptsetup",
    "pv": "pvresize",
    "guest-lv": "lvextend",
    "swap": "mkswap",
    "ext4": "resize2fs",
    "xfs": "xfs_growfs",
    "btrfs": "btrfs",
}
"""What makes a layer larger; of several tools the last one that does."""

FIRST = {"partx": "sfdisk", "kpartx": "sfdisk", "mkswap": "swapoff"}
"""What a layer of several deeds begins with."""


def tool_of(name: str, kind: str) -> str | None:
    """The tool of a layer; None where it follows by itself, as udev lets partitions of a map do."""
    if kind == "partition" and "multipath" in name:
        return None
    return "kpartx" if (kind, name) == ("partition", "kpartx") else TOOLS.get(kind)


ACTING = pytest.mark.parametrize(
    ("name", "place", "tool"),
    [(name, place, tool) for name, place, kind in ALL if (tool := tool_of(name, kind))],
    ids=[f"{name}-{place}-{kind}" for name, place, kind in ALL if tool_of(name, kind)],
)


@ACTING
def test_exit_0_without_growth_is_not_believed(name: str, place: int, tool: str) -> None:
    one = ready(name, place)
    layer = one.layer
    one.site.world.lie(layer.host, tool, out="ok\n", only="deed")
    with pytest.raises(NotVerified):
        grow(layer, one.room)


@ACTING
def test_a_bad_exit_with_growth_is_no_failure(name: str, place: int, tool: str) -> None:
    one = ready(name, place)
    layer = one.layer
    one.site.world.lie(layer.host, tool, status=1, acts=True, only="deed")
    assert grow(layer, one.room) >= one.room - layer.slack


@ACTING
def test_a_bad_exit_without_growth_is_told_in_the_tools_words(
    name: str, place: int, tool: str
) -> None:
    one = ready(name, place)
    layer = one.layer
    one.site.world.lie(layer.host, tool, status=5, err="the moon is full", only="deed")
    with pytest.raises(ToolFailed, match="the moon is full"):
        grow(layer, one.room)


@ACTING
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_line_lost_during_a_deed_is_an_unknown_outcome(
    name: str, place: int, tool: str, when: str
) -> None:
    one = ready(name, place)
    layer = one.layer
    one.site.world.cut(layer.host, tool=tool, when=when, only="deed")
    with pytest.raises(OutcomeUnknown, match=tool):
        grow(layer, one.room)
    assert grow(one.layer, one.room) >= one.room - layer.slack


@ACTING
def test_a_line_lost_before_the_deed_was_sent_changed_nothing(
    name: str, place: int, tool: str
) -> None:
    one = ready(name, place)
    before = sizes(one.site)
    layer = one.layer
    first = "blockdev" if isinstance(layer, PartitionView) else FIRST.get(tool, tool)
    one.site.world.cut(layer.host, tool=first, when="unsent", only="deed")
    with pytest.raises(Unreachable):
        grow(layer, one.room)
    assert sizes(one.site) == before


@ACTING
def test_a_tool_that_is_ended_for_taking_too_long_is_an_unknown_outcome(
    name: str, place: int, tool: str
) -> None:
    one = ready(name, place)
    layer = one.layer
    one.site.world.slow(layer.host, tool, 48 * 3600, acts=False, only="deed")
    with pytest.raises((OutcomeUnknown, Unreachable)):
        grow(layer, one.room)


@pytest.mark.parametrize(
    ("tool", "acts"), [("swapoff", False), ("mkswap", False), ("mkswap", True)]
)
def test_swap_space_that_is_in_use_again_has_no_note_that_it_rests(tool: str, acts: bool) -> None:
    """With one left, swap space that somebody switches off later would be switched on again."""
    one = ready("swap", 3)
    one.site.world.lie("web1", tool, status=1, acts=acts, only="deed")
    with suppress(ToolFailed):
        grow(one.layer, one.room)
    machine = one.site.world.state.machines["web1"]
    assert list(machine.swapped) == ["sdb"]
    assert not any(machine.resting.values())  # an empty note is none


@EVERY
def test_silence_is_not_an_answer(name: str, place: int) -> None:
    site = SITES[name]()
    hosts = site.hosts()
    layer = site.layers(hosts)[place]
    site.world.down(layer.host)
    hosts[layer.host].forget()
    with pytest.raises(Unreachable):
        layer.measure()


@EVERY
def test_a_lost_answer_is_no_answer(name: str, place: int) -> None:
    """Nor a refusal, nor a doubt about what was done: nothing was. Some are asked twice."""
    site = SITES[name]()
    hosts = site.hosts()
    layer = site.layers(hosts)[place]
    for _ in range(4):
        site.world.cut(layer.host, 1, "after", only="question", times=None)
    hosts[layer.host].forget()
    with pytest.raises(Unreachable):
        layer.measure()
