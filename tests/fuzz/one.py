"""Fuzz one parser, guided by coverage: `python -m tests.fuzz.one NAME`, and libFuzzer's options."""

import sys
from importlib import import_module


def main() -> None:
    """Try the parser until libFuzzer ends the process; an input that breaks it is kept on disk."""
    atheris = import_module("atheris")
    with atheris.instrument_imports(include=["extendctl"]):
        subjects = import_module("tests.fuzz.subjects")
    atheris.Setup([sys.argv[0], *sys.argv[2:]], subjects.SUBJECTS[sys.argv[1]])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
