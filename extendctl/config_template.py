"""The configuration that `extendctl init` writes: the embedded default, spelled out."""

import json
from importlib.resources import files

from extendctl.config import embedded


def template() -> str:
    """A commented configuration that holds what holds without one, with this user's paths."""
    default = embedded()
    text = files("extendctl").joinpath("config.start.yaml").read_text(encoding="utf-8")
    # A JSON string is a quoted YAML string, whatever a home directory is called.
    state = json.dumps(default.state, ensure_ascii=False)
    volumes = json.dumps(default.backends["files"].directory, ensure_ascii=False)
    return text.replace("@STATE@", state).replace("@VOLUMES@", volumes)
