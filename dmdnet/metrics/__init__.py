"""Picture quality metrics: one value per picture, named by the full recipe of what is computed."""

from dmdnet.metrics.base import Metric

__all__ = ["Metric"]
