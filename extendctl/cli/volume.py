"""The commands that take volumes in and say where they are used."""

from typing import TYPE_CHECKING

import click

from extendctl.cli.command import command
from extendctl.cli.completion import volume_names
from extendctl.cli.session import Answer, Session, worst
from extendctl.errors import SAME_AGAIN, Interrupted, Usage
from extendctl.page import Line, Tone
from extendctl.size import human, parse

if TYPE_CHECKING:  # a start that shows help must not pay for these
    from extendctl.extension.means import Means
    from extendctl.model import Attachment

_COMPUTES = ("linux", "libvirt", "nova")


@command(
    "create",
    example="extendctl volume create db1 --backend files --size 10G",
    statuses=(0, 1, 2, 3, 4, 5),
)
@click.argument("name")
@click.option("--backend", required=True, metavar="BACKEND", help="A backend by its name.")
@click.option("--size", required=True, metavar="SIZE", help="20 or 20G (GiB), 512M, 2T.")
@click.option("--project", metavar="PROJECT", help="Whose volume it is, for limits.")
@click.option(
    "--initiator",
    "initiators",
    multiple=True,
    metavar="IQN",
    help="On iscsi: who may use it; may be repeated.",
)
@click.pass_obj
def create(
    session: Session,
    *,
    name: str,
    backend: str,
    size: str,
    project: str | None,
    initiators: tuple[str, ...],
) -> Answer:
    """Make a new volume called NAME and take it in."""
    wanted = parse(size)
    if wanted.total is None:
        raise Usage(f"{size!r} is relative, and a new volume has no size yet", hint="write 20G")
    with session.means() as means:
        from extendctl import inspection, inventory, views_data

        inspection.named("backend", backend, means.config.backends)
        try:
            made = inventory.create(
                means, name, backend, wanted.total, project=project, initiators=initiators
            )
        except KeyboardInterrupt:
            message = f"interrupted; what has been made of {name} stays"
            raise Interrupted(message, hint=SAME_AGAIN) from None
        words = f"{made.name}: {human(made.size)} on {backend}, created"
        return Answer(views_data.volume_data(made), lambda: [Line(words, Tone.GOOD)])


@command("import", example="extendctl volume import db1 --backend fast --source db1")
@click.argument("name")
@click.option("--backend", required=True, metavar="BACKEND", help="A backend by its name.")
@click.option(
    "--source",
    required=True,
    metavar="LV_OR_FILE",
    help="What it is there, relative to the volume group or directory.",
)
@click.option("--project", metavar="PROJECT", help="Whose volume it is, for limits.")
@click.pass_obj
def take(session: Session, name: str, backend: str, source: str, project: str | None) -> Answer:
    """Take in, as NAME, a volume that a backend has already. Its data is not touched."""
    with session.means() as means:
        from extendctl import inspection, inventory, views_data

        inspection.named("backend", backend, means.config.backends)
        made = inventory.take(means, name, backend, source, project)
        words = f"{made.name}: {human(made.size)} on {backend}, taken in"
        return Answer(views_data.volume_data(made), lambda: [Line(words, Tone.GOOD)])


@command(
    "attach", example="extendctl volume attach db1 web1\nextendctl volume attach db1 --discover"
)
@click.argument("name", shell_complete=volume_names)
@click.argument("host", required=False)
@click.option("--discover", is_flag=True, help="Look on every host, in place of HOST.")
@click.option("--compute", type=click.Choice(_COMPUTES), help="Who uses it.  [default: linux]")
@click.option("--domain", metavar="DOMAIN", help="The libvirt domain.")
@click.option("--server", metavar="UUID", help="The Nova server.")
@click.pass_obj
def attach(
    session: Session,
    *,
    name: str,
    host: str | None,
    discover: bool,
    compute: str | None,
    domain: str | None,
    server: str | None,
) -> Answer:
    """Write down that HOST uses the volume, when HOST sees it; nothing is changed there."""
    if discover == bool(host):
        raise Usage("name a host, or give --discover", hint="extendctl volume attach --help")
    if discover and (compute or domain or server):
        raise Usage("--discover looks for itself; --compute, --domain and --server go with a host")
    kind = _compute(compute, domain, server)
    with session.means() as means:
        from extendctl import inspection, inventory, views_data

        means.store.volume(name)
        if host is None:
            return _attached_wherever(means, name)
        inspection.named("host", host, means.config.hosts)
        made = inventory.attach(means, name, inventory.Place(host, kind, domain, server))
        volume = means.store.volume(name)
    return Answer(views_data.volume_data(volume), lambda: [_attached(name, made)])


def _attached_wherever(means: "Means", name: str) -> Answer:
    """The answer of --discover: hosts that could not be asked are told beside what was found."""
    from extendctl import inventory, views_data, views_site

    made, lost = inventory.discover(means, name)
    page = [_attached(name, one) for one in made]
    reasons = [fault.as_dict() for error in lost.values() for fault in error.faults]
    data = views_data.volume_data(means.store.volume(name)) | {
        "unasked": sorted(lost),
        "error": {**next(iter(lost.values())).as_dict(), "reasons": reasons} if lost else None,
    }
    nothing = [Line(f"{name}: no further host sees it")]
    status = worst({error.exit_status for error in lost.values()})
    return Answer(data, lambda: page or nothing, views_site.unwell([*lost.items()]), status)


def _attached(name: str, one: "Attachment") -> Line:
    where = f", mounted on {one.mountpoint}" if one.mountpoint else ""
    words = f"{name}: attached to {one.host} as {one.device or 'unknown'}{where}"
    if one.lagging:
        return Line(f"{words}; it lags: extendctl volume resume {name}", Tone.WARN)
    return Line(words, Tone.GOOD)


def _compute(compute: str | None, domain: str | None, server: str | None) -> str:
    if domain and server:
        raise Usage("--domain is for libvirt and --server for nova: not both")
    kind = compute or ("libvirt" if domain else "nova" if server else "linux")
    needed = {"libvirt": ("--domain", domain), "nova": ("--server", server)}
    option, value = needed.get(kind, ("", "none"))
    if not value:
        raise Usage(f"--compute {kind} needs {option}")
    if (domain and kind != "libvirt") or (server and kind != "nova"):
        raise Usage(f"--compute {kind} has neither a domain nor a server to name")
    return kind


@command("detach", example="extendctl volume detach db1 web1", statuses=(0, 1, 2, 3, 4))
@click.argument("name", shell_complete=volume_names)
@click.argument("host")
@click.option("--compute", type=click.Choice(_COMPUTES), help="Which one, where there are several.")
@click.option("--domain", metavar="DOMAIN", help="The libvirt domain.")
@click.option("--server", metavar="UUID", help="The Nova server.")
@click.pass_obj
def detach(
    session: Session,
    *,
    name: str,
    host: str,
    compute: str | None,
    domain: str | None,
    server: str | None,
) -> Answer:
    """Forget that HOST uses the volume. Nothing is unmounted, nothing on the host is touched."""
    with session.means() as means:
        from extendctl import inventory, views_data

        place = inventory.Place(host, compute or "linux", domain, server)
        gone = inventory.detach(means, name, place, any_compute=compute is None)
        volume = means.store.volume(name)
    words = f"{name}: no longer attached to {gone.host}; nothing was touched there"
    return Answer(views_data.volume_data(volume), lambda: [Line(words, Tone.GOOD)])
