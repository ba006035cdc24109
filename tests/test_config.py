"""The configuration that is read, shown, described and written for a start."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from extendctl import config
from extendctl.config import BackendConfig, Config, HostConfig
from extendctl.config_load import load, show, warnings
from extendctl.config_schema import KEYS, schema
from extendctl.config_template import template
from extendctl.model import Capability
from extendctl.size import GIB, TIB

TOP = Path(__file__).parent.parent
EXAMPLE = TOP / "config.example.yaml"


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def from_text(text: str) -> Config:
        path = tmp_path / "config.yaml"
        path.write_text(text, encoding="utf-8")
        return load(path)

    return from_text


def test_the_example_loads() -> None:
    found = load(EXAMPLE)
    assert found.source == EXAMPLE
    assert found.state == f"sqlite:///{TOP}/state.db"
    assert found.hosts["silo"].jump == "bastion"
    assert found.hosts["bastion"].user == "jump", "a host overrides what ssh says"
    assert found.hosts["web1"].user == "ops"
    assert found.hosts["web1"].luks_keys == {"appcrypt": "/root/app.key"}
    assert found.backends["nas"] == BackendConfig(
        "nas", "iscsi", "silo", frozenset(Capability), target="lio", directory="/srv/lio"
    )
    assert found.policy.rules["volume:extend_attached_volume"] == ("group:storage", "user:root")
    assert found.policy.limits.max_size == 2 * TIB
    assert found.policy.limits.min_pool_free == 5.0
    assert found.policy.projects == {"web": 5 * TIB}
    assert found.policy.autoextend[0].above == 80.0


def test_the_example_gives_each_value_its_own_line_of_comment() -> None:
    text = EXAMPLE.read_text()
    missing = [
        (section, key)
        for section, keys in KEYS.items()
        for key in keys
        if not re.search(rf"^[\s#-]*{key}:", text, re.MULTILINE)
    ]
    assert not missing


def test_the_contract_s_own_example_loads(read: Any) -> None:
    found = read(
        """
state: sqlite:///state.db
ssh: {user: ops, become: sudo, connect_timeout: 10, command_timeout: 180}
hosts:
  bastion: {address: 192.0.2.1}
  silo: {address: 192.0.2.10, port: 22, jump: bastion}
  web1: {address: 192.0.2.21, luks_keys: {appcrypt: /root/app.key}}
  here: {transport: local}
backends:
  fast: {driver: lvm, host: silo, volume_group: vg0, capabilities: [in-use-extend]}
  files: {driver: file, host: here, directory: /var/lib/extendctl/volumes}
policy:
  rules: {volume:extend: allow, volume:extend_attached_volume: [group:storage]}
  limits: {max_size: 2T, max_growth: 500G, confirm_above: 10, min_pool_free: 5%, max_thin_data: 90%}
  projects: {web: {max_total: 5T}}
  autoextend: [{match: "web-*", above: 80%, grow: +20%, max: 1T}]
"""
    )
    assert found.backends["files"].capabilities == frozenset()
    assert found.policy.rules["volume:extend_attached_volume"] == ("group:storage",)
    assert found.policy.autoextend[0].grow == "+20%"


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "\ufeff", "hosts:\nbackends:\n"])
def test_an_empty_file_is_a_configuration_with_nothing(read: Any, text: str) -> None:
    found = read(text)
    assert (found.hosts, found.backends) == ({}, {})
    assert found.state == config.embedded().state
    assert found.policy == config.PolicyConfig()


def test_paths_start_from_the_file(read: Any, tmp_path: Path) -> None:
    found = read(
        """
state: sqlite:///sub/state.db?timeout=5
ssh: {identity_file: keys/id, known_hosts: ~/known}
hosts: {a: {address: x, identity_file: /abs/id}, b: {address: y}}
"""
    )
    assert found.state == f"sqlite:///{tmp_path}/sub/state.db?timeout=5"
    assert found.hosts["a"].identity_file == Path("/abs/id")
    assert found.hosts["b"].identity_file == tmp_path / "keys/id"
    assert found.hosts["b"].known_hosts == Path.home() / "known"


def test_paths_start_from_the_file_when_it_is_named_relatively(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("state: sqlite:///s.db\n")
    code = (
        "from pathlib import Path; from extendctl.config_load import load;"
        "print(load(Path('c.yaml')).state)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(TOP)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == f"sqlite:///{tmp_path}/s.db"


@pytest.mark.parametrize(
    "url", ["sqlite:////abs/state.db", "sqlite:///:memory:", "mysql+pymysql://h/d"]
)
def test_other_urls_stay_as_they_are(read: Any, url: str) -> None:
    assert read(f"state: '{url}'").state == url


def test_a_local_host_takes_nothing_that_is_for_ssh(read: Any) -> None:
    found = read("ssh: {user: ops, become: none, port: 2222}\nhosts: {here: {transport: local}}")
    assert found.hosts["here"] == HostConfig("here", transport="local", become="none")


def test_names_that_yaml_reads_as_something_else_are_names(read: Any) -> None:
    found = read('hosts:\n  no: {address: a}\n  22: {address: b, jump: "no"}\n  1_0: {address: c}')
    assert list(found.hosts) == ["no", "22", "1_0"]


def test_aliases_and_merges_are_followed(read: Any) -> None:
    found = read(
        """
hosts:
  a: &web {address: 192.0.2.1, user: ops, port: 2222}
  b: {<<: *web, address: 192.0.2.2}
"""
    )
    assert found.hosts["b"] == HostConfig("b", address="192.0.2.2", user="ops", port=2222)


@pytest.mark.parametrize(
    ("written", "size"),
    [("20", 20 * GIB), ("20G", 20 * GIB), ("1.5T", 1536 * GIB), ("1.5", GIB * 3 // 2)],
)
def test_sizes_are_read_as_on_the_command_line(read: Any, written: str, size: int) -> None:
    assert read(f"policy: {{limits: {{max_size: {written}}}}}").policy.limits.max_size == size


def test_two_backends_may_share_a_volume_group(read: Any) -> None:
    backend = "{driver: lvm, host: a, volume_group: vg0}"
    found = read(f"hosts: {{a: {{address: x}}}}\nbackends: {{b: {backend}, c: {backend}}}")
    assert len(found.backends) == 2


def test_the_file_is_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("EXTENDCTL_CONFIG", "")
    assert config.find(None) in (None, Path("/etc/extendctl/config.yaml"))
    (tmp_path / "extendctl").mkdir()
    own = tmp_path / "extendctl" / "config.yaml"
    own.touch()
    assert config.find(None) == own, "an empty EXTENDCTL_CONFIG counts as unset"
    monkeypatch.setenv("EXTENDCTL_CONFIG", "env.yaml")
    assert config.find(None) == Path("env.yaml")
    assert config.find("named.yaml") == Path("named.yaml")


def test_an_empty_list_allows_no_one(read: Any) -> None:
    found = read("policy: {rules: {volume:extend: []}}")
    assert found.policy.rules == {"volume:extend": ()}


# Passwords


def test_a_password_in_the_url_is_taken_out_and_masked(read: Any) -> None:
    found = read("state: postgresql+psycopg://ops:s%2Fcret@192.0.2.5/db\n")
    assert found.state == "postgresql+psycopg://ops@192.0.2.5/db"
    assert found.state_password == "s/cret"
    assert "cret" not in repr(found)
    assert show(found)["state"] == "postgresql+psycopg://ops:***@192.0.2.5/db"
    assert "cret" not in json.dumps(show(found))


def test_a_password_comes_from_a_file(read: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("p@ss w/rd\n")
    found = read("state: {url: 'postgresql://ops@h/db', password_file: secret}")
    assert found.state_password == "p@ss w/rd"
    assert found.state_password_from == f"file {tmp_path}/secret"
    assert show(found)["state"] == "postgresql://ops:***@h/db"


def test_a_password_comes_from_the_environment(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXTENDCTL_TEST_PASSWORD", "s3cret")
    found = read("state: {url: 'postgresql://ops@h/db', password_env: EXTENDCTL_TEST_PASSWORD}")
    assert found.state_password == "s3cret"
    assert "s3cret" not in repr(found) + json.dumps(show(found))


def test_others_who_may_write_or_read_are_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("state: postgresql://ops:secret@h/db\n")
    path.chmod(0o600)
    assert warnings(path, load(path)) == []
    path.chmod(0o644)
    assert warnings(path) == []
    [line] = warnings(path, load(path))
    assert "holds a password" in line
    path.chmod(0o664)
    assert warnings(path) == [
        f"{path}: others may write this file (mode 0664); chmod go-w {path}",
    ]
    assert warnings(tmp_path / "none") == []


# What is shown, described and written


def test_what_is_shown_is_plain_data() -> None:
    shown = show(load(EXAMPLE))
    assert json.loads(json.dumps(shown)) == shown
    assert shown["policy"]["limits"]["max_size"] == 2 * TIB
    assert shown["backends"]["fast"]["capabilities"] == ["in-use-extend"]
    assert show(config.embedded())["source"] is None


def test_the_schema_describes_every_key() -> None:
    bare = [
        key
        for section in [schema(), *schema()["$defs"].values()]
        for key, value in section["properties"].items()
        if not value.get("description")
    ]
    assert not bare
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_schema_accepts_the_example_and_the_start_and_no_mistakes() -> None:
    import jsonschema

    validator = jsonschema.Draft202012Validator
    validator.check_schema(schema())
    judge = validator(schema())
    for text in (EXAMPLE.read_text(), template()):
        assert list(judge.iter_errors(yaml.safe_load(text))) == []
    wrong = yaml.safe_load(EXAMPLE.read_text())
    wrong["backends"]["fast"]["target"] = "lio"
    wrong["backends"]["nas"]["volume_group"] = "vg0"
    wrong["hosts"]["-x"] = {}
    wrong["policy"]["limits"]["max_size"] = "20GB"
    assert len(list(judge.iter_errors(wrong))) == 4


def test_the_template_is_the_embedded_default(read: Any) -> None:
    found = read(template())
    default = config.embedded()
    assert (found.state, found.hosts, found.backends) == (
        default.state,
        default.hosts,
        default.backends,
    )


def test_the_template_holds_with_its_comments_taken_away(read: Any) -> None:
    # "# Prose" has one space after its sign; what is commented out has none, or two.
    found = read(re.sub(r"^( *)#(?! \S)", r"\1", template(), flags=re.MULTILINE))
    assert {"silo", "web1"} <= set(found.hosts)
    assert {"fast", "san"} <= set(found.backends)
    assert found.policy.limits.max_size == 2 * TIB


def test_the_data_are_importable_without_yaml_and_pydantic() -> None:
    code = "import sys, extendctl.config; print(sorted({'yaml', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
