"""Grow a storage volume while it is attached and in use, and prove the new size of every layer."""

__version__ = "0.1.0"
