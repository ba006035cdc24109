"""Say which rule of `sudo -l` decides about a command, where it wants a password for certain.

Of all rules that match, sudo takes the last one (sudoers(5)). The form is that of sudo 1.9, in the
C locale, on a pipe: one line for each rule, its commands parted by `, `.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from extendctl.errors import quoted
from extendctl.figures import Garbled
from extendctl.posix_patterns import Effort, extended, glob

_LONGEST = 1 << 20  # signs of a listing
_SHOWN = 200  # signs of a rule that a message has room for
_TOOL = "timeout"  # what sudo is asked for each time
_USUAL = (f"/usr/bin/{_TOOL}", f"/bin/{_TOOL}")
_UNUSUAL = tuple(
    f"{one}/{_TOOL}" for one in ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/sbin")
)

# With these in the Defaults, a rule's tag alone does not tell whether a password is wanted.
_DOUBTS = re.compile(
    "!authenticate|(?<!!)exempt_group|timestamp_type=global|!tty_tickets|noninteractive_auth|"
    "runas_default"
)
_HEADING = re.compile(
    r"(Matching Defaults entries for|Runas and Command-specific defaults for|User) .{1,999}:"
)
_USER = re.compile("#[1-9][0-9]*|[a-z_][a-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Rule:
    """A command of a rule: who may be, what, and whether for a password.

    `as_root` is None where it cannot be told. `bound` is one to a digest, a time or another root
    directory, so that it may hold or not.
    """

    users: str
    path: str
    arguments: str | None
    asks: bool
    denies: bool
    as_root: bool | None
    bound: bool

    def __str__(self) -> str:
        words = self.path if self.arguments is None else f"{self.path} {self.arguments}"
        text = f"({self.users}) {words}"
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def asking(listing: Sequence[str], words: Sequence[str]) -> Rule | None:
    """The rule that wants a password for these words as root; None where none does for certain.

    Raises ValueError for a listing that cannot be read, or a rule that cannot be compared.
    """
    head, found = rules(listing)
    if not any(one.asks for one in found) or _DOUBTS.search(head) or words[0] != _TOOL:
        return None
    if all(one.asks for one in found) and "listpw" not in head:
        return None  # then sudo would not have shown them without a password
    effort, arguments = Effort(), " ".join(words[1:])
    for rule in reversed(found):
        fits = _fits(rule, arguments, effort)
        if fits is not False:
            return rule if fits and rule.asks and not rule.denies else None
    return None


def rules(listing: Sequence[str]) -> tuple[str, tuple[Rule, ...]]:
    """What a listing says in front of its rules, and the rules. Raises Garbled."""
    if sum(map(len, listing)) > _LONGEST:
        raise Garbled("a listing of sudo's that is too long")
    head, rows = list[str](), list[list[str]]()
    for line in listing:
        if line.startswith("    ("):
            rows.append([line.strip()])
        elif rows and line.startswith(" " * 8):  # wrapped at 80 columns where it is no pipe
            rows[-1].append(line.strip())
        elif not rows and (line.startswith("    ") or _HEADING.fullmatch(line)):
            head.append(line)
        elif line.strip():
            raise Garbled(f"no line of sudo's: {quoted(line)}")
    return "\n".join(head), tuple(rule for row in rows for rule in _row(" ".join(row)))


# What stands in front of a command: options and tags hold for what comes after them in the line.
_BEFORE = re.compile(
    r"(?:(?P<tag>[A-Z_]+):|(?P<option>[A-Z_]+)=(?:\\.|[^\\ ])*) "
    r"|(?P<digest>sha[0-9]{3}:[0-9A-Za-z+/=\\]+)(?: |, )"
)
# sudo escapes `,` but in regular expressions, which end with `$`.
_COMMAND = re.compile(
    r"(?P<denies>!?)(?P<path>(?>\^.*?\$(?= |, |\Z))|(?!\^)(?:\\.|[^\\, ])++)"
    r"(?: (?P<arguments>(?>\^.*?\$(?=, |\Z))|(?!\^)(?:\\.|[^\\,])++))?(?:, |\Z)"
)
_BINDING = {"CHROOT", "NOTBEFORE", "NOTAFTER"}


def _row(row: str) -> Iterator[Rule]:
    users, closed, rest = row[1:].partition(") ")
    users = users.partition(" : ")[0]
    if not closed or not rest:
        raise Garbled(f"no rule of sudo's: {quoted(row)}")
    as_root, asks, bound, place = _as_root(users), True, False, 0
    while place < len(rest):
        digest = False
        while (before := _BEFORE.match(rest, place)) is not None:
            place, tag = before.end(), before["tag"]
            asks = tag == "PASSWD" if tag in {"PASSWD", "NOPASSWD"} else asks
            bound = bound or before["option"] in _BINDING
            digest = digest or before["digest"] is not None
        found = _COMMAND.match(rest, place)
        if found is None:
            raise Garbled(f"no command of sudo's: {quoted(rest[place:])}")
        place = found.end()
        yield Rule(
            users, found["path"], found["arguments"], asks, bool(found["denies"]), as_root,
            bound or digest,
        )  # fmt: skip


def _as_root(users: str) -> bool | None:
    """Whether root is among the users that a rule lets one be; the last that matches decides."""
    for one in reversed(users.split(", ")):
        plain = one.removeprefix("!")
        if plain in {"root", "ALL", "#0"}:
            return plain == one
        if not _USER.fullmatch(plain):
            return None  # a group or a netgroup, which root may be in
    return False


def _fits(rule: Rule, arguments: str, effort: Effort) -> bool | None:
    """Whether a rule is about `timeout` with these arguments as root; None where it may be."""
    if rule.as_root is False or (command := _is_timeout(rule.path, effort)) is False:
        return False
    if rule.arguments is not None and not _takes(rule.arguments, arguments, effort):
        return False
    return None if rule.bound or None in {rule.as_root, command} else True


def _is_timeout(path: str, effort: Effort) -> bool | None:
    """Whether a rule's path is that of `timeout`; None where that depends on the machine."""
    if path == "ALL":
        return True
    if path in {"sudoedit", "list"}:
        return False
    if path.startswith("^"):
        if extended(path, _USUAL[0], effort):
            return True
        return None if any(extended(path, one, effort) for one in (*_USUAL, *_UNUSUAL)) else False
    if not path.startswith("/"):
        raise Garbled(f"no command of sudo's: {quoted(path)}")
    plain = _plain(path)
    cut = _TOOL if plain.endswith("/") else ""  # a directory, and all that is in it

    def among(places: Iterable[str]) -> bool:
        return any(glob(plain, one.removesuffix(cut), effort, path=True) for one in places)

    if among(_USUAL):
        return True
    return None if plain.endswith(f"/{_TOOL}") or among(_UNUSUAL) else False


def _takes(pattern: str, arguments: str, effort: Effort) -> bool:
    if pattern == '""':
        return not arguments
    if pattern.startswith("^"):
        return extended(pattern, arguments, effort)
    return glob(_plain(pattern), arguments, effort)


def _plain(pattern: str) -> str:
    r"""A pattern of fnmatch(3), without what sudo puts in front of `:`, `,`, `=` and `#`.

    Raises Garbled for `\\`: sudo shows a backslash as it is, or doubled, by its version.
    """
    if "\\\\" in pattern:
        raise Garbled(f"a backslash of which it is not known whose it is: {quoted(pattern)}")
    return re.sub(r"\\([:,=#])", r"\1", pattern)
