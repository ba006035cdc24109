"""Record how the real sudo of this machine lists and decides: python -m tests.recorded.record_sudo.

It needs root, makes a user and a sudoers file for it, and takes both away again.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

from extendctl.host import timed
from extendctl.sudoers import sudoers
from tests import phrases
from tests.live.limited_user import LimitedUser

FILE = Path(__file__).parent / "sudo-listings.json"
TRUE, TEE = (timed(words, 180) for words in (("true", "a,b"), ("tee", "/dev/null")))
TIMEOUT = "/usr/bin/timeout -k 5 180"
ONE = "USER ALL = (root) NOPASSWD: /bin/true"
NO, ASK = f"{ONE}, {TIMEOUT} tee *", f"USER ALL = (root) PASSWD: {TIMEOUT} tee *"


def asks(rule: str, users: str = "root") -> tuple[str, ...]:
    """All is allowed, and a later rule wants a password."""
    return (f"{ONE}, ALL", f"USER ALL = ({users}) {rule}")


CERTAIN: dict[str, tuple[str, ...]] = {
    "PASSWD last": (NO, ASK),
    "NOPASSWD last": (ASK, NO),
    "no tag is PASSWD": asks("ALL"),
    "tags stay": (
        f"{ONE}, PASSWD: /bin/ls, SETENV: NOEXEC: {TIMEOUT} tee *, NOPASSWD: {TIMEOUT} true *",
    ),
    "tags end with the line": (f"{ONE}, {TIMEOUT} tee *, (ALL : ALL) {TIMEOUT} true *",),
    "all rules want one": ("USER ALL = (root) ALL",),
    "listpw=never": ("Defaults:USER listpw=never", "USER ALL = (root) ALL"),
    "another user": asks("PASSWD: ALL", "nobody"),
    "root among users": asks("PASSWD: ALL", "nobody, root : disk"),
    "root by number": asks("PASSWD: ALL", "#0"),
    "all but root": asks("PASSWD: ALL", "ALL, !root"),
    "a group alone": asks("PASSWD: ALL", ":disk"),
    "nobody else": asks("PASSWD: ALL", ""),
    "an alias": ("Cmnd_Alias EXTENDCTL_A = /bin/ls, /usr/bin/timeout", *asks("EXTENDCTL_A")),
    "all but an alias": ("Cmnd_Alias EXTENDCTL_A = /usr/bin/timeout", *asks("ALL, !EXTENDCTL_A")),
    "denied": asks("!/usr/bin/timeout"),
    "no arguments": asks('PASSWD: /usr/bin/timeout "", /usr/bin/timeout true *'),
    "the other name": asks("PASSWD: /bin/timeout"),
    "another program": asks("PASSWD: /usr/bin/tee, /usr/bin/env, sudoedit /etc/hosts, list"),
    "a directory": asks("PASSWD: /usr/bin/"),
    "another directory": asks("PASSWD: /usr/lib/"),
    "a pattern of directories": asks("PASSWD: /u*/b[h-j]n/"),
    "a pattern of files": asks("PASSWD: /usr/*/t?meout"),
    "a pattern of others": asks("PASSWD: /usr/*/t?meou"),
    "escapes": asks("PASSWD: /usr/bin/timeout -k ? 180 true a\\,b, /usr/bin/timeout x\\:y\\=z\\#"),
    "regular arguments": asks("PASSWD: /usr/bin/timeout ^-k 5 .* (true|false) a,b$, /bin/ls"),
    "a regular path": asks("PASSWD: ^/usr/bin/(timeout|printenv)$ ^.* tee /dev/[a-z]{4}$"),
    "a regular path alone": asks("PASSWD: ^/usr/bin/p.*$"),
    "options": asks("CWD=/tmp TIMEOUT=300 LOG_INPUT: PASSWD: /usr/bin/timeout"),
}
UNCERTAIN: dict[str, tuple[str, ...]] = {
    "a group as user": asks("PASSWD: ALL", "%root"),
    "another digest": asks(f"PASSWD: sha256:{'0' * 64}, sha224:{'0' * 56} /usr/bin/timeout"),
    "time that is over": asks("NOTAFTER=20200101000000Z PASSWD: /usr/bin/timeout"),
    "time that is not over": asks("NOTAFTER=20990101000000Z PASSWD: /usr/bin/timeout"),
    "another timeout": asks("PASSWD: /usr/local/bin/timeout"),
    "an alias that is none": asks("PASSWD: EXTENDCTL_NONE"),
    "a case that does not matter": asks("PASSWD: /usr/bin/timeout ^(?i)-K 5 .*$"),
    "a password is never wanted": ("Defaults:USER !authenticate", *asks("ALL")),
    "a password is not wanted as root": ("Defaults>root !authenticate", *asks("ALL")),
    "a group is exempt": ("Defaults:USER exempt_group=extendctl-test", *asks("PASSWD: ALL")),
    "one password for all lines": ("Defaults:USER timestamp_type=global", *asks("PASSWD: ALL")),
}
ARGUMENTS = (
    "a", "ab", "a b", "a,b", "a/b", "A", "aaa", "a.b", "a\\b", "a]b", "a-b", "[", "x$", "^x", "7",
    ".", "",
)  # fmt: skip
PATTERNS = (
    "a", "a*", "a?b", "[ab]*", "[!a]", "[^a]*", "*b", "a\\*b", "a[.]b", "a[]]b", "a[a-]b",
    "[a-c]?", "?", "*", "a\\,b", "[[\\:digit\\:]]", "\\[", "[[]", "a b", '"a b"', "^a$", "^a|b$",
    "^(a|b)+$", "^a{3}$", "^a{2,}$", "^a{1,2}b?$", "^[[:alpha:]]+$", "^[^[:alnum:]]$", "^a[.]b$",
    "^a[\\.]b$", "^a\\.b$", "^a.b$", "^a[]]b$", "^[]a]+$", "^a[a-]b$", "^a[,-/]b$", "^.*b$",
    "^()a$", "^a||b$", "^\\w+$", "^(a)\\1$", "^a**$", "^\\^x$", "^x\\$$", "^[[.a.]]$", "^a{,2}$",
    "^a+?$", "^.?$", "^a,b$", "^a\\,b$", "^(.|..)$", "^[A-Z]$", "^[^/]*$", "^(a?){3}b?$",
    "^[a\\]b]+$", "^(((a)))$", "^a$b$", "^.*^a$",
)  # fmt: skip


def main() -> None:
    """Write the samples beside this file."""
    said = subprocess.run(["sudo", "--version"], check=True, capture_output=True, text=True)
    site = phrases.site(LimitedUser.name)
    text = sudoers(site, site.hosts["box"], LimitedUser.name, ["ext4", "xfs"]).text
    text = text.replace("NOPASSWD: ", f"NOPASSWD: {TIMEOUT} true *, ", 1)
    printed = tuple(one for one in text.splitlines() if one and not one.startswith("#"))
    every = CERTAIN | UNCERTAIN | {
        "the printed file last": ("USER ALL = (ALL:ALL) ALL", *printed),
        "the printed file first": (*printed, "USER ALL = (ALL:ALL) ALL"),
    }  # fmt: skip
    with LimitedUser() as user:
        document = {
            "system": "Debian 12",
            "versions": said.stdout.splitlines()[:1],
            "samples": [sample(user, name, lines) for name, lines in every.items()],
            "arguments": ARGUMENTS,
            "patterns": dict(one for pattern in PATTERNS for one in matches(user, pattern)),
        }
    FILE.write_text(json.dumps(document, indent=1) + "\n")


def sample(user: LimitedUser, name: str, lines: tuple[str, ...]) -> dict[str, Any]:
    """A file, how it is listed, and for two commands what sudo says of them, and does."""
    lines = tuple(line.replace("USER", user.name) for line in lines)
    user.may("\n".join((*lines, "")))
    listing = user.sudo("-l").stdout.splitlines()
    commands = []
    for words in (TRUE, TEE):
        listed, done = user.sudo("-l", *words), user.sudo(*words)
        commands.append(
            {"words": words, "listed": listed.returncode, "status": done.returncode,
             "stderr": done.stderr.splitlines()}
        )  # fmt: skip
    certain = name not in UNCERTAIN
    return {"name": name, "certain": certain, "sudoers": lines, "listing": listing,
            "commands": commands}  # fmt: skip


def matches(user: LimitedUser, pattern: str) -> list[tuple[str, list[str]]]:
    """A pattern as it is listed, and which of ARGUMENTS it takes in; none that visudo refuses."""
    try:
        user.may(f"{user.name} ALL = (root) NOPASSWD: /usr/bin/printenv {pattern}\n")
    except subprocess.CalledProcessError:
        return []
    shown = user.sudo("-l").stdout.splitlines()[-1].partition("/usr/bin/printenv ")[2]
    calls = {one: ("/usr/bin/printenv", *([one] if one else ())) for one in ARGUMENTS}
    return [(shown, [one for one, words in calls.items() if user.allowed(words)])]


if __name__ == "__main__":
    main()
