"""What to begin with: what real tools said, and the samples in `corpus`, by the parser's name."""

import json
from pathlib import Path

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
FOUND = HERE / "found"
RECORDED = HERE.parent / "recorded"
EXAMPLE = HERE.parent.parent / "config.example.yaml"

_UNLIKE = frozenset({"sysfs"})  # recorded for other files than those that are asked for here


def of(name: str) -> list[bytes]:
    """The samples for a parser, those of the corpus last."""
    samples = json.loads((RECORDED / "lab-questions.json").read_text())["samples"]
    recorded = ["".join(one["stdout"]) for one in samples if one["phrase"] == name]
    found = [] if name in _UNLIKE else [text.encode() for text in recorded if text]
    if name == "tgt_targets":
        found.append((RECORDED / "tgt-show.txt").read_bytes())
    if name == "sudo_rules":
        samples = json.loads((RECORDED / "sudo-listings.json").read_text())["samples"]
        found += ["\n".join(one["listing"]).encode() for one in samples if one["listing"]]
    if name == "configuration":
        found.append(EXAMPLE.read_bytes())
    folder = CORPUS / ("facts" if name == "climb" else name)
    return [*found, *(path.read_bytes() for path in sorted(folder.glob("*")))]


def found(name: str) -> list[bytes]:
    """The inputs that have broken a parser once."""
    return [path.read_bytes() for path in sorted((FOUND / name).glob("*"))]
