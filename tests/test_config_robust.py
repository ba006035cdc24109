"""No text and no data make the reading of a configuration raise anything but its own error."""

import itertools
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extendctl import config_file
from extendctl.config_load import load
from extendctl.config_schema import KEYS
from extendctl.errors import ConfigError

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parent.parent / "config.example.yaml"


def told(path: Path) -> list[str]:
    try:
        load(path)
    except ConfigError as error:
        return [fault.message for fault in error.faults]
    return []


WORDS = [
    "state", "ssh", "hosts", "backends", "policy", "rules", "limits", "autoextend", "driver",
    "lvm", "host", "address", "jump", "a", "b", "<<", "*x", "&x ", "!!int ", "!y ", "22:00", "no",
    "5%", "20GB", "sqlite:///x", "~", "null", "[", "]", "{", "}", ": ", ":", "- ", ", ", "\n",
    "\n  ", "\n    ", "'", '"', "#", "|", ">", "\t", "---", "?", "%", "@", "\x07", "é", "\u2028",
]  # fmt: skip


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=3)), max_size=40))
def test_no_text_raises_anything_but_a_config_error(tmp_path: Path, words: list[str]) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes("".join(words).encode("utf-8", "surrogatepass"))
    assert all(message.startswith(f"{path}:") for message in told(path))


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.dates(),
        st.sampled_from(["a", "b", "lvm", "iscsi", "file", "ssh", "local", "5%", "20G", "allow"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from([*itertools.chain(*KEYS.values()), "a", "b", "volume:extend"]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=20,
)  # fmt: skip


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.dictionaries(st.sampled_from(KEYS[()]), VALUES))
def test_no_data_raise_anything_but_a_config_error(tmp_path: Path, data: dict[str, Any]) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    assert all(message.startswith(f"{path}:") for message in told(path))


@pytest.mark.parametrize("loader", [yaml.SafeLoader, config_file.LOADER])
def test_both_parsers_give_the_same(loader: config_file.Loader) -> None:
    text = EXAMPLE.read_text()
    ours = config_file.parse(text, "x", loader)
    assert ours.data == yaml.safe_load(text)
    assert ours.places == config_file.parse(text, "x").places


def test_a_thousand_hosts(tmp_path: Path) -> None:
    hosts = "".join(f"  web{n}: {{address: 192.0.2.{n % 256}, port: 22}}\n" for n in range(1000))
    path = tmp_path / "config.yaml"
    path.write_text("hosts:\n" + hosts)
    begun = time.perf_counter()
    found = load(path)
    print(f"1000 hosts: {time.perf_counter() - begun:.3f} s")
    assert len(found.hosts) == 1000
