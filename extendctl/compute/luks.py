"""A dm-crypt mapping; a LUKS2 one wants its key again before it grows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from extendctl import phrasebook, questions
from extendctl.block_readings import CryptMapping
from extendctl.compute.site import OnHost
from extendctl.errors import Refused
from extendctl.size import Size, round_down
from extendctl.stack import Obstacle

_TYPES = frozenset({"LUKS1", "LUKS2", "PLAIN"})


@dataclass(frozen=True)
class LuksLayer(OnHost):
    """The open mapping `map` on `below`; `uuid` is device mapper's: `CRYPT-LUKS2-...`."""

    map: str
    block: str
    uuid: str
    below: str
    key_file: str | None

    kind = "luks"
    slack: Size = 0

    @property
    def key(self) -> str:
        return f"{self.anchor}/luks/{self.map}"

    @property
    def name(self) -> str:
        return self.map

    def status(self) -> CryptMapping:
        """What cryptsetup says of it."""
        return self.machine.ask(phrasebook.mapping(self.map))

    def measure(self) -> Size:
        block = f"/sys/block/{self.block}"
        uuid, name, size = self.machine.ask(
            questions.sysfs(f"{block}/dm/uuid", f"{block}/dm/name", f"{block}/size")
        )
        if (uuid, name) != (self.uuid, self.map):
            message = f"{self.block} on {self.host} is no longer the mapping {self.map}"
            raise Refused((self.no(message, "run the command again"),))
        return int(size)

    def room(self, below: Size) -> Size:
        status = self.status()
        return round_down(below - status.offset, status.sector)

    def grow(self, to: Size) -> None:
        key_file = self.key_file if self.status().needs_key else None
        self.machine.do(phrasebook.resize_luks(self.map, key_file))

    def obstacles(self, to: Size) -> Sequence[Obstacle]:
        """A write-protected device beneath is none: a LUKS header holds no size of the whole.

        `cryptsetup resize` reads it and gives the kernel a table; what writes through it, tells.
        """
        found = self.hindered(phrasebook.resize_luks(self.map, self.key_file))
        status = self.status()
        if status.integrity:
            message = f"the mapping {self.map} on {self.host} has integrity protection"
            found.append(self.no(message, "cryptsetup cannot resize such a mapping at all"))
        found += self._unready(status)
        if status.type not in _TYPES:
            return [*found, self._foreign(status)]
        return [*found, *(self._key() if status.needs_key else ())]

    def _unready(self, status: CryptMapping) -> Iterator[Obstacle]:
        """What cryptsetup refuses to resize, or would wait for without an end."""
        name = f"the mapping {self.map} on {self.host}"
        if status.reencryption:
            hint = f"finish it first: cryptsetup reencrypt --resume-only {self.below}"
            yield self.no(f"{name} is being reencrypted ({status.reencryption})", hint)
        if status.suspended:
            yield self.no(f"{name} is suspended", f"cryptsetup luksResume {self.map}")

    def view(self) -> "LuksLayer":
        """A mapping is its host's own, whoever grew what it is on."""
        return self

    def _foreign(self, status: CryptMapping) -> Obstacle:
        """A mapping of another type; without its header cryptsetup says `type: n/a`."""
        if self.uuid.startswith("CRYPT-LUKS") and status.type.lower() == "n/a":
            message = f"the mapping {self.map} on {self.host} has its header elsewhere"
            return self.no(message, f"grow it by hand: cryptsetup resize --header FILE {self.map}")
        return self.no(f"the mapping {self.map} on {self.host} is of the type {status.type}")

    def _key(self) -> list[Obstacle]:
        if self.key_file is None:
            return [
                self.no(
                    f"the volume key of {self.map} on {self.host} is in the kernel's keyring, "
                    "so that growing it needs a key, and none is configured",
                    f"name a key file on {self.host}: luks_keys: {{{self.map}: /path/to/key}}",
                )
            ]
        if self.machine.ask(phrasebook.key_fits(self.key_file, self.below)) == 0:
            return []
        message = f"the key file {self.key_file} on {self.host} does not open {self.below}"
        hint = f"try it: cryptsetup open --test-passphrase --key-file {self.key_file} {self.below}"
        return [self.no(message, hint)]
