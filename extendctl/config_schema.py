"""What keys and values a configuration file may hold, as models; the one door of pydantic."""

from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)

from extendctl import config_values as values
from extendctl.config import DRIVER_CAPABILITIES, RULES, TARGETS, HostConfig, Limits
from extendctl.config_faults import Document, Finding, KeyPath
from extendctl.config_rules import DRIVER_KEYS, DriverKeys
from extendctl.config_words import finding
from extendctl.model import Capability

_HOST: Final = HostConfig("")
_NAMES: Final[dict[str, Any]] = {
    "propertyNames": {"pattern": f"^{values.NAME}$", "maxLength": values.NAME_MAX}
}


def _key(description: str) -> Any:  # noqa: ANN401 - like pydantic's own Field
    # The default is never read: `given` tells what the file has.
    return Field(default_factory=lambda: None, description=description)


def _text(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^({pattern})$"})


def _words(*known: str) -> WithJsonSchema:
    return WithJsonSchema({"enum": list(known)})


def _section(value: object) -> object:
    return {} if value is None else value


def _list(value: object) -> object:
    return [] if value is None else value


_EMPTY: Final = BeforeValidator(_section)  # a section whose every line is a comment

Text = Annotated[str, AfterValidator(values.line)]
Address = Annotated[Text, AfterValidator(values.address)]
Login = Annotated[Text, AfterValidator(values.login)]
Absolute = Annotated[Text, AfterValidator(values.absolute), _text("/.*")]
LvmName = Annotated[Text, AfterValidator(values.lvm_name), _text(values.LVM_NAME)]
Port = Annotated[int, Field(ge=1, le=65_535)]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Percent = Annotated[float, BeforeValidator(values.percent), _text(values.PERCENT)]
Growth = Annotated[str, BeforeValidator(values.growth), _text(values.GROWTH)]
Bytes = Annotated[
    int,
    BeforeValidator(values.size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": f"^{values.SIZE}$"},
            ]
        }
    ),
]
Rule = Annotated[
    Any,  # checked entry by entry in config_rules
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["allow", "deny"]},
                {"type": "array", "items": {"type": "string", "pattern": f"^{values.PRINCIPAL}$"}},
            ]
        }
    ),
]
Become = Annotated[
    str, BeforeValidator(values.one_of("value", values.BECOME)), _words(*values.BECOME)
]
Transport = Annotated[
    str, BeforeValidator(values.one_of("transport", values.TRANSPORTS)), _words(*values.TRANSPORTS)
]
Driver = Annotated[
    str, BeforeValidator(values.one_of("driver", DRIVER_CAPABILITIES)), _words(*DRIVER_CAPABILITIES)
]
Target = Annotated[str, BeforeValidator(values.one_of("target", TARGETS)), _words(*TARGETS)]
Granted = Annotated[
    str, BeforeValidator(values.one_of("capability", Capability)), _words(*map(str, Capability))
]


class Section(BaseModel):
    """A section of the file: no key that is not named, no value of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def given(self) -> dict[str, Any]:
        """The keys that the file has, with their values."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class StateSection(Section):
    """Where the state is kept, when its password is not to stand in this file."""

    url: Text = Field(description="SQLAlchemy URL of the database, without a password.")
    password_env: Text = _key("Name of the environment variable that holds the password.")
    password_file: Text = _key("File that holds the password and nothing else.")


class SshSection(Section):
    """How hosts are reached; holds for each host that does not say otherwise."""

    user: Login = _key("Who to log in as. Default: the user that runs extendctl.")
    port: Port = Field(default=_HOST.port, description="TCP port of sshd.")
    identity_file: Text = _key("Private key; ~ is expanded, relative to this file.")
    known_hosts: Text = _key("Trusted host keys; ~ is expanded, relative to this file.")
    become: Become = Field(default=_HOST.become, description="How to become root: sudo, or none.")
    connect_timeout: Seconds = Field(
        default=_HOST.connect_timeout, description="Seconds until a host counts as unreachable."
    )
    command_timeout: Seconds = Field(
        default=_HOST.command_timeout, description="Seconds that a command may take on a host."
    )


class HostSection(SshSection):
    """One machine. Any key of `ssh` may be set again here."""

    transport: Transport = Field(
        default=_HOST.transport, description="ssh, or local for the machine that extendctl runs on."
    )
    address: Address = _key("Host name or IP address.")
    jump: Text = _key("Another host, through which this one is reached.")
    luks_keys: Annotated[dict[str, Absolute], _EMPTY] = _key(
        "Key files on that host, by the name of the LUKS mapping they open."
    )


class BackendSection(Section):
    """Where volumes live."""

    driver: Driver = Field(description="lvm, iscsi or file.")
    host: Text = Field(description="The host that has the storage; a name from `hosts`.")
    capabilities: list[Granted] = _key(
        "What is granted, of what the driver can do: in-use-extend. Default: nothing."
    )
    target: Target = _key("iscsi: the target that serves the volumes: lio, tgt or nvmet.")
    volume_group: LvmName = _key("lvm, iscsi: the volume group that holds the volumes.")
    directory: Absolute = _key("file, iscsi: the directory that holds the volumes' files.")
    pool: LvmName = _key("lvm, iscsi: thin pool in the volume group for new volumes.")


class LimitsSection(Section):
    """Bounds that hold for everyone."""

    max_size: Bytes = _key("The largest volume. A number is GiB; units K M G T are binary.")
    max_growth: Bytes = _key("The most that a volume may grow in one extension.")
    confirm_above: Annotated[float, Field(gt=1, allow_inf_nan=False)] = Field(
        default=Limits().confirm_above,
        description="Growth past this many times the size wants --yes.",
    )
    min_pool_free: Percent = _key("Share of the pool that must remain free.")
    max_thin_data: Percent = _key("A thin pool fuller than this takes no extension.")


class ProjectSection(Section):
    """Bounds for one project."""

    max_total: Bytes = Field(description="The most that all volumes of the project may take.")


class AutoextendSection(Section):
    """Volumes that `extendctl autoextend` lets grow."""

    match: Text = Field(description="Pattern for the names of volumes, as in a shell: web-*.")
    above: Percent = Field(description="Filesystems fuller than this grow.")
    grow: Growth = Field(description="By how much: +20% or +5G.")
    max: Bytes = _key("No further than this size. Default: as far as the limits allow.")


class PolicySection(Section):
    """What may be done; without it everything is allowed and nothing is limited."""

    rules: Annotated[dict[str, Rule], _EMPTY] = Field(
        default_factory=dict,
        description="Who may extend, and who also where hosts wait for a moment (default: deny): "
        "allow, deny, or a list of user:NAME and group:NAME.",
        json_schema_extra={"propertyNames": {"enum": list(RULES)}},
    )
    limits: Annotated[LimitsSection, _EMPTY] = Field(
        default=LimitsSection(), description="How far volumes may grow, and pools be filled."
    )
    projects: Annotated[dict[str, Annotated[ProjectSection, _EMPTY]], _EMPTY] = Field(
        default_factory=dict, description="Bounds by project.", json_schema_extra=_NAMES
    )
    autoextend: Annotated[list[AutoextendSection], BeforeValidator(_list)] = Field(
        default_factory=list,
        description="What `extendctl autoextend` lets grow; the first match holds.",
    )


class FileSection(Section):
    """The whole file."""

    state: Annotated[
        StateSection, BeforeValidator(values.state, json_schema_input_type=str | StateSection)
    ] = _key("Database that holds the state: a SQLAlchemy URL. Default: SQLite, in your home.")
    ssh: Annotated[SshSection, _EMPTY] = Field(
        default=SshSection(), description="How hosts are reached."
    )
    hosts: Annotated[dict[str, Annotated[HostSection, _EMPTY]], _EMPTY] = Field(
        default_factory=dict, description="Machines, by name.", json_schema_extra=_NAMES
    )
    backends: Annotated[dict[str, Annotated[BackendSection, _EMPTY]], _EMPTY] = Field(
        default_factory=dict, description="Where volumes live, by name.", json_schema_extra=_NAMES
    )
    policy: Annotated[PolicySection, _EMPTY] = Field(
        default=PolicySection(), description="What may be done, and by whom."
    )


_SECTIONS: Final[dict[KeyPath, type[Section]]] = {
    (): FileSection,
    ("state",): StateSection,
    ("ssh",): SshSection,
    ("hosts", "*"): HostSection,
    ("backends", "*"): BackendSection,
    ("policy",): PolicySection,
    ("policy", "limits"): LimitsSection,
    ("policy", "projects", "*"): ProjectSection,
    ("policy", "autoextend", "*"): AutoextendSection,
}

KEYS: Final = {path: tuple(section.model_fields) for path, section in _SECTIONS.items()}
"""The keys of each section; `*` stands for any name or index."""


def validate(document: Document) -> tuple[FileSection | None, list[Finding]]:
    """The file as models, or None and what is wrong with its keys and values, in plain words."""
    try:
        return FileSection.model_validate(_section(document.data)), []
    except ValidationError as error:
        found = [finding(one, document, KEYS) for one in error.errors(include_url=False)]
        return None, [one for one in found if one is not None]


def schema() -> dict[str, Any]:
    """The JSON Schema of the file, for editors and for automation."""
    found = FileSection.model_json_schema()
    backend = found["$defs"]["BackendSection"]
    backend["allOf"] = [
        {
            "if": {"properties": {"driver": {"const": driver}}, "required": ["driver"]},
            "then": _driver_schema(keys),
        }
        for driver, keys in DRIVER_KEYS.items()
    ]
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, "title": "Configuration of extendctl"} | found


def _driver_schema(keys: DriverKeys) -> dict[str, Any]:
    then: dict[str, Any] = {
        "required": list(keys.needed),
        "properties": dict.fromkeys(keys.foreign, False),
    }
    if keys.one_of:
        then["oneOf"] = [{"required": [key]} for key in keys.one_of]
    return then
