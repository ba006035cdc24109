"""What backups, restorations, checks and upgrades of the state look like."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from extendctl.audit import Audit
from extendctl.page import Line, Page, Tone
from extendctl.restoration import Restored
from extendctl.schema import Upgrade
from extendctl.snapshot import Seal


def backup_data(file: Path, seal: Seal) -> dict[str, Any]:
    """A backup as the JSON output has it."""
    return {"backup": str(file), **asdict(seal)}


def backup(file: Path, seal: Seal) -> Page:
    """A backup that was made."""
    return [
        Line(f"wrote {file}: {seal.source}, revision {seal.revision}", Tone.GOOD),
        Line(f"sha256 of its rows {seal.sha256}"),
    ]


def restored_data(file: Path, done: Restored) -> dict[str, Any]:
    """What was restored as the JSON output has it."""
    return {
        "restored": str(file),
        "sealed": done.seal is not None,
        "made_at": None if done.seal is None else done.seal.made_at,
        "kept": None if done.kept is None else str(done.kept),
        "volumes": done.volumes,
        "operations": done.operations,
        "unfinished": done.unfinished,
    }


def restored(file: Path, done: Restored) -> Page:
    """What was restored, and what has to be done now."""
    when = "as it is now" if done.seal is None else f"as it was on {done.seal.made_at}"
    amounts = f"{_counted(done.volumes, 'volume')}, {_counted(done.operations, 'operation')}"
    page = [Line(f"restored {file}, {when}: {amounts}", Tone.GOOD)]
    if done.kept is not None:
        page.append(Line(f"what was there before is kept in {done.kept}"))
    if done.unfinished:
        some = _counted(done.unfinished, "unfinished operation")
        words = f"{some}: extendctl volume resume --all"
        page.append(Line(words, Tone.WARN))
    if done.seal is None:
        page.append(Line(f"{file} is left as it is; let no program use it any more", Tone.WARN))
    if done.volumes:
        page.append(Line("next: `extendctl volume check` compares it with the machines"))
    return page


def audit_data(done: Audit) -> dict[str, Any]:
    """A check as the JSON output has it."""
    return {
        "ok": not done.findings,
        "state": done.state,
        "revision": done.revision,
        "volumes": done.volumes,
        "operations": done.operations,
        "orphaned": list(done.orphaned),
        "findings": [
            {"concern": str(one.concern), "message": one.message, "hint": one.hint}
            for one in done.findings
        ],
    }


def audit(done: Audit) -> Page:
    """A check's result."""
    if done.findings:
        return [Line(f"{done.state}: {_counted(len(done.findings), 'finding')}", Tone.BAD)]
    amounts = f"{_counted(done.volumes, 'volume')}, {_counted(done.operations, 'operation')}"
    page = [Line(f"{done.state}: well (revision {done.revision}, {amounts})", Tone.GOOD)]
    for number in done.orphaned:
        words = f"operation {number} is open and its owner is gone: extendctl volume resume --all"
        page.append(Line(words, Tone.WARN))
    return page


def upgrade_data(done: Upgrade) -> dict[str, Any]:
    """An upgrade as the JSON output has it."""
    kept = None if done.backup is None else str(done.backup)
    return {"before": done.before, "after": done.after, "backup": kept}


def upgrade(done: Upgrade) -> Page:
    """An upgrade of the state, asked for or done on the way."""
    if done.backup is None:
        return [Line(f"the state has revision {done.after}, the newest; nothing was changed")]
    return [
        Line(f"the state was brought from revision {done.before} to {done.after}", Tone.GOOD),
        Line(f"what it was is kept in {done.backup}"),
    ]


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
