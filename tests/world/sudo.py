"""What sudo lets users of a simulated machine do, and how it lists that."""

from collections.abc import Iterator

Rights = str | list[str]

_HEAD = (
    "Matching Defaults entries for {user} on {host}:",
    "    env_reset, mail_badpass, secure_path=/usr/sbin\\:/usr/bin\\:/sbin\\:/bin, use_pty",
    "",
    "User {user} may run the following commands on {host}:",
)
_RULE = "    (root) {tag}: /usr/bin/timeout -k 5 * {tool} *"


def allows(rights: Rights, tool: str) -> bool:
    """Whether `sudo -n -l COMMAND` says yes, also to what wants a password beside what does not."""
    if isinstance(rights, list):
        return tool in rights
    return rights == "all" or rights.startswith("asks ")


def wants_password(rights: Rights, tool: str) -> bool:
    """Whether the last rule for a tool is one with PASSWD."""
    return isinstance(rights, str) and rights.startswith("asks ") and tool in rights.split()[1:]


def listing(rights: Rights, user: str, host: str) -> Iterator[str]:
    """What `sudo -n -l` prints on a pipe; nothing where it wants a password for that itself."""
    if rights in ("password", "expired", []):
        return
    yield from (line.format(user=user, host=host) for line in _HEAD)
    if isinstance(rights, list):
        yield from (_RULE.format(tag="NOPASSWD", tool=tool) for tool in rights)
        return
    yield "    (ALL : ALL) NOPASSWD: ALL"
    yield from (_RULE.format(tag="PASSWD", tool=tool) for tool in rights.split()[1:])
