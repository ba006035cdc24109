"""Knows which programs of this machine the lab needs, and how to get them."""

import os
import shutil
import subprocess
from pathlib import Path

# Program -> Debian package.
_NEEDED = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "setpriv": "util-linux",
}
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def find(program: str) -> str | None:
    """Where a program is; also in sbin, which is not on every user's path."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def missing() -> list[str]:
    """The Debian packages that have to be installed before the lab can run."""
    packages = [package for program, package in _NEEDED.items() if not find(program)]
    if not Path(KEYRING).exists():
        packages.append("debian-archive-keyring")
    return list(dict.fromkeys(packages))


def install_command() -> str:
    """What a person types to get what is missing; empty when nothing is."""
    packages = missing()
    return f"apt-get install --no-install-recommends {' '.join(packages)}" if packages else ""


def install() -> None:
    """Installs what is missing."""
    packages = missing()
    if packages:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=True, env=environment)
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
        subprocess.run(command, check=True, env=environment)


def unusable() -> str | None:
    """Why the lab cannot run here, in one sentence, or None."""
    if os.geteuid() != 0:
        return "the lab's image is built as root, and this is not root"
    if missing():
        return f"programs are missing; install them with: {install_command()}"
    return None


def accelerator() -> str:
    """Software emulation unless the environment asks for KVM.

    KVM is not probed: where it is broken, a guest hangs instead of failing.
    """
    return os.environ.get("EXTENDCTL_LAB_ACCEL") or "tcg"


def emulator_version() -> str:
    """The version of QEMU; a machine's saved memory belongs to it."""
    command = ["qemu-system-x86_64", "--version"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[
        0
    ]


def run(command: list[str]) -> None:
    """Runs a program of this machine, and shows what it said if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
