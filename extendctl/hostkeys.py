"""Decide from known_hosts alone whether the key that a machine shows is the machine's own."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from extendctl.config import HostConfig
from extendctl.errors import ConfigError, Fault, Refused

SSH_PORT = 22
FIELDS = 3
"""Names, type, key; a comment may follow (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""


@dataclass(frozen=True, slots=True)
class HostKey:
    """A public key by its type (`ssh-ed25519`) and its wire format (RFC 4253 6.6)."""

    kind: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """What `ssh-keygen -l` prints: SHA256 in base64 without padding."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest())
        return "SHA256:" + digest.decode().rstrip("=")

    def __str__(self) -> str:
        return f"{self.kind} {self.fingerprint}"


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A line of known_hosts about the wanted host. `place` is `file:line`."""

    key: HostKey
    place: str
    revoked: bool = False
    exact: bool = True


@dataclass(frozen=True, slots=True)
class KnownHosts:
    """What one known_hosts file says about one host, and what to do with the key it shows."""

    config: HostConfig
    path: Path
    keys: tuple[KnownKey, ...]

    @property
    def trusted(self) -> tuple[KnownKey, ...]:
        """The lines that vouch for a key: those with the port, and only without any the others.

        As OpenSSH does it: another sshd's key on the same machine is a changed one here.
        """
        known = tuple(one for one in self.keys if not one.revoked)
        return tuple(one for one in known if one.exact) or known

    def algorithms(self, supported: Sequence[str]) -> list[str]:
        """The host key algorithms to ask for, those of known keys first.

        A server with several keys shows the first type that the client asks for; asked in another
        order, it would show one that nobody has noted.
        """
        kinds = {known.key.kind for known in self.trusted}
        return sorted(supported, key=lambda name: _kind(name) not in kinds)

    def verify(self, offered: HostKey) -> None:
        """Let pass only a key that is known and not revoked; raises Refused (`host-key`)."""
        revoked = [one for one in self.keys if one.revoked and one.key == offered]
        if revoked:
            raise self._refused(
                f"shows a host key that {revoked[0].place} revokes: {offered}",
                "do not connect before the machine has been given a new host key",
            )
        if any(known.key == offered for known in self.trusted):
            return
        # A line without port says nothing against another sshd on the same machine.
        others = [known for known in self.trusted if known.exact]
        if others:
            raise self._changed(offered, others)
        raise self._unknown(offered)

    def _changed(self, offered: HostKey, others: Sequence[KnownKey]) -> Refused:
        known = min(others, key=lambda one: one.key.kind != offered.kind)
        name = names(_address(self.config), self.config.port)[0]
        return self._refused(
            f"shows another host key than before: {offered}, but {known.place} has {known.key}",
            f"somebody may sit in between; if the machine was reinstalled, forget the old key "
            f"with: ssh-keygen -R '{name}' -f {self.path}",
        )

    def _unknown(self, offered: HostKey) -> Refused:
        scan = f"ssh-keyscan -p {self.config.port} {_address(self.config)}"
        where = f" (run it on {self.config.jump})" if self.config.jump else ""
        return self._refused(
            f"shows a host key that {self.path} does not know: {offered}",
            f"compare this fingerprint with the machine's own (ssh-keygen -lf on its public host "
            f"key); if they agree, append the output of: {scan}{where}",
        )

    def _refused(self, deed: str, hint: str) -> Refused:
        return Refused((Fault("host-key", f"{place(self.config)} {deed}", hint, self.config.name),))


def place(config: HostConfig) -> str:
    """A host as messages name it: name, address and port."""
    return f"{config.name} ({_address(config)} port {config.port})"


def names(address: str, port: int) -> tuple[str, ...]:
    """The names under which known_hosts may have a host, the exact one first.

    As OpenSSH does it, a port other than 22 is part of the name. A line without it vouches for the
    key where there is none with it, though it cannot speak against it.
    """
    plain = address.lower()
    return (plain,) if port == SSH_PORT else (f"[{plain}]:{port}", plain)


def known_hosts(config: HostConfig) -> KnownHosts:
    """Read this host's lines of its known_hosts (default `~/.ssh/known_hosts`).

    Lines that cannot be read are passed over, as sshd(8) has it, and so are certificate
    authorities. A missing file knows nobody. Raises ConfigError for a file that is there and
    cannot be read.
    """
    path = (config.known_hosts or Path("~/.ssh/known_hosts")).expanduser()
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raw = b""
    except OSError as no:
        reason = no.strerror or no
        raise ConfigError(f"host {config.name}: cannot read {path}: {reason}") from no
    wanted = names(_address(config), config.port)
    return KnownHosts(config, path, tuple(_select(path, raw, wanted)))


def _select(path: Path, raw: bytes, wanted: Sequence[str]) -> Iterator[KnownKey]:
    for number, line in enumerate(raw.split(b"\n"), 1):
        fields = line.decode("utf-8", "replace").split()
        marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
        if marker not in ("", "@revoked") or len(fields) < FIELDS or fields[0].startswith("#"):
            continue
        named = next((name for name in wanted if _matches(fields[0], name)), None)
        if _denies(fields[0], wanted):
            continue
        key = _parse(fields[1], fields[2]) if named else None
        if key:
            yield KnownKey(key, f"{path}:{number}", bool(marker), named == wanted[0])


def _matches(patterns: str, name: str) -> bool:
    """Whether a first field names the host: hashed, or one of its patterns."""
    if patterns.startswith("|1|"):
        return _hashed(patterns, name)
    return any(_glob(pattern, name) for pattern in patterns.lower().split(","))


def _denies(patterns: str, wanted: Sequence[str]) -> bool:
    """Whether a first field excludes the host, by whichever of its names."""
    excluded = [one[1:] for one in patterns.lower().split(",") if one.startswith("!")]
    return any(_glob(pattern, name) for pattern in excluded for name in wanted)


def _glob(pattern: str, name: str) -> bool:
    # fnmatch would take the brackets of [host]:port for a set of characters.
    regex = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return bool(pattern) and re.fullmatch(regex, name) is not None


def _hashed(field: str, name: str) -> bool:
    try:
        _, _, salt, digest = field.split("|")
        mac = hmac.new(_decode(salt), name.encode(), "sha1").digest()
        return hmac.compare_digest(mac, _decode(digest))
    except ValueError:
        return False


def _parse(kind: str, encoded: str) -> HostKey | None:
    """The key of a line, or None where type and content do not agree."""
    try:
        blob = _decode(encoded)
    except ValueError:
        return None
    head = len(kind).to_bytes(4, "big") + kind.encode()
    return HostKey(kind, blob) if blob.startswith(head) else None


def _decode(text: str) -> bytes:
    """Strict base64; binascii.Error is a ValueError, non-ASCII text raises one too."""
    return binascii.a2b_base64(text.encode("ascii"), strict_mode=True)


def _kind(algorithm: str) -> str:
    """The key type behind a signature algorithm: RSA signs under three names (RFC 8332)."""
    return "ssh-rsa" if algorithm.startswith("rsa-sha2-") else algorithm


def _address(config: HostConfig) -> str:
    return config.address or config.name
