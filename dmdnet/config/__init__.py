"""Typed, frozen options: read YAML strictly, inherit, override, validate, print."""
