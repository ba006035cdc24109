"""The way to a line: host keys, log-in keys, deaf servers, jump hosts, and letting go."""

import base64
import getpass
import hashlib
import hmac
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from extendctl.config import HostConfig
from extendctl.errors import ConfigError, Refused, Unreachable
from extendctl.ssh import SshTransport
from tests.sshd import Sshd, keygen, require_sshd

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    require_sshd()
    with Sshd() as sshd:
        yield sshd


@pytest.fixture
def sshd(server: Sshd) -> Iterator[Sshd]:
    """The server, and its known_hosts as they were."""
    known = server.known_hosts.read_text()
    yield server
    server.known_hosts.write_text(known)


@pytest.fixture
def fragile() -> Iterator[Sshd]:
    require_sshd()
    with Sshd() as sshd:
        yield sshd


def attempt(config: HostConfig, jump: SshTransport | None = None) -> str:
    """What `echo here` says over a line of its own."""
    box = SshTransport(config, jump)
    try:
        return box.run(["echo", "here"], timeout=20).stdout
    finally:
        box.close()


def refused(config: HostConfig) -> Refused:
    with pytest.raises(Refused) as no:
        attempt(config)
    assert no.value.fault.code == "host-key"
    assert no.value.fault.host == "box"
    return no.value


def name_of(sshd: Sshd) -> str:
    return f"[127.0.0.1]:{sshd.port}"


def hashed(name: str) -> str:
    salt = b"s" * 20
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_one_known_key_of_either_type_is_enough(sshd: Sshd, kind: str) -> None:
    sshd.know(f"{name_of(sshd)} {sshd.host_key(kind)}")
    assert attempt(sshd.config()) == "here\n"


@pytest.mark.parametrize(
    "names",
    ["{}", "other,{},more", "*", "[127.0.0.?]:*", "{} a comment in the wrong place", "127.0.0.1"],
)
def test_names_in_known_hosts(sshd: Sshd, names: str) -> None:
    if " " in names:
        sshd.know(f"{name_of(sshd)} {sshd.host_key()} a comment")
    else:
        sshd.know(f"{names.format(name_of(sshd))} {sshd.host_key()}")
    assert attempt(sshd.config()) == "here\n"


def test_a_hashed_name(sshd: Sshd) -> None:
    key = sshd.host_key()
    sshd.know(f"{hashed('elsewhere')} {key}", f"{hashed(name_of(sshd))} {key}")
    assert attempt(sshd.config()) == "here\n"


@pytest.mark.parametrize("names", ["elsewhere", "*,!{}", "[127.0.0.1]:1", "1.0.0.721", "!*"])
def test_an_unknown_key_is_refused_with_its_fingerprint(sshd: Sshd, names: str) -> None:
    sshd.know(f"{names.format(name_of(sshd))} {sshd.host_key()}")
    no = refused(sshd.config()).fault
    assert f"127.0.0.1 port {sshd.port}" in no.message
    assert sshd.fingerprint() in no.message
    assert f"ssh-keyscan -p {sshd.port} 127.0.0.1" in no.hint


def test_a_missing_known_hosts_knows_nobody(sshd: Sshd, tmp_path: Path) -> None:
    path = tmp_path / "none"
    assert str(path) in refused(sshd.config(known_hosts=path)).fault.message


def test_known_hosts_that_cannot_be_read(sshd: Sshd, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"host box: cannot read {tmp_path}"):
        attempt(sshd.config(known_hosts=tmp_path))


def test_a_changed_key_is_refused_with_both_fingerprints(fragile: Sshd) -> None:
    old = fragile.fingerprint("ed25519")
    fragile.restart(new_host_keys=True)
    no = refused(fragile.config()).fault
    assert old in no.message
    assert fragile.fingerprint("ed25519") in no.message
    assert f"{fragile.known_hosts}:1" in no.message
    assert f"ssh-keygen -R '{name_of(fragile)}'" in no.hint


def test_a_line_without_port_does_not_speak_against_another_port(sshd: Sshd) -> None:
    other = public_line(keygen(sshd.top / "other"))
    sshd.know(f"127.0.0.1 {other}")
    assert "does not know" in refused(sshd.config()).fault.message


@pytest.mark.parametrize("first", ["127.0.0.1", "{}"])
def test_a_line_without_port_does_not_vouch_against_one_with_it(sshd: Sshd, first: str) -> None:
    """Whoever has the key of another sshd on that machine is not the one that was noted here."""
    other = f"{name_of(sshd)} {public_line(keygen(sshd.top / 'another'))}"
    lines = [f"127.0.0.1 {sshd.host_key()}", other]
    sshd.know(*(lines if first == "127.0.0.1" else reversed(lines)))
    assert "shows another host key than before" in refused(sshd.config()).fault.message


@pytest.mark.parametrize("names", ["*", "{}"])
def test_a_revoked_key_is_refused_though_known(sshd: Sshd, names: str) -> None:
    known = f"{name_of(sshd)} {sshd.host_key()}"
    sshd.know(known, f"@revoked {names.format(name_of(sshd))} {sshd.host_key()}")
    no = refused(sshd.config()).fault
    assert f"{sshd.known_hosts}:2 revokes" in no.message


def test_a_revoked_key_of_another_type_changes_nothing(sshd: Sshd) -> None:
    name = name_of(sshd)
    sshd.know(f"{name} {sshd.host_key('rsa')}", f"@revoked {name} {sshd.host_key('ed25519')}")
    assert attempt(sshd.config()) == "here\n"


def test_garbage_in_known_hosts_is_passed_over(sshd: Sshd) -> None:
    name, key = name_of(sshd), sshd.host_key()
    lines = [
        "",
        "# a comment",
        f"# {name} {key}",
        "one",
        "one two",
        f"{name} ssh-ed25519 not/base64!",
        f"{name} ssh-ed25519 AAAA",
        f"{name} ssh-rsa {key.split()[1]}",
        f"{name} ssh-ed25519 gr\xfc\xdfe",
        f"@cert-authority {name} {key.split()[0]} AAAA",
        f"@unheard-of {name} {key}",
        "|1|broken ssh-ed25519 AAAA",
        "|1|x|y ssh-ed25519 AAAA",
        "@revoked",
        "\N{PILE OF POO} \x00 \x0b \x85",
    ]
    text = "\n".join([*lines, f"{name} {key}"])
    sshd.known_hosts.write_bytes(b"\xff\xfe\x80\n" + text.encode())
    assert attempt(sshd.config()) == "here\n"


def public_line(path: Path) -> str:
    return " ".join(path.with_name(path.name + ".pub").read_text().split()[:2])


def test_a_key_that_is_not_authorized(sshd: Sshd) -> None:
    stranger = keygen(sshd.top / "stranger")
    with pytest.raises(Unreachable) as no:
        attempt(sshd.config(identity_file=stranger))
    fault = no.value.fault
    user = getpass.getuser()
    assert f"authentication as {user} refused by box (127.0.0.1" in fault.message
    assert str(stranger) in fault.hint
    assert "SHA256:" in fault.hint
    assert f"~{user}/.ssh/authorized_keys" in fault.hint


def test_an_rsa_key_logs_in(fragile: Sshd) -> None:
    key = keygen(fragile.top / "rsa_key", "rsa")
    fragile.authorized_keys.write_text(public_line(key) + "\n")
    assert attempt(fragile.config(identity_file=key)) == "here\n"


def missing(path: Path) -> None:
    path.unlink(missing_ok=True)


def encrypted(path: Path) -> None:
    keygen(path, passphrase="secret")


def garbled(path: Path) -> None:
    path.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n")
    path.chmod(0o600)


def open_to_all(path: Path) -> None:
    keygen(path).chmod(0o644)


def directory(path: Path) -> None:
    path.mkdir(mode=0o700)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (missing, "No such file"),
        (encrypted, "protected by a passphrase"),
        (garbled, "not a private key"),
        (open_to_all, "permissions 0644 are too open"),
        (directory, "Is a directory"),
    ],
)
def test_an_identity_file_that_cannot_be_used(
    sshd: Sshd, tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    path = tmp_path / "identity"
    spoil(path)
    with pytest.raises(ConfigError, match=words) as no:
        attempt(sshd.config(identity_file=path))
    assert f"host box: identity_file {path}" in str(no.value)
    assert no.value.exit_status == 2


CHILD = """
import sys
from extendctl.config import HostConfig
from extendctl.errors import ExtendctlError
from extendctl.ssh import SshTransport
box = SshTransport(HostConfig("box", address="127.0.0.1", port=int(sys.argv[1])))
try:
    print(box.run(["echo", "here"]).stdout, end="")
except ExtendctlError as no:
    print(type(no).__name__, no)
box.close()
"""


def as_user(sshd: Sshd, home: Path, **variables: str) -> str:
    """What the transport says in a process with this home, nothing configured."""
    (home / ".ssh").mkdir(mode=0o700, exist_ok=True)
    shutil.copy(sshd.known_hosts, home / ".ssh" / "known_hosts")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(sshd.port)],
        cwd=Path(__file__).parent.parent,
        env={"PATH": os.environ["PATH"], "HOME": str(home), **variables},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert not done.stderr, "the library's log is not for people"
    return done.stdout


def test_without_identity_file_the_default_keys_are_tried(sshd: Sshd, tmp_path: Path) -> None:
    said = as_user(sshd, tmp_path)
    assert said.startswith("ConfigError host box: no key to log in with")
    keygen(tmp_path / ".ssh" / "id_ed25519", passphrase="secret")
    shutil.copy(sshd.user_key, tmp_path / ".ssh" / "id_ecdsa")
    assert as_user(sshd, tmp_path) == "here\n"


def test_without_identity_file_the_agent_is_asked(sshd: Sshd, tmp_path: Path) -> None:
    sock = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(sock)], stdout=subprocess.DEVNULL)
    try:
        while not sock.exists():
            time.sleep(0.01)
        env = {"SSH_AUTH_SOCK": str(sock)}
        subprocess.run(["ssh-add", "-q", str(sshd.user_key)], env=env, check=True)
        assert as_user(sshd, tmp_path, **env) == "here\n"
    finally:
        agent.terminate()
        agent.wait()


def test_an_agent_that_does_not_answer_is_not_waited_for(sshd: Sshd, tmp_path: Path) -> None:
    """It takes the connection and says nothing; the other keys are tried after the time limit."""
    (tmp_path / ".ssh").mkdir(exist_ok=True)
    shutil.copy(sshd.user_key, tmp_path / ".ssh" / "id_ecdsa")
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "agent"))
        deaf.listen()
        began = time.monotonic()
        assert as_user(sshd, tmp_path, SSH_AUTH_SOCK=str(tmp_path / "agent")) == "here\n"
    assert time.monotonic() - began < 30
