"""Sizes as people type and read them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extendctl.errors import Usage
from extendctl.size import (
    GIB,
    KIB,
    LARGEST,
    MIB,
    TIB,
    human,
    parse,
    parse_total,
    round_down,
    round_up,
)

UNITS = {"": GIB, "K": KIB, "M": MIB, "G": GIB, "T": TIB, "P": 1 << 50}
sizes = st.integers(0, LARGEST)
units = st.integers(1, 1 << 40)


@pytest.mark.parametrize(
    ("text", "total"),
    [
        ("20", 20 * GIB),
        ("20G", 20 * GIB),
        ("20g", 20 * GIB),
        ("20Gi", 20 * GIB),
        ("20GiB", 20 * GIB),
        ("20gib", 20 * GIB),
        ("512M", 512 * MIB),
        ("2T", 2 * TIB),
        ("1.5T", 3 * TIB // 2),
        ("0.5", GIB // 2),
        ("4K", 4096),
        ("007G", 7 * GIB),
        ("7E", 7 << 60),
    ],
)
def test_a_total_is_read(text: str, total: int) -> None:
    assert parse(text).total == total == parse_total(text)
    assert parse(text).goal(999) == total
    assert not parse(text).relative


@pytest.mark.parametrize(
    ("text", "now", "goal"),
    [
        ("+5G", 10 * GIB, 15 * GIB),
        ("+512M", GIB, GIB + 512 * MIB),
        ("+5", GIB, 6 * GIB),
        ("+10%", 10 * GIB, 11 * GIB),
        ("+10%", 101, 112),
        ("+0.5%", 1000, 1005),
        ("+250%", 100, 350),
    ],
)
def test_growth_is_made_absolute(text: str, now: int, goal: int) -> None:
    assert parse(text).relative
    assert parse(text).goal(now) == goal


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "G", "0", "0G", "0.0", "+0", "+0%", "-1", "-5G", "1e9", "1E9", "1e3G", "twenty",
        "20 G", " 20G", "20G ", "20G\n", "1,5G", "1.", ".5", "20X", "20B", "20b", "20bytes", "20iB",
        "20Gib2", "20GG", "20GiBi", "0x10", "10%", "%", "+%", "++5G", "+-5", "+5%G", "nan", "inf",
        "NaN", "1_000", "\u0662\u0660", "20\u00b2", "\u2460", "0.3K", "0.0000001K", "8E", "16P99",
        "99999999T", "--size", "$(id)", "1;reboot", "20G\0",
    ],
)  # fmt: skip
def test_what_is_no_size_is_refused_with_a_way_out(text: str) -> None:
    with pytest.raises(Usage) as error:
        parse(text)
    assert error.value.exit_status == 2
    assert repr(text) in str(error.value)
    assert error.value.fault.hint


@pytest.mark.parametrize(
    ("text", "decimal", "binary"),
    [("20GB", "20000000000", "21474836480"), ("1kb", "1000", "1024"), ("+1TB", "10", "1024")],
)
def test_decimal_units_are_refused_with_both_readings(text: str, decimal: str, binary: str) -> None:
    with pytest.raises(Usage, match="ambiguous") as error:
        parse(text)
    assert decimal in str(error.value)
    assert binary in str(error.value) or text == "+1TB"
    assert error.value.fault.hint == f"write {text[:-2]}{text[-2].upper()}iB"


def test_growth_where_a_total_is_wanted_is_refused() -> None:
    for text in ("+5G", "+10%"):
        with pytest.raises(Usage, match="total"):
            parse_total(text)


def test_growth_past_what_a_device_can_be_is_refused() -> None:
    with pytest.raises(Usage, match="8 EiB"):
        parse("+1G").goal(LARGEST)
    with pytest.raises(Usage, match="8 EiB"):
        parse("+100%").goal(LARGEST)
    with pytest.raises(Usage, match="8 EiB"):
        parse("8E")


@given(st.integers(1, 4000), st.sampled_from(sorted(UNITS)), st.sampled_from(["", "i", "iB"]))
def test_every_spelling_of_a_unit_is_the_same(number: int, unit: str, tail: str) -> None:
    spelling = f"{number}{unit}{tail if unit else ''}"
    assert parse(spelling).total == number * UNITS[unit]
    assert parse(spelling.lower()).total == number * UNITS[unit]
    assert parse("+" + spelling).goal(1) == number * UNITS[unit] + 1


@given(st.decimals(min_value="0.001", max_value=1000, places=3), sizes)
def test_a_percentage_never_falls_short(percent: Decimal, now: int) -> None:
    exact = Decimal(now) * (100 + percent) / 100
    if exact < LARGEST - 1:
        assert 0 <= parse(f"+{percent}%").goal(now) - exact < 1


@given(st.text(max_size=12))
def test_no_text_is_anything_but_a_size_or_refused(text: str) -> None:
    try:
        request = parse(text)
    except Usage:
        return
    assert request.total is None or 0 < request.total <= LARGEST
    assert text.isascii()


@given(sizes, units)
def test_rounding_is_to_the_nearest_multiple_on_its_side(size: int, unit: int) -> None:
    up, down = round_up(size, unit), round_down(size, unit)
    assert up % unit == down % unit == 0
    assert size - unit < down <= size <= up < size + unit
    assert (up == down) == (size % unit == 0)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, "?"),
        (0, "0 B"),
        (512, "512 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (20 * GIB, "20 GiB"),
        (1573741824, "1.47 GiB"),
        (10 * TIB, "10 TiB"),
        (4 * MIB, "4 MiB"),
        (100 * GIB, "100 GiB"),
    ],
)
def test_sizes_are_written_for_people(size: int | None, text: str) -> None:
    assert human(size) == text


@given(st.integers(1, 1023), st.sampled_from([KIB, MIB, GIB, TIB]))
def test_what_is_written_can_be_read_again(number: int, unit: int) -> None:
    assert parse(human(number * unit).replace(" ", "")).total == number * unit
