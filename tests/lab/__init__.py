"""Real machines for tests: one that stores volumes and two that use them, in QEMU."""

from tests.lab.tools import install, missing

__all__ = ["install", "missing"]
