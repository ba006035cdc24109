"""Builds the disk image that all machines start from, out of Debian's packages."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.lab import cache, recipe
from tests.lab.progress import step
from tests.lab.tools import KEYRING, find


@dataclass(frozen=True)
class Base:
    """A built image: a raw root disk, a kernel with its initrd, and the keys that open it."""

    place: Path

    @property
    def disk(self) -> Path:
        """The root disk; machines only ever write to overlays."""
        return self.place / "base.img"

    @property
    def kernel(self) -> Path:
        """Started directly, without a boot loader."""
        return self.place / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """Belongs to the kernel."""
        return self.place / "initrd.img"

    @property
    def build(self) -> str:
        """Another one for each build: two images of one recipe are not the same, bit for bit."""
        return (self.place / "keys" / "root.pub").read_text()

    def key(self, user: str) -> Path:
        """The private ssh key that this user accepts."""
        return self.place / "keys" / ("root" if user == "root" else "users")

    def host_key(self, machine: str) -> str:
        """The public host key of a machine, as known_hosts wants it: type and key."""
        return " ".join((self.place / "keys" / f"{machine}.pub").read_text().split()[:2])


def key() -> str:
    """The hash of all that decides what is in the image."""
    words = [*_bootstrap_command(Path("root")), *recipe.INITRD_MODULES, recipe.ROOT_DISK_SIZE]
    words += [repr(recipe.identity_files(spec)) for spec in recipe.MACHINES]
    return cache.fingerprint([*words, recipe.PROVISION])


def base() -> Base:
    """The image, built if this recipe has not been built yet."""
    return Base(cache.cached("base", key(), _build))


def _mirror() -> str:
    return os.environ.get("EXTENDCTL_LAB_MIRROR") or "http://deb.debian.org/debian"


def _build(place: Path) -> None:
    with step("keys"):
        _make_keys(place / "keys")
        _make_seed(place / "seed", place / "keys")
    with step("image: Debian's packages"):
        _bootstrap(place / "root", place / "seed", place / "build.log")
    with step("image: disk"):
        _make_disk(place)


def _make_keys(keys: Path) -> None:
    """One ssh key for root, one for the users, one host key for each machine."""
    keys.mkdir()
    for name in ("root", "users", *(spec.name for spec in recipe.MACHINES)):
        command = [
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            f"lab {name}",
            "-f",
            str(keys / name),
        ]
        subprocess.run(command, check=True)


def _make_seed(seed: Path, keys: Path) -> None:
    """The files laid over the new root filesystem: before the kernel comes, and after."""
    _write(seed / "initrd/etc/initramfs-tools/conf.d/lab", "MODULES=list\n")
    modules = "".join(f"{name}\n" for name in recipe.INITRD_MODULES)
    _write(seed / "initrd/usr/share/initramfs-tools/modules.d/lab", modules)
    shutil.copytree(recipe.PROVISION / "rootfs", seed / "root")
    library = seed / "root/usr/lib/lab"
    shutil.copy2(recipe.PROVISION / "base.sh", library)
    (library / "keys").mkdir()
    for name in ("root", "users"):
        shutil.copy2(keys / f"{name}.pub", library / "keys")
    for spec in recipe.MACHINES:
        tree = library / "machines" / spec.name
        for path, text in recipe.identity_files(spec).items():
            _write(tree / path, text)
        (tree / "etc/ssh").mkdir(parents=True)
        shutil.copy2(keys / spec.name, tree / "etc/ssh/ssh_host_ed25519_key")
        shutil.copy2(keys / f"{spec.name}.pub", tree / "etc/ssh/ssh_host_ed25519_key.pub")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _bootstrap(target: Path, seed: Path, log: Path) -> None:
    """Runs mmdebstrap; its output is shown only when it fails."""
    environment = {**os.environ, "LAB_SEED": str(seed)}
    with log.open("w") as output:
        done = subprocess.run(
            _bootstrap_command(target),
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"mmdebstrap failed:\n{log.read_text()[-3000:]}")


def _bootstrap_command(target: Path) -> list[str]:
    return [
        "mmdebstrap", "--variant=minbase", "--mode=root", f"--keyring={KEYRING}",
        f"--include={','.join(recipe.PACKAGES)}",
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude={path}" for path in recipe.EXCLUDED),
        # Modes are set inside: those of a checkout depend on who made it.
        '--essential-hook=umask 022; cp -R --no-preserve=mode "$LAB_SEED/initrd/." "$1"',
        '--customize-hook=umask 022; cp -R --no-preserve=mode "$LAB_SEED/root/." "$1"',
        '--customize-hook=chroot "$1" sh /usr/lib/lab/base.sh',
        "bookworm", str(target),
        f"deb {_mirror()} bookworm main", f"deb {_mirror()} bookworm-updates main",
        f"deb {_mirror()}-security bookworm-security main",
    ]  # fmt: skip


def _make_disk(place: Path) -> None:
    """Packs the tree into a sparse ext4 image, and takes kernel and initrd out of it."""
    tree = place / "root"
    shutil.copy2(next((tree / "boot").glob("vmlinuz-*")), place / "vmlinuz")
    shutil.copy2(next((tree / "boot").glob("initrd.img-*")), place / "initrd.img")
    for file in (tree / "boot").iterdir():
        file.unlink()
    command = [
        find("mke2fs") or "mke2fs",
        "-q",
        "-t",
        "ext4",
        "-m",
        "0",
        "-L",
        "root",
        "-d",
        str(tree),
    ]
    subprocess.run([*command, str(place / "base.img"), recipe.ROOT_DISK_SIZE], check=True)
    (place / "base.img").chmod(0o444)
    shutil.rmtree(tree)
    shutil.rmtree(place / "seed")
