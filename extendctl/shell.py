"""Turn argv into the one string that an SSH exec request takes; nothing else here knows shells."""

import shlex
from collections.abc import Sequence

from extendctl.errors import Usage, quoted


def render(argv: Sequence[str]) -> str:
    """Quote argv for a POSIX shell, so that it arrives word for word.

    RFC 4254 6.5 hands the remote side one string, which sshd gives to the user's shell with `-c`.
    Raises Usage for what no argv can carry: nothing at all, or a NUL byte.
    """
    if not argv:
        raise Usage("an empty command cannot be run")
    for word in argv:
        if "\0" in word:
            raise Usage(f"a NUL byte cannot be passed in an argument: {quoted(word)}")
    return shlex.join(argv)
