"""Optimisers by BasicSR's names."""
