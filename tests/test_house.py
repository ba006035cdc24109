"""The rules of the house, read off the source; each failure says what the rule is for."""

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
SOURCE = TOP / "extendctl"

# The means come in three kinds, which know only their own.
CONFIG = "config config_*"
STATE = (
    "store tables operations admission records volumes database postgres owner"
    " schema migrations snapshot restoration integrity database_faults"
)
SSH = "ssh dial talk hostkeys identity"
PROBES = "mounts usage probe probe_script target_probe nvmet_probe"
READINGS = "figures readings block_readings tgt_readings sudo_listing posix_patterns"
MACHINE = f"host lease phrasebook questions lvm_archive {PROBES} {READINGS} ability transport {SSH}"

USE = (
    "journal inventory inspection audit lookout discovery sudoers sudo_patterns"
    " extension extension.*"
)

# A module stands on one floor and imports from the floors beneath. A new module is one more name
# here or above; `package.*` takes in a whole package.
FLOORS: tuple[str, ...] = (
    "__init__ size errors names told shell model stack",
    f"{CONFIG} {STATE} {MACHINE}",
    "policy backends.* compute.*",
    f"{USE} extension_*",
    "app console page views views_*",
    "cli cli.* __main__",
)

# What a module may import on its own floor. What is not here stands beside the others, not on them.
SAME_FLOOR: dict[str, str] = {
    "size names told shell model stack": "*",
    CONFIG: CONFIG,
    STATE: f"config {STATE}",
    MACHINE: f"config {MACHINE}",
    "backends.*": "backends.*",
    "compute.*": "compute.*",
    f"{USE} extension_*": "*",
    "app": "console",
    "console views views_*": "page views views_data",
    "cli.* cli __main__": "*",
}

# Imports that the floors would allow and that are wrong all the same, with the reason.
FORBIDDEN: tuple[tuple[str, str, str], ...] = (
    ("backends.*", "compute.*", "where a volume lives knows nothing of who uses it"),
    ("compute.*", "backends.*", "who uses a volume knows nothing of where it lives"),
    ("stack", "host transport", "a layer must not care how its host is reached"),
    ("policy", "transport host ssh phrasebook probe", "policy is pure: it decides, it never looks"),
    ("policy", "backends.* compute.*", "policy is pure: it is told facts, it never asks for them"),
)

# The one door of each third-party package; `cli` means the package and its modules.
DOORS: dict[str, str] = {
    "click": "cli cli.* __main__",
    "rich": "console",
    "yaml": "config_file console",
    "sqlalchemy": STATE,
    "alembic": "migrations",
    "paramiko": SSH,
    "pydantic": "config_schema config_file",
    "pydantic_core": "config_schema config_file",
    "psycopg": "postgres",
}

NO_NAMES = {"utils", "util", "helpers", "helper", "manager", "service", "common", "base"}
FILE_LINES, FUNCTION_LINES = 350, 45
# All that may run as root stands in one file, so that it can be read in one go.
LONGER = {"phrasebook": 500}
HOMES = re.compile(rf"{re.escape(str(TOP))}\b|(?<![\w.])/(?:home|Users)/\w+")


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    is_package = parts[-1] == "__init__" and len(parts) > 1
    return ".".join(parts[:-1] if is_package else parts)


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}
Among = Callable[[ast.AST], Iterable[ast.AST]]
TREES = {name: ast.parse(path.read_text(), str(path)) for name, path in MODULES.items()}
each_module = pytest.mark.parametrize("name", MODULES)


def matches(name: str, patterns: str) -> bool:
    """Whether a module is among the patterns; `package.*` is the package itself, too."""
    return any(fnmatch(name, one) or name == one.removesuffix(".*") for one in patterns.split())


def floor_of(name: str) -> int:
    return next((floor for floor, names in enumerate(FLOORS) if matches(name, names)), -1)


def top_level(tree: ast.AST) -> Iterable[ast.AST]:
    """What runs when the module is imported, classes and functions left out."""
    return ast.iter_child_nodes(tree)


def imports(name: str, among: Among = ast.walk) -> Iterator[tuple[int, str]]:
    """Line and full name of what a module imports."""
    for node in among(TREES[name]):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{MODULES[name]}:{node.lineno}: import by the full name"
            source = node.module or ""
            for alias in node.names:
                full = f"{source}.{alias.name}"
                known = full.removeprefix("extendctl.") in MODULES
                yield node.lineno, full if known else source


def own_imports(name: str, among: Among = ast.walk) -> Iterator[tuple[int, str]]:
    """Line and name, within extendctl, of the project's own modules that a module imports."""
    for line, full in sorted(set(imports(name, among))):
        if full.split(".")[0] == "extendctl":
            yield line, full.removeprefix("extendctl").removeprefix(".") or "__init__"


def report(found: list[str], reason: str) -> None:
    if found:
        pytest.fail("\n  ".join([reason, *found]), pytrace=False)


def place(name: str, line: int) -> str:
    return f"{MODULES[name].relative_to(TOP)}:{line}"


@each_module
def test_a_module_stands_on_a_floor(name: str) -> None:
    found = [] if floor_of(name) >= 0 else [str(MODULES[name].relative_to(TOP))]
    report(found, "a module stands on a floor: decide on one, add it to FLOORS in test_house.py:")


@each_module
def test_imports_go_down(name: str) -> None:
    if floor_of(name) < 0:
        return  # the test above says so
    beside = " ".join(same for names, same in SAME_FLOOR.items() if matches(name, names))
    found = [
        f"{place(name, line)} imports {other}, on floor {floor_of(other)}"
        for line, other in own_imports(name)
        if floor_of(other) > floor_of(name)
        or (floor_of(other) == floor_of(name) and other != name and not matches(other, beside))
    ]
    report(
        found,
        f"{name} (floor {floor_of(name)}) may import from the floors beneath it, or what "
        "SAME_FLOOR lists. What imports upwards cannot be used, tested or read on its own:",
    )


def test_imports_go_round_nowhere() -> None:
    graph = {
        name: {other for _, other in own_imports(name, top_level)} - {name} for name in MODULES
    }
    circle = []
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as cycle:
        circle = [" <- ".join(cycle.args[1])]
    report(circle, "what imports in a circle is one module in pieces:")


@pytest.mark.parametrize(("who", "what", "reason"), FORBIDDEN)
def test_strangers_stay_strangers(who: str, what: str, reason: str) -> None:
    found = [
        f"{place(name, line)} imports {other}"
        for name in MODULES
        if matches(name, who)
        for line, other in own_imports(name)
        if matches(other, what)
    ]
    report(found, f"{who} must not import {what}, for {reason}:")


@each_module
def test_each_third_party_has_one_door(name: str) -> None:
    found = [
        f"{place(name, line)} imports {package}, whose door is {DOORS.get(package, '(none yet)')}"
        for line, full in imports(name)
        for package in [full.split(".")[0]]
        if package not in sys.stdlib_module_names and package != "extendctl"
        if not matches(name, DOORS.get(package, ""))
    ]
    report(found, "what comes in by one door can be replaced, and is paid for only when used:")


def test_words_import_only_the_standard_library() -> None:
    found = [
        f"{place(name, line)} imports {full}"
        for name in MODULES
        if floor_of(name) == 0
        for line, full in imports(name)
        if full.split(".")[0] in {"subprocess", "socket", "sqlite3"}
    ]
    report(found, "floor 0 is words: it does no input or output, so it needs no machine to test:")


@each_module
def test_names_say_what_is_in_them(name: str) -> None:
    bad = NO_NAMES.intersection(re.split(r"[._]", name))
    report(sorted(bad), f"{name}: such a name takes in everything; call it after its duty, not:")


@each_module
def test_files_are_short(name: str) -> None:
    lines = len(MODULES[name].read_text().splitlines())
    limit = LONGER.get(name, FILE_LINES)
    found = [f"{place(name, lines)}"] if lines > limit else []
    report(found, f"a file of more than {FILE_LINES} lines has two duties; part them:")


@each_module
def test_functions_are_short(name: str) -> None:
    found = [
        f"{place(name, node.lineno)} {node.name}: {length} lines"
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for length in [(node.end_lineno or node.lineno) - node.lineno + 1]
        if length > FUNCTION_LINES
    ]
    report(found, f"a function of more than {FUNCTION_LINES} lines cannot be taken in at a glance:")


@each_module
def test_a_module_says_its_duty(name: str) -> None:
    first = (ast.get_docstring(TREES[name]) or "").split("\n")[0]
    found = [] if re.fullmatch(r"\S.*[.:]", first) else [f"{place(name, 1)} has {first!r}"]
    report(found, "a module's docstring begins with one whole sentence on one line, its duty:")


def _shells(node: ast.AST) -> bool:
    """`os.system`, `os.popen`, or any call with `shell=` other than False."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.value.id == "os" and node.attr in {"system", "popen"}
    return isinstance(node, ast.keyword) and node.arg == "shell" and _truth(node.value)


def _truth(value: ast.expr) -> bool:
    return not (isinstance(value, ast.Constant) and value.value is False)


@each_module
def test_commands_are_argv(name: str) -> None:
    found = [
        place(name, getattr(node, "lineno", 0)) for node in ast.walk(TREES[name]) if _shells(node)
    ]
    report(found, "commands go out as argv: a shell would read a volume's name as grammar:")


@each_module
def test_wide_nets_say_why(name: str) -> None:
    lines = MODULES[name].read_text().splitlines()
    found = [
        place(name, node.lineno)
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.ExceptHandler) and _wide(node.type) and not _passed_on(node)
        if not re.search(r"#\s*(?:noqa: ?[A-Z0-9, ]+)?\W*\w+\s+\w+", lines[node.lineno - 1])
    ]
    report(found, "who catches everything hides bugs; the same line must say why it has to:")


def _wide(caught: ast.expr | None) -> bool:
    names = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(
        one is None or (isinstance(one, ast.Name) and one.id in {"Exception", "BaseException"})
        for one in names
    )


def _passed_on(handler: ast.ExceptHandler) -> bool:
    """Whether it ends with a bare `raise`: who tidies up and passes the error on hides nothing."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _lines_with(pattern: re.Pattern[str]) -> Callable[[Path], list[str]]:
    def found(path: Path) -> list[str]:
        return [
            f"{path.relative_to(TOP)}:{number}: {line.strip()}"
            for number, line in enumerate(path.read_text().splitlines(), 1)
            if pattern.search(line)
        ]

    return found


@each_module
def test_nothing_is_left_to_do(name: str) -> None:
    found = _lines_with(re.compile(r"\b(?:TODO|FIXME|XXX)\b"))(MODULES[name])
    report(found, "a note to do something later is read by nobody: do it, or open an issue:")


def test_no_paths_of_a_developer() -> None:
    search = _lines_with(HOMES)
    files = [path for path in SOURCE.rglob("*") if path.suffix in {".py", ".yaml", ".json", ".sql"}]
    found = [line for path in files for line in search(path)]
    report(found, "a path of somebody's own machine does not exist on the reader's:")
