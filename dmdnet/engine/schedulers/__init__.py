"""Schedules of the learning rate, as pure functions of the iteration: nothing to save, nothing to restore."""
