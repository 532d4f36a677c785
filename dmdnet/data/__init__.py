"""Faces from disk to batches: layouts, data sets, sampling, loading."""
