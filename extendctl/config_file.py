"""Read a YAML file into plain data that knows the place of each key; the one door of yaml."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import yaml

from extendctl.config_faults import UNREADABLE, Document, Finding, KeyPath, Place, printable
from extendctl.errors import ConfigError

MAX_BYTES: Final = 4 << 20
"""The largest file that is read, in bytes; ten thousand hosts fit well."""

MAX_DEPTH: Final = 32
MAX_VALUES: Final = 300_000
"""Bounds for nesting and for values after aliases are followed: a small file can name billions."""

Loader = type[yaml.SafeLoader] | type[yaml.CSafeLoader]

LOADER: Final[Loader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The parser of libyaml, ten times as fast, where PyYAML was built with it."""

_TAG = "tag:yaml.org,2002:"
_PLAIN_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][-+]?[0-9]+)?|[-+]?\.(inf|nan)",
                           re.ASCII | re.IGNORECASE)  # fmt: skip
_KINDS = {"bool": "true or false", "int": "a number", "float": "a number", "null": "nothing"}


def read(path: Path) -> Document:
    """The file as data. Raises ConfigError when it cannot be read, or is not YAML at all."""
    return parse(_text(path), str(path))


def parse(text: str, name: str, loader: Loader = LOADER) -> Document:
    """The text as data; `name` stands before the faults. Raises ConfigError on bad syntax."""
    try:
        _bounded(text, name, loader)
        root = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        raise ConfigError(_syntax(name, text, error)) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: not valid YAML: {error}") from None
    walker = _Walker(name)
    if root is not None:
        walker.document.places[()] = _place(root, root)
        walker.document.data = walker.value(root, ())
    return walker.document


def _text(path: Path) -> str:
    try:
        # Unbuffered reads of a bounded length: /dev/zero and a 100 GB file end here too.
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file", hint="extendctl init writes one") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a directory, not a file") from None
    except PermissionError:
        raise ConfigError(f"{path}: may not be read by this user") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path}: cannot be read: {reason}") from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES >> 20} MiB; this is no configuration")
    return _decoded(raw, str(path))


def _decoded(raw: bytes, name: str) -> str:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _position(raw[: error.start].decode("utf-8", "replace"))
        found = f"byte 0x{raw[error.start]:02x}"
        raise ConfigError(
            f"{name}:{line}:{column}: not UTF-8 ({found}); save it as UTF-8"
        ) from None
    bad = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if bad is not None:
        line, column = _position(text[: bad.start()])
        found = f"U+{ord(bad.group()):04X}"
        raise ConfigError(f"{name}:{line}:{column}: a control character ({found}) is not allowed")
    return text


def _position(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _bounded(text: str, name: str, loader: Loader) -> None:
    # yaml.compose recurses in C, where depth ends in a crash and not in an exception.
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=loader)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        excess = _excess(depth, count // 2)
        if excess and event.start_mark is not None:
            mark = event.start_mark
            raise ConfigError(f"{name}:{mark.line + 1}:{mark.column + 1}: {excess}")


def _excess(depth: int, count: int) -> str | None:
    if depth > MAX_DEPTH:
        return f"nested more than {MAX_DEPTH} deep; this is no configuration"
    if count > MAX_VALUES:
        return f"more than {MAX_VALUES} values (do aliases multiply them?)"
    return None


def _syntax(name: str, text: str, error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "it cannot be read"
    if mark is None:
        return f"{name}: not valid YAML: {problem}"
    at = f"{name}:{mark.line + 1}:{mark.column + 1}"
    rows = text.split("\n")
    row = rows[mark.line] if mark.line < len(rows) else ""
    if "\t" in row[: mark.column + 1] and not row[: mark.column].strip():
        return f"{at}: a tab stands where YAML wants spaces"
    if "single document" in (error.context or ""):
        return f"{at}: a second document begins here; a configuration is one document"
    context = f" ({error.context})" if error.context and error.problem else ""
    return f"{at}: not valid YAML: {printable(problem)}{printable(context)}"


def _place(key: yaml.Node, value: yaml.Node) -> Place:
    text = value.value if isinstance(value, yaml.ScalarNode) else None
    return Place(key.start_mark.line + 1, key.start_mark.column + 1, text)


class _Walker:
    """Turns nodes into data and notes places. Keys are always text: a host may be called `no`."""

    def __init__(self, name: str) -> None:
        self.document = Document()
        self._name = name
        self._count = 0
        self._constructor = yaml.constructor.SafeConstructor()

    def value(self, node: yaml.Node, path: KeyPath) -> object:
        """The node as data. Raises ConfigError past the bounds."""
        self._tick(node, len(path))
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return self._sequence(node, path)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        return self._tagged(node, path)

    def _tick(self, node: yaml.Node, depth: int) -> None:
        self._count += 1
        excess = _excess(depth, self._count)
        if excess:
            mark = node.start_mark
            raise ConfigError(f"{self._name}:{mark.line + 1}:{mark.column + 1}: {excess}")

    def _fault(self, path: KeyPath, message: str, place: Place | None = None) -> None:
        self.document.findings.append(Finding(path, message, place))

    def _tagged(self, node: yaml.Node, path: KeyPath) -> object:
        tag = node.tag.replace(_TAG, "!!")
        self._fault(path, f"the tag '{printable(tag)}' has no meaning here; remove it")
        return UNREADABLE

    def _sequence(self, node: yaml.SequenceNode, path: KeyPath) -> list[object]:
        found = []
        for index, item in enumerate(node.value):
            self.document.places[(*path, index)] = _place(item, item)
            found.append(self.value(item, (*path, index)))
        return found

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, object]:
        found: dict[str, object] = {}
        own: set[str] = set()
        for key, value, merged in self._pairs(node, path, 0):
            name = self._key(key, path)
            if name is None or (merged and name in found):
                continue
            here = (*path, name)
            if name in own:
                first = self.document.places[here].line
                self._fault(here, f"duplicate key; first on line {first}", _place(key, value))
                continue
            if not merged:
                own.add(name)
            self.document.places[here] = _place(key, value)
            found[name] = self.value(value, here)
        return found

    def _key(self, key: yaml.Node, path: KeyPath) -> str | None:
        if isinstance(key, yaml.ScalarNode):
            return str(key.value)
        self._fault(path, "a key must be plain text", _place(key, key))
        return None

    def _pairs(
        self, node: yaml.MappingNode, path: KeyPath, depth: int
    ) -> Iterator[tuple[yaml.Node, yaml.Node, bool]]:
        """A mapping's own keys, then those that `<<` brings in, which never replace them."""
        merges = []
        for key, value in node.value:
            self._tick(key, depth)
            if key.tag == f"{_TAG}merge":
                merges.append((key, value))
            else:
                yield key, value, depth > 0
        for key, value in merges:
            for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if isinstance(source, yaml.MappingNode):
                    yield from self._pairs(source, path, depth + 1)
                else:
                    self._fault((*path, "<<"), "expected an alias of a section", _place(key, value))

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> object:
        kind, text = node.tag.removeprefix(_TAG), node.value
        if kind in ("str", "value", "merge"):
            return text
        if kind == "timestamp":
            self._fault(path, f"{printable(text)} is read as a date; put it in quotes")
            return UNREADABLE
        if kind not in _KINDS:
            return self._tagged(node, path)
        try:
            value = self._constructor.construct_object(node)
        except (ValueError, OverflowError, LookupError):
            self._fault(path, f"{printable(text)} cannot be read as {_KINDS[kind]}")
            return UNREADABLE
        if kind in ("int", "float") and not _PLAIN_NUMBER.fullmatch(text):
            # YAML 1.1: 22:00 is base 60 and 010 is base 8, which nobody means.
            shown = f"{printable(text)} is read as the number {value}"
            self._fault(path, f"{shown}; put it in quotes, or write a plain decimal number")
            return UNREADABLE
        return value
