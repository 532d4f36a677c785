"""Typed, frozen options: read YAML strictly, inherit, override, validate, print."""

from dmdnet.config.load import load_options, to_yaml
from dmdnet.config.options import Options

__all__ = ["Options", "load_options", "to_yaml"]
