"""Whatever a machine or a person writes is read, or refused in a sentence; nothing else happens."""

import re
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extendctl.compute.linux import LinuxCompute
from extendctl.errors import Refused
from extendctl.model import GrowOptions, Identity
from extendctl.size import LARGEST
from tests.fuzz import seeds
from tests.fuzz.answers import QUESTIONS, machine
from tests.fuzz.subjects import SUBJECTS, TOWER, text_of
from tests.properties import examples

pytestmark = pytest.mark.long

SECONDS = 20.0
"""Of a processor; more than any reading of a flood may take. What is quadratic takes hours."""

TOKENS = [
    b"", b"0", b"-1", b"1", b"9" * 30, b"9" * 5000, b"NaN", b"Infinity", b"1e999", b"null", b"true",
    b"[]", b"{}", b"[[[[", b'"', b"'", b"\0", b"\t", b"\n", b" ", b"\r\n", b"\x1b[2J", b"\x9b1m",
    b"\xff\xfe", b"\xed\xb3\xbf", "²".encode(), "٢".encode(), "\u202e".encode(), b"[bold]",
    b"[link=file:///etc/passwd]", b"../..", b"$(id)", b"`id`", b"--size", b"end", b"Infinity%",
]  # fmt: skip

edits = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.integers(0, 40),
        st.one_of(st.sampled_from(TOKENS), st.binary(max_size=8)),
    ),
    max_size=6,
)
"""Where, as a share of the whole, how many bytes, and by what they are replaced."""


def edited(data: bytes, what: list[tuple[float, int, bytes]]) -> bytes:
    """The data with some of it replaced, the last first so that places stay where they are."""
    for share, length, token in sorted(what, reverse=True):
        at = int(share * len(data))
        data = data[:at] + token + data[at + length :]
    return data


def numbers(data: bytes, token: bytes) -> Iterator[bytes]:
    """The data with each number in it replaced, one at a time."""
    for match in re.finditer(rb"[0-9]+", data):
        yield data[: match.start()] + token + data[match.end() :]


@pytest.mark.parametrize("name", QUESTIONS)
def test_what_the_fuzzer_begins_with_is_read(name: str) -> None:
    """A seed that is refused would lead nowhere."""
    assert seeds.of(name)
    for text in seeds.of(name):
        machine(text_of(text)).ask(QUESTIONS[name]())


@pytest.mark.parametrize("name", SUBJECTS)
def test_what_once_broke_a_parser_does_so_no_more(name: str) -> None:
    """The samples as they are, and the inputs that the fuzzer has found."""
    for data in [*seeds.of(name), *seeds.found(name)]:
        SUBJECTS[name](data)


@pytest.mark.parametrize("name", SUBJECTS)
@examples(60)
@given(data=st.data())
def test_no_answer_does_anything_but_be_read_or_refused(name: str, data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from(seeds.of(name)))
    SUBJECTS[name](edited(seed, data.draw(edits)))


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("token", [b"9" * 30, b"9" * 5000, b"-1", b"0", "²".encode(), b"NaN", b""])
def test_no_number_is_too_absurd(name: str, token: bytes) -> None:
    """Each number in an answer in its turn, up to a hundred of them."""
    for count, data in enumerate(numbers(seeds.of(name)[-1], token)):
        if count == 100:
            break
        SUBJECTS[name](data)


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("junk", [b"null", b"[]", b'"x"', b"7", b'{"report": 7}', b"[" * 100_000])
def test_another_kind_of_document_is_refused(name: str, junk: bytes) -> None:
    SUBJECTS[name](junk)


def floods(seed: bytes, size: int) -> Iterator[tuple[str, bytes]]:
    """So many bytes, in every way that has made a reading slow."""
    lines = seed.splitlines(keepends=True)
    yield "digits", seed.strip() + b"9" * size
    yield "spaces", b"\n" + b" " * size + b"\n" + seed
    yield "line breaks", b"\n" * size + seed
    yield "the whole again and again", seed * (size // len(seed) + 1)
    for at in range(0, len(lines), max(1, len(lines) // 6)):
        again = lines[at] * (size // len(lines[at]))
        yield f"line {at} again and again", b"".join([*lines[:at], again, *lines[at:]])
    yield "documents", b"{}" * (size // 2)
    yield "NULs", b"\0" * size


def drown(name: str, size: int) -> None:
    for what, data in floods(seeds.of(name)[-1], size):
        begun = time.process_time()
        SUBJECTS[name](data)
        assert time.process_time() - begun < SECONDS, what


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_flood_of_half_a_megabyte_is_read_in_time(name: str) -> None:
    drown(name, 1 << 19)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", QUESTIONS)
def test_a_flood_of_ten_megabytes_is_read_in_time(name: str) -> None:
    drown(name, 10 << 20)


@pytest.mark.parametrize(
    ("phrase", "old", "new"),
    [
        ("logical_volumes", '"lv_size":"536870912"', '"lv_size":"1e9"'),
        ("logical_volumes", '"lv_size":"536870912"', f'"lv_size":"{LARGEST + 1}"'),
        ("logical_volumes", '"lv_size":"536870912"', '"lv_size":536870912'),
        ("logical_volumes", '"lv_size":"536870912"', '"lv_size":["536870912"]'),
        ("ext4", "Block size:               4096", "Block size:               0"),
        ("ext4", "Blocks per group:         32768", "Blocks per group:         0"),
        ("xfs", "agsize=32768 blks", "agsize=0 blks"),
        ("physical_volumes", '"pv_size":"1069547520"', '"pv_size":"-1"'),
        ("partition_table", '"sectorsize":512', '"sectorsize":0'),
        ("partition_table", '"sectorsize":512', '"sectorsize":true'),
        ("partition_table", '"start":2048', '"start":Infinity'),
        ("saved_sizes", "10737418240", "1e400"),
        ("tgt_targets", "Size: 419 MB", "Size: -5 MB"),
        ("sysfs", "20971520", str(LARGEST)),
        ("filesystem_space", "4096", "0"),
    ],
)
def test_a_number_that_cannot_be_is_no_size(phrase: str, old: str, new: str) -> None:
    """It is refused by name, before anything is reckoned from it."""
    texts = map(text_of, seeds.of(phrase))
    text = next((text for text in texts if old in text), None)
    assert text is not None, f"no sample of {phrase} has {old}"
    with pytest.raises(Refused, match="cannot be read") as refusal:
        machine(text.replace(old, new)).ask(QUESTIONS[phrase]())
    assert refusal.value.exit_status == 3


def test_a_message_has_room_for_a_little_of_what_was_said() -> None:
    with pytest.raises(Refused) as refusal:
        machine("9" * 1_000_000).ask(QUESTIONS["page_size"]())
    assert len(str(refusal.value)) < 400


def circle(name: str, uuid: str, holders: dict[str, str]) -> str:
    """A probe in which devices hold each other."""
    rows = ["block\tsda\t8:0\t1024", "device/wwid\tsda\tnaa.1"]
    for number in (0, 1):
        rows.append(f"block\tdm-{number}\t253:{number}\t1024")
        rows.append(f"dm/name\tdm-{number}\t{name}{number}")
        rows.append(f"dm/uuid\tdm-{number}\t{uuid}")
    rows += [f"holder\t{below}\t{above}" for below, above in holders.items()]
    return "\t\n".join([*rows, "end", ""])


@pytest.mark.parametrize(
    "holders", [{"sda": "dm-0", "dm-0": "dm-0"}, {"sda": "dm-0", "dm-0": "dm-1", "dm-1": "dm-0"}]
)
@pytest.mark.parametrize(
    ("name", "uuid"), [("crypt", "CRYPT-LUKS2-1"), ("vg1-lv", f"LVM-{'x' * 64}")]
)
def test_a_device_that_stands_on_itself_is_refused(
    name: str, uuid: str, holders: dict[str, str]
) -> None:
    """No kernel has it; a host that says so would be climbed for ever."""
    host = machine(circle(name, uuid, holders), TOWER)
    with pytest.raises(Refused, match="stands on itself"):
        LinuxCompute(host).stack(Identity("wwn", "naa.1"), GrowOptions(no_filesystem=True))


def test_a_disk_that_is_its_own_partition_is_not_looked_through_for_ever() -> None:
    text = "block\tsda\t8:0\t1024\t\ndevice/wwid\tsda\tnaa.1\t\nchild\tsda\tsda\t\nend\t\n"
    facts = machine(text).ask(QUESTIONS["facts"]())
    assert facts.in_use(facts.blocks["sda"]) is False
