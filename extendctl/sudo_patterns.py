"""Phrases of the phrasebook, said with stand-ins, as the anchored patterns of a sudoers file.

sudo matches all the arguments joined by blanks (sudoers(5), Regular expressions). So no pattern
takes in a blank, or one word could be sent as two, and none takes in `..` as a part of a path.
Two words can always be sent as one: nothing in front of a tool may take in what comes after it, as
`env A=B` would, and timeout(1) does not, to which `5 180 tool` is no duration. A tool and a path
sent as one are a path of their own, which is why the rules run in the root directory.
"""

import re
from collections.abc import Mapping
from typing import Any

from extendctl.host import Deed, Question, timed

Phrase = Question[Any] | Deed

COMMAND = "/usr/bin/timeout"
"""What sudo is asked to run each time; the tool stands among its arguments."""
LONGEST = 1024  # sudoers(5): the characters of a regular expression

GROUP, VOLUME, STORE = "stand-in.group", "stand-in.volume", "stand-in.store"
MAP, LABEL, FILE, POINT = "stand-in.map", "stand-in.label", "stand-in.file", "/stand-in.point"
DEVICE, SCSI, LOOP, NVME = "/dev/stand-in.device", "standinscsi", "standinloop", "standinnvme"
INITIATOR, TARGET = "iqn.2026-11.in.stand:initiator", "standintarget"
SIZE, SECONDS, NUMBER, ADDRESS = 7_000_000_000_000_000_007, 7000007, 7007, "192.0.2.77"
UUID, DELIMITER = "00000000-0000-4000-8000-000000000007", "standindelimiter"

# A part of a path: no blank, no slash, not `.` or `..`, and no dash in front.
_PART = r"\.?[A-Za-z0-9_@+=:,%~][A-Za-z0-9_@+=:,%~.-]*"
_LVM = r"\.?[A-Za-z0-9_+][A-Za-z0-9_+.-]*"
_MAPPING = r"[A-Za-z0-9_+=@:][A-Za-z0-9_+=@:.-]*"  # what device mapper leaves as it is, without `#`
_NUMBERED = "(nvme[0-9]+n|loop|mmcblk|md|nbd|rbd|zd|dm-)[0-9]+(p[0-9]+)?"
_DISK = f"(sd|vd|xvd|hd)[a-z]+[0-9]*|{_NUMBERED}"
_HEX = "[0-9A-Fa-f]"

_PATTERNS: Mapping[str, str] = {
    GROUP: _LVM,
    VOLUME: _LVM,
    STORE: r"\.?[A-Za-z0-9_+:][A-Za-z0-9_+:.-]*",
    MAP: _MAPPING,
    LABEL: "[A-Za-z0-9_.+:@-]+",  # in one word with its option, so that a dash may be in front
    FILE: _PART,
    POINT: f"/|(/{_PART})+",
    DEVICE: f"/dev/(mapper/{_MAPPING}|{_DISK})",
    SCSI: "sd[a-z]+",
    LOOP: "loop[0-9]+",
    NVME: "nvme[0-9]+",
    INITIATOR: rf"iqn\.[0-9]{{4}}-[0-9]{{2}}\.[A-Za-z0-9.:-]+|eui\.{_HEX}{{16}}",
    TARGET: "[a-z0-9.-]+",
    str(SIZE): "[1-9][0-9]*",
    str(SECONDS): r"[0-9]+(\.[0-9]+)?",
    str(NUMBER): "[0-9]+",
    ADDRESS: "[0-9A-Fa-f.:]+",
    UUID: f"{_HEX}{{8}}(-{_HEX}{{4}}){{3}}-{_HEX}{{12}}",
    DELIMITER: "(-part|_part|[A-Za-z0-9]+)?",
}
"""What each stand-in stands for."""

_STAND_IN = re.compile("|".join(map(re.escape, _PATTERNS)))


def pattern(phrase: Phrase) -> str:
    """The arguments of COMMAND for a phrase, as a POSIX extended regular expression.

    What of the phrase is a stand-in of this module matches what that stands for; all else matches
    itself alone.
    """
    text = " ".join(timed(phrase.argv, SECONDS)[1:])
    parts, place = [], 0
    for found in _STAND_IN.finditer(text):
        parts += [_literally(text[place : found.start()]), f"({_PATTERNS[found[0]]})"]
        place = found.end()
    return f"^{''.join(parts)}{_literally(text[place:])}$"


def _literally(text: str) -> str:
    # A newline cannot stand in a line of sudoers(5), so a control character stands for it.
    escaped = re.sub(r"[\\.\[\](){}*+?^$|#]", lambda sign: f"\\{sign[0]}", text)
    return escaped.replace("\n", "[[:cntrl:]]")
