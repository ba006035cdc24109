"""Read where the state is kept: a database's URL, and its password from wherever it stands."""

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from extendctl.config import state_home
from extendctl.config_faults import Finding
from extendctl.errors import quoted

IN_FILE = "the configuration file"
"""Where a password was found that stands in the URL itself."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\+[A-Za-z0-9_]+)?://.*")
# As SQLAlchemy reads it: a password may have a '/', and ends at the first '@'.
_LOGIN = re.compile(r"(?P<before>[^:/]+://[^:/@]*):(?P<password>[^@]*)@(?P<after>.*)")
_SQLITE = re.compile(r"(?P<scheme>sqlite(\+\w+)?:///)(?P<path>[^?]+)(?P<query>\?.*)?")
_SECRET_QUERY = re.compile(r"[?&](password|passwd|sslpassword)=", re.IGNORECASE)
_FORM = "expected a database URL such as sqlite:///state.db"
# Each kind of database that the program can use: SQLAlchemy's driver, what that imports, and what
# brings it. As in `database`, which is not imported here, because SQLAlchemy would come with it.
_KINDS = {
    "sqlite": ("pysqlite", "sqlite3", ""),
    "postgresql": ("psycopg", "psycopg", "extendctl[postgres]"),
    "mysql": ("pymysql", "pymysql", "extendctl[mariadb]"),
    "mariadb": ("pymysql", "pymysql", "extendctl[mariadb]"),
}


class State(NamedTuple):
    """A URL without its password, the password, and where it was found."""

    url: str
    password: str = ""
    password_from: str = ""

    def __repr__(self) -> str:
        return f"State({self.url!r})"


def default() -> State:
    """The state when the file names none: SQLite under the state home, as with no file at all."""
    return State(f"sqlite:///{state_home() / 'state.db'}")


def read(section: object, base: Path) -> tuple[State, list[Finding]]:
    """The state from the file's `state`, or its default; never echoes what may be a password.

    `base` is the directory that relative paths start from. Reads the environment, or the file
    with the password, when the section names one. What is of a wrong type is passed over.
    """
    given: Mapping[str, Any] = section if isinstance(section, dict) else {"url": section}
    url = given.get("url")
    if not isinstance(url, str):
        return default(), []
    findings = list(_form(url, given))
    match = _LOGIN.fullmatch(url)
    if match is not None:
        url = f"{match['before']}@{match['after']}"
        return State(_resolved(url, base), unquote(match["password"]), IN_FILE), findings
    password, source, more = _password(given, base)
    return State(_resolved(url, base), password, source), findings + more


def masked(state: str, *, password: bool) -> str:
    """The URL as it may be shown, with *** in place of a password."""
    scheme, _, rest = state.partition("://")
    login, at, place = rest.partition("@")
    return f"{scheme}://{login}:***@{place}" if password and at else state


def _form(url: str, given: Mapping[str, Any]) -> list[Finding]:
    path = ("state", "url") if "password_env" in given or "password_file" in given else ("state",)
    if not _URL.fullmatch(url):
        return [Finding(path, _FORM)]
    match = _LOGIN.fullmatch(url)
    unusable = _unusable(url.partition("://")[0])
    findings = [Finding(path, unusable)] if unusable else []
    if _SECRET_QUERY.search(url):
        message = "a password does not belong behind '?'; use password_env or password_file"
        findings.append(Finding(path, message))
    if match is not None and "@" in re.split("[/?]", match["after"])[0]:
        findings.append(Finding(path, "an '@' in a user's name or password is written %40"))
    sources = ["url"] if match is not None else []
    sources += [key for key in ("password_env", "password_file") if key in given]
    if len(sources) > 1:
        findings.append(Finding(("state",), f"the password is given twice: {', '.join(sources)}"))
    return findings


def _unusable(scheme: str) -> str:
    """Why a database cannot be used, by the `KIND` or `KIND+DRIVER` of its URL; empty if it can."""
    kind, _, driver = scheme.partition("+")
    if kind not in _KINDS:
        known = f"expected {', '.join(_KINDS)}"
        return f"extendctl cannot use a database of the kind {quoted(kind)}; {known}"
    own, module, extra = _KINDS[kind]
    if driver not in {"", own}:
        return (
            f"extendctl cannot use the driver {quoted(driver)}; write {kind}://, or {kind}+{own}://"
        )
    if find_spec(module) is None:
        needed = f"needs the Python package {module}, which is not installed"
        return f"{kind} {needed}: pip install '{extra}'"
    return ""


def _password(given: Mapping[str, Any], base: Path) -> tuple[str, str, list[Finding]]:
    variable, file = given.get("password_env"), given.get("password_file")
    if isinstance(variable, str):
        password = os.environ.get(variable, "")
        message = f"the environment variable '{variable}' is not set"
        missing = [] if password else [Finding(("state", "password_env"), message)]
        return password, f"environment variable {variable}", missing
    if isinstance(file, str):
        return _from_file(located(file, base))
    return "", "", []


def _from_file(path: Path) -> tuple[str, str, list[Finding]]:
    key, source = ("state", "password_file"), f"file {path}"
    try:
        with path.open("rb") as file:
            password = file.read(4096).decode("utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        return "", source, [Finding(key, f"'{path}' cannot be read: {reason}")]
    return password, source, [] if password else [Finding(key, f"'{path}' is empty")]


def located(path: str, base: Path) -> Path:
    """The path with `~` expanded; a relative one starts from `base`."""
    return base / os.path.expanduser(path)  # noqa: PTH111 - Path.expanduser raises without a home


def _resolved(url: str, base: Path) -> str:
    match = _SQLITE.fullmatch(url)
    if match is None or match["path"].startswith((":memory:", "file:")):
        return url
    return f"{match['scheme']}{located(match['path'], base)}{match['query'] or ''}"
