"""The entry point: run a command, show its answer, and end with the exit status that it earned."""

import gc
import os
import sys
from collections.abc import Sequence
from dataclasses import replace

import click

from extendctl.cli import main as commands
from extendctl.cli.failure import Bug, interrupted, readable, usage, wanted_output
from extendctl.cli.interrupt import on_signals
from extendctl.cli.session import Answer, Session, complaint, failed
from extendctl.errors import ExtendctlError
from extendctl.page import Line, Tone


def main() -> None:
    """Run the program."""
    gc.disable()  # until what is heavy has been imported; see cli.session
    _open_closed()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    session = Session()
    with on_signals(session):
        try:
            status = run(sys.argv[1:], session)
        except KeyboardInterrupt:  # while the answer was being written
            status = 130
    _leave(status, hard=session.hurried)


def run(arguments: Sequence[str], session: Session, program: click.Command = commands) -> int:
    """Run a command and show its answer; gives the exit status."""
    session.output = wanted_output(arguments)
    answer = _answer(arguments, session, program)
    session.console.output = session.output
    try:
        if answer.data is not None:
            session.console.result(answer.data, answer.page)
        session.console.message(answer.complaints)
    except BrokenPipeError:
        _forget_pipe()
    except OSError as failure:  # a full disk behind `> file`: what was done is done all the same
        session.console.message([Line(f"error: the answer cannot be written: {failure}", Tone.BAD)])
        return answer.status or 1
    except Exception as error:  # noqa: BLE001 - an answer that cannot be shown is a bug like others
        session.console.message(_unforeseen(error, session).complaints)
        return 1
    return answer.status


def _answer(arguments: Sequence[str], session: Session, program: click.Command) -> Answer:
    try:
        readable(arguments)
        answer = program.main(
            list(arguments), prog_name="extendctl", standalone_mode=False, obj=session
        )
    except click.exceptions.NoArgsIsHelpError as error:
        page = [Line(error.format_message(), raw=True)] if session.output == "table" else []
        return replace(failed(usage(error)), complaints=page)
    except click.UsageError as error:
        return failed(usage(error))
    except (click.Abort, KeyboardInterrupt):
        return failed(interrupted())
    except ExtendctlError as error:
        return failed(error)
    except Exception as error:  # noqa: BLE001 - whatever is not foreseen is a bug, and says so
        return _unforeseen(error, session)
    return answer if isinstance(answer, Answer) else Answer(None, list, status=int(answer or 0))


def _unforeseen(error: Exception, session: Session) -> Answer:
    """A bug; but for a signal in the middle of an import, which leaves half a module behind."""
    if session.hurried:
        return failed(interrupted())
    bug = Bug(error)
    return Answer({"error": bug.as_dict()}, list, [*complaint(bug), *bug.trace(session)], 1)


def _open_closed() -> None:
    """Open what the caller has closed: no file of the program's own may be taken for stdout."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - for the whole run
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _forget_pipe() -> None:
    """Nobody reads any more: let the interpreter's own last flush go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


def _leave(status: int, *, hard: bool) -> None:
    """End; `hard` when threads may still wait for machines that nobody is interested in."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        _forget_pipe()
    if hard:
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    main()
