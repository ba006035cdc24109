"""cryptsetup 2.6.1: mappings over LUKS headers, some of which want their key again."""

from tests.world.answer import Answer, Call, Tool, said
from tests.world.state import Content

_NO_KEY = Answer(2, "", said("No key available with this passphrase."))


def cryptsetup(call: Call) -> Answer:
    """`status`, `open --test-passphrase` and `resize`."""
    match call.argv[1:]:
        case ("status", name):
            return _status(call, name)
        case ("open", "--test-passphrase", "--batch-mode", "--key-file", key, path):
            device = call.machine.device_at(path)
            content = None if device is None else call.state.content(call.name, device)
            fits = content is not None and content.key_file == key
            return (
                Answer() if fits else Answer(2, "", said("No key available with this passphrase."))
            )
        case ("resize", "--batch-mode", name):
            return _resize(call, name, None)
        case ("resize", "--batch-mode", "--key-file", key, name):
            return _resize(call, name, key)
    raise call.unknown()


def _header(call: Call, name: str) -> tuple[str, str, Content] | None:
    """The mapping, the device beneath it, and the header there."""
    found = call.machine.device_at(f"/dev/mapper/{name}")
    if found is None:
        return None
    below = call.machine.devices[found].slaves[0]
    content = call.state.content(call.name, below)
    return None if content is None else (found, below, content)


def _status(call: Call, name: str) -> Answer:
    found = _header(call, name)
    if found is None:
        return Answer(4, said(f"/dev/mapper/{name} is inactive."))
    mapping, below, header = found
    if header.detached:
        return Answer(0, said(
            f"/dev/mapper/{name} is active and is in use.",
            "  type:    n/a",
            "  cipher:  aes-xts-plain64",
            "  keysize: 512 bits",
            "  key location: keyring",
            f"  device:  {call.machine.node(below)}",
            "  sector size:  512",
            "  offset:  0 sectors",
            f"  size:    {call.machine.devices[mapping].size // 512} sectors",
            "  mode:    read/write",
        ))  # fmt: skip
    kind = (call.machine.devices[mapping].dm_uuid or "").split("-")[1]
    return Answer(0, said(
        f"/dev/mapper/{name} is active and is in use.",
        f"  type:    {kind}",
        "  cipher:  aes-xts-plain64",
        "  keysize: 512 bits",
        f"  key location: {'keyring' if header.keyring else 'dm-crypt'}",
        f"  device:  {call.machine.node(below)}",
        "  sector size:  512",
        f"  offset:  {header.offset // 512} sectors",
        f"  size:    {call.machine.devices[mapping].size // 512} sectors",
        f"  mode:    read/write{' (suspended)' if header.suspended else ''}",
        *(["  reencryption:  in-progress"] if header.reencrypting else []),
    ))  # fmt: skip


def _resize(call: Call, name: str, key: str | None) -> Answer:
    found = _header(call, name)
    if found is None:
        return Answer(4, "", said(f"Device {name} is not active."))
    mapping, below, header = found
    if header.keyring and key is None:
        return Answer(1, "", said("Nothing to read on input."))
    if header.keyring and key != header.key_file:
        return _NO_KEY
    call.machine.devices[mapping].size = call.machine.devices[below].size - header.offset
    return Answer()


TOOLS = {"cryptsetup": Tool(cryptsetup, deed=True, version="cryptsetup 2.6.1 flags: UDEV BLKID\n")}
