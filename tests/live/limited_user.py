"""A user of this machine who may run as root what a sudoers file says, and is gone afterwards."""

import os
import pwd
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_FILE = Path("/etc/sudoers.d/extendctl-test")


class LimitedUser:
    """A context manager that makes the user, and takes user and file away again."""

    name = "extendctl-test"

    def __init__(self) -> None:
        self.ids = (0, 0)

    def __enter__(self) -> Self:
        self._remove()
        # A password of `*` is none, but not a locked account, which sshd would refuse.
        words = ["useradd", "--no-create-home", "--shell", "/bin/sh", "--password", "*", self.name]
        subprocess.run(words, check=True, capture_output=True)
        entry = pwd.getpwnam(self.name)
        self.ids = entry.pw_uid, entry.pw_gid
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def _remove(self) -> None:
        _FILE.unlink(missing_ok=True)
        subprocess.run(["userdel", self.name], check=False, capture_output=True)

    def may(self, sudoers: str) -> None:
        """Install a sudoers file, which visudo must find well."""
        handle = os.open(_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o440)
        with os.fdopen(handle, "w") as file:
            file.write(sudoers)
        subprocess.run(["visudo", "-cf", _FILE], check=True, capture_output=True)

    def sudo(self, *words: str, cwd: str = "/") -> "subprocess.CompletedProcess[str]":
        """Run sudo as this user."""
        uid, gid = self.ids
        return subprocess.run(
            ["sudo", "-n", *words],
            user=uid, group=gid, extra_groups=[], cwd=cwd, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def allowed(self, words: Sequence[str]) -> bool:
        """Whether sudo would run these words, as it says itself."""
        return self.sudo("-l", *words).returncode == 0
