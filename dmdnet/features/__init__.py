"""Frozen networks that losses and metrics look at pictures through."""
