"""dmdnet: reference-based face restoration, trained, evaluated and run from one YAML file."""

__version__ = "0.1.0"
