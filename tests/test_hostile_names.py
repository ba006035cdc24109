"""What people type, in a shell or in YAML: taken as it is, or refused by name."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from extendctl.__main__ import run
from extendctl.cli.session import Session
from extendctl.config_load import load
from extendctl.errors import ConfigError
from tests.properties import examples

pytestmark = pytest.mark.long

NAMES = [
    "", " ", "a b", "a\nb", "a\tb", "a'b", 'a"b', "-a", "--size", ".", "..", "a/b", "../a", "$(id)",
    "`id`", "a;b", "ä", "日本", "\u202ea", "a\u200bb", "\x1b[2J", "a\x7f", "a\udcffb", "[bold]a",
    "x" * 300, "x" * 100_000, "%s", "{}", "a*", "~", "#a",
]  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("EXTENDCTL_CONFIG", "")


COMMANDS: dict[str, tuple[str, ...]] = {
    "create a volume": ("volume", "create", "--backend", "files", "--size", "1G", "--", "{}"),
    "import under a name": ("volume", "import", "--backend", "files", "--source", "f", "--", "{}"),
    "import a source": ("volume", "import", "v", "--backend", "files", "--source={}"),
    "a backend": ("volume", "create", "v", "--size", "1G", "--backend={}"),
    "an initiator": (
        "volume", "create", "v", "--backend", "files", "--size", "1G", "--initiator={}",
    ),
    "an initiator of nobody's": (
        "volume", "create", "v", "--backend", "files", "--size", "1G",
        "--initiator=iqn.2026-11.com.example:{}",
    ),
    "extend a volume": ("volume", "extend", "--size", "1G", "--", "{}"),
    "a size": ("volume", "extend", "v", "--size={}"),
    "a volume to show": ("volume", "show", "--", "{}"),
    "a host to check": ("host", "check", "--", "{}"),
    "a backend to show": ("backend", "show", "--", "{}"),
    "a status": ("volume", "set-status", "v", "--", "{}"),
    "an operation": ("operation", "show", "--", "{}"),
    "a command": ("{}",),
    "an output": ("volume", "list", "-o", "{}"),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", COMMANDS)
def test_what_is_typed_is_refused_in_a_sentence(
    what: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, or 3 where nothing bears the name; never a bug, and the terminal is safe."""
    words = [word.replace("{}", name) for word in COMMANDS[what]]
    status = run(words, Session())
    shown = capsys.readouterr()
    assert status in {2, 3} or (status == 0 and name == "--size"), shown.err
    said = shown.out + shown.err
    assert "bug" not in said
    assert all(line.isprintable() for line in said.split("\n"))


@pytest.mark.parametrize("name", NAMES)
def test_a_document_is_a_document_whatever_was_typed(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["volume", "show", "-o", "json", "--", name], Session())
    found = json.loads(capsys.readouterr().out)
    assert found["error"]["code"] in {"not-found", "usage"}


hostile = st.one_of(
    st.sampled_from(NAMES[:-1]),
    st.text(st.characters(codec="utf-8"), max_size=12),
    st.sampled_from(["web1", "silo", "/srv/files", "vg0", "192.0.2.1", "ops", "sudo", "here"]),
)


def texts(value: Any) -> Iterator[str]:
    """Every text in a configuration, the names of keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from texts(key)
            yield from texts(one)
    elif isinstance(value, Sequence | frozenset):
        for one in value:
            yield from texts(one)
    elif is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            yield from texts(getattr(value, one.name))


@examples(150)
@given(data=st.data())
def test_no_text_of_a_configuration_is_an_option_or_moves_a_terminal(
    data: st.DataObject, tmp_path: Path
) -> None:
    """What loads is printable, and what becomes a word of a command does not begin with a dash."""
    draw = data.draw
    host: dict[str, Any] = {"address": draw(hostile), "user": draw(hostile)}
    backend: dict[str, Any] = {"driver": "lvm", "host": "silo", "volume_group": draw(hostile)}
    files: dict[str, Any] = {"driver": "file", "host": "silo", "directory": draw(hostile)}
    keys = {"luks_keys": {draw(hostile): draw(hostile)}} if draw(st.booleans()) else {}
    text = {
        "hosts": {"silo": host | keys, **({draw(hostile): {}} if draw(st.booleans()) else {})},
        "backends": {"fast": backend, "files": files},
        "policy": {"projects": {draw(hostile): {"max_total": draw(hostile)}}},
    }
    path = tmp_path / "config.yaml"
    path.write_bytes(yaml.safe_dump(text).encode("utf-8", "surrogatepass"))
    try:
        config = load(path)
    except ConfigError:
        return
    assert all(text.isprintable() for text in texts(config))
    words = [one.address for one in config.hosts.values()]
    words += [one.volume_group for one in config.backends.values() if one.volume_group]
    words += [one.directory for one in config.backends.values() if one.directory]
    assert not [word for word in words if word.startswith("-")]
