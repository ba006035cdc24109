"""Say in a person's words what a model found wrong with a value."""

from collections.abc import Mapping
from typing import Any, Final

from extendctl.config_faults import (
    UNREADABLE,
    Document,
    Finding,
    KeyPath,
    listed,
    near,
    printable,
)
from extendctl.config_values import Expected

Keys = Mapping[KeyPath, tuple[str, ...]]
"""The keys of each section, by its path with `*` for any name or index."""

_KINDS: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "list_type": "a list",
}
_BOUNDS: Final = {
    "greater_than": ("gt", "must be greater than"),
    "greater_than_equal": ("ge", "must be at least"),
    "less_than": ("lt", "must be less than"),
    "less_than_equal": ("le", "must be at most"),
}


def finding(error: Mapping[str, Any], document: Document, keys: Keys) -> Finding | None:
    """One error of pydantic as a finding; None for a value that was found wrong before.

    `error` is an ErrorDetails: type, loc, input, ctx and msg are read.
    """
    path: KeyPath = tuple(error["loc"])
    kind, value = error["type"], error["input"]
    if value is UNREADABLE:
        return None
    if kind == "missing":
        return Finding(path, "missing key")
    if kind == "extra_forbidden":
        return Finding(path, _unknown_key(path, keys))
    while path and path not in document.places:  # `state: URL` stands for `state: {url: URL}`
        path = path[:-1]
    return Finding(path, _sentence(error, document.place(path).text))


def _sentence(error: Mapping[str, Any], text: str | None) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in _KINDS:
        return _expected(_KINDS[kind], error["input"], text)
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"{words} {context[name]:g}"
    if kind == "finite_number":
        return "must be a finite number"
    cause = context.get("error")
    if isinstance(cause, Expected):
        return _expected(str(cause), error["input"], text)
    return str(cause or error["msg"])


def _expected(wanted: str, value: object, text: str | None) -> str:
    if isinstance(value, bool):
        read = "true" if value else "false"
        if wanted == "text":
            return f"expected text, but {text} is read as {read}; put it in quotes"
        trap = "" if text == read else f", which is read as {read}"
        return f"expected {wanted}, not {text}{trap}"
    if wanted == "text" and isinstance(value, int | float):
        return f"expected text, not the number {text}; put it in quotes"
    return f"expected {wanted}, not {_described(value)}"


def _described(value: object) -> str:
    if value is None:
        return "nothing (give a value, or remove the key)"
    if isinstance(value, int | float):
        return f"the number {printable(str(value))}"
    if isinstance(value, str):
        return f"'{printable(value)}'"
    return "a list" if isinstance(value, list) else "keys with values"


def _unknown_key(path: KeyPath, keys: Keys) -> str:
    here, word = path[:-1], str(path[-1])
    known = next((names for shape, names in keys.items() if _fits(here, shape)), ())
    meant = near(word, known)
    if meant is not None:
        return f"unknown key; did you mean '{meant}'?"
    for shape, names in keys.items():
        elsewhere = near(word, names)
        if elsewhere is not None and shape:
            section = ".".join(str(part) for part in shape)
            return f"unknown key; did you mean '{elsewhere}'? It belongs under {section}"
    return f"unknown key ({listed(list(known))})"


def _fits(path: KeyPath, shape: KeyPath) -> bool:
    return len(path) == len(shape) and all(
        want in ("*", part) for part, want in zip(path, shape, strict=True)
    )
