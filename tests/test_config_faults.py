"""Every fault of a configuration file, with its line, its column, its key and what is wrong."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from extendctl import config_file, config_rules
from extendctl.config_load import load
from extendctl.errors import ConfigError

DATA = Path(__file__).parent / "data" / "config_faults.txt"


def cases() -> dict[str, tuple[str, list[str]]]:
    found = {}
    for case in DATA.read_text(encoding="utf-8").split("\n=== ")[1:]:
        name, _, rest = case.partition("\n")
        written, _, told = rest.partition("--->\n")
        found[name] = written, told.splitlines()
    return found


CASES = cases()

# Files that are no YAML, or too much of it: one fault.
BROKEN: dict[str, tuple[bytes, str]] = {
    "syntax": (b"hosts:\n  a: {b: c\n", "3:1: not valid YAML: "),
    "a quote without end": (b'a: "x\n', "not valid YAML: found unexpected end of stream"),
    "a tab": (b"hosts:\n\ta: {}\n", "2:1: a tab stands where YAML wants spaces"),
    "two documents": (b"ssh: {}\n---\nssh: {}\n", "2:1: a second document begins here"),
    "an alias of nothing": (b"a: *b\n", "1:4: not valid YAML: found undefined alias"),
    "not UTF-8": (b"a: b\nc: \xe9\n", "2:4: not UTF-8 (byte 0xe9); save it as UTF-8"),
    "UTF-16": ("a: b".encode("utf-16"), "1:1: not UTF-8 (byte 0xff)"),
    "a control character": (b"a: b\nc: \x07\n", "2:4: a control character (U+0007)"),
    "binary": (bytes(range(128)), "1:1: a control character (U+0000)"),
    "large": (b"#" * (config_file.MAX_BYTES + 1), "larger than 4 MiB"),
    "deep": (b"[" * 100_000, "nested more than 32 deep"),
    "deep keys": (b"{a: " * 100_000, "nested more than 32 deep"),
    "an alias of itself": (b"a: &a [*a]\n", "nested more than 32 deep"),
    "a merge of itself": (b"a: &a {<<: *a}\n", "nested more than 32 deep"),
}


def faults(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.exit_status == 2
    messages = [fault.message for fault in caught.value.faults]
    assert all("secret" not in message.replace("/secret'", "") for message in messages)
    return [message.removeprefix(f"{path}:") for message in messages]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


@pytest.mark.parametrize("name", CASES)
def test_each_fault_is_told_with_its_place(path: Path, name: str) -> None:
    written, told = CASES[name]
    path.write_text(written, encoding="utf-8")
    assert faults(path) == told


def test_a_name_has_at_most_255_letters(path: Path) -> None:
    path.write_text(f"hosts:\n  {'n' * 255}: {{address: x}}\n")
    assert len(load(path).hosts) == 1
    path.write_text(f"hosts:\n  {'n' * 256}: {{address: x}}\n")
    shown = "n" * 77 + "..."
    assert faults(path) == [f"2:3: hosts.{shown}: a name has at most 255 letters; this has 256"]


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_not_yaml_is_refused(path: Path, name: str) -> None:
    raw, expected = BROKEN[name]
    path.write_bytes(raw)
    [fault] = faults(path)
    assert expected in fault


def bomb(row: str) -> Iterator[str]:
    yield "a0: &a0 " + row.format("x: 1", "1")
    for n in range(1, 12):
        aliases = ", ".join([f"*a{n - 1}"] * 9)
        yield f"a{n}: &a{n} " + row.format(f"<<: [{aliases}]", aliases)


@pytest.mark.parametrize("row", ["[{1}]", "{{{0}}}"], ids=["lists", "merges"])
def test_aliases_that_multiply_are_refused(path: Path, row: str) -> None:
    path.write_text("\n".join(bomb(row)))
    [fault] = faults(path)
    assert "more than 300000 values (do aliases multiply them?)" in fault


def test_the_parser_in_python_refuses_the_same() -> None:
    for raw, expected in [BROKEN["deep keys"], BROKEN["a tab"], BROKEN["two documents"]]:
        with pytest.raises(ConfigError) as caught:
            config_file.parse(raw.decode(), "x", yaml.SafeLoader)
        assert expected.split(": ")[-1] in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert faults(tmp_path / "none.yaml") == [" no such file"]
    assert faults(tmp_path) == [" is a directory, not a file"]
    assert faults(Path("/dev/null/x")) == [" cannot be read: Not a directory"]
    assert faults(Path("n" * 5000)) == [" cannot be read: File name too long"]
    assert faults(Path("a\0b")) == [" cannot be read: embedded null byte"]
    assert faults(Path("/dev/zero")) == [" larger than 4 MiB; this is no configuration"]


def test_a_file_that_may_not_be_read_is_named(path: Path) -> None:
    path.touch(mode=0)
    # Root may read every file but those of the kernel that can only be written.
    forbidden = Path("/proc/sys/vm/drop_caches") if os.geteuid() == 0 else path
    assert faults(forbidden) == [" may not be read by this user"]


def test_granting_what_a_driver_can_never_do_is_a_fault() -> None:
    data = {
        "hosts": {"a": {"address": "x"}},
        "backends": {
            "b": {
                "driver": "file",
                "host": "a",
                "directory": "/d",
                "capabilities": ["in-use-extend"],
            }
        },
    }
    [found] = config_rules.check(data, {"file": frozenset()})
    assert found.path == ("backends", "b", "capabilities", 0)
    assert found.message == "driver 'file' can never do 'in-use-extend'; remove it"


def test_a_circle_of_ten_thousand_jumps_is_found(path: Path) -> None:
    rows = [f"  h{n}: {{address: x, jump: h{(n + 1) % 10_000}}}" for n in range(10_000)]
    path.write_text("hosts:\n" + "\n".join(rows))
    [fault] = faults(path)
    assert "the jumps go in a circle: h0 -> h1 -> " in fault


@pytest.mark.parametrize(
    ("kind", "module", "extra"),
    [
        ("postgresql", "psycopg", "postgres"),
        ("mysql", "pymysql", "mariadb"),
        ("mariadb+pymysql", "pymysql", "mariadb"),
    ],
)
def test_a_database_whose_driver_is_not_installed(
    path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, module: str, extra: str
) -> None:
    """It is known before the state is opened, with the line and with how to install it."""
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    path.write_text(f"hosts: {{}}\nstate: {kind}://ops@db/state\n")
    said = f"needs the Python package {module}, which is not installed"
    assert faults(path) == [
        f"2:1: state: {kind.partition('+')[0]} {said}: pip install 'extendctl[{extra}]'"
    ]


@pytest.mark.parametrize(
    "url", ["sqlite:///s.db", "sqlite+pysqlite:///s.db", "postgresql://h/d", "mysql://h/d"]
)
def test_kinds_of_databases_that_can_be_used(path: Path, url: str) -> None:
    path.write_text(f"state: {url}\n")
    assert load(path).state.startswith(url.partition(":")[0])
