"""The command line: which commands there are, each loaded when it is used."""

from extendctl.cli.command import Entry, Group, top

_INIT = Entry("extendctl.cli.init:init", "Write a commented configuration and make the state.")
_COMPLETION = Entry("extendctl.cli.completion:completion", "Print a script for your shell.")

_CONFIG = Group(
    "config",
    help="Look at the configuration.",
    entries={
        "check": Entry("extendctl.cli.config:check", "Find every fault, with its place."),
        "show": Entry("extendctl.cli.config:show", "Show what holds, defaults filled in."),
        "schema": Entry("extendctl.cli.config:schema", "Print the JSON Schema of the file."),
    },
)

_HOST = Group(
    "host",
    help="Look at the hosts of the configuration.",
    entries={
        "list": Entry("extendctl.cli.host:listing", "List the hosts."),
        "check": Entry("extendctl.cli.host:check", "See what each host can and cannot grow."),
        "sudoers": Entry("extendctl.cli.host:sudoers", "Print the least sudo has to allow."),
    },
)

_BACKEND = Group(
    "backend",
    help="Look at the backends of the configuration.",
    entries={
        "list": Entry("extendctl.cli.backend:listing", "List the backends with their pools."),
        "show": Entry("extendctl.cli.backend:show", "Show one backend and its pool."),
    },
)

_AUTOEXTEND = Entry("extendctl.cli.growth:autoextend", "Extend what passed its threshold.")

_VOLUME = Group(
    "volume",
    help="Take volumes in, attach them, and extend them.",
    entries={
        "discover": Entry("extendctl.cli.discovery:discover", "Find what is not managed yet."),
        "create": Entry("extendctl.cli.volume:create", "Make a new volume on a backend."),
        "import": Entry("extendctl.cli.volume:take", "Take in a volume that is there."),
        "attach": Entry("extendctl.cli.volume:attach", "Write down which host uses a volume."),
        "detach": Entry("extendctl.cli.volume:detach", "Forget that a host uses a volume."),
        "list": Entry("extendctl.cli.volume_state:listing", "List the volumes."),
        "show": Entry("extendctl.cli.volume_state:show", "Show a volume and where it is used."),
        "extend": Entry("extendctl.cli.growth:extend", "Extend volumes, also while in use."),
        "resume": Entry("extendctl.cli.growth:resume", "Finish what lags or was interrupted."),
        "check": Entry("extendctl.cli.growth:check", "Measure every layer, change nothing."),
        "set-status": Entry("extendctl.cli.volume_state:set_status", "Block a volume, or lift it."),
        "remove": Entry("extendctl.cli.volume_state:remove", "Forget a volume; its data stays."),
    },
)

_OPERATION = Group(
    "operation",
    help="Look at extensions, past and present.",
    entries={
        "list": Entry("extendctl.cli.operation:listing", "List operations, the oldest first."),
        "show": Entry("extendctl.cli.operation:show", "Tell an operation's story."),
        "abandon": Entry("extendctl.cli.operation:abandon", "End one that cannot reach its goal."),
    },
)

_POLICY = Group(
    "policy",
    help="Ask policy.",
    entries={
        "check": Entry("extendctl.cli.policy:check", "Show the decision with every reason."),
    },
)

_STATE = Group(
    "state",
    help="Look after the state: what the program knows and what it has done.",
    entries={
        "backup": Entry("extendctl.cli.state:backup", "Copy the state into a new file."),
        "restore": Entry("extendctl.cli.state:restore", "Put a backup, or another state, back."),
        "check": Entry("extendctl.cli.state:check", "Look at all of the state and its files."),
        "upgrade": Entry("extendctl.cli.state:upgrade", "Bring an earlier state up to date."),
    },
)

main = top(
    help="Grow a storage volume while it is attached and in use, and prove each layer's new size.",
    entries={
        "init": _INIT,
        "config": _CONFIG,
        "host": _HOST,
        "backend": _BACKEND,
        "volume": _VOLUME,
        "operation": _OPERATION,
        "policy": _POLICY,
        "autoextend": _AUTOEXTEND,
        "state": _STATE,
        "completion": _COMPLETION,
    },
)
