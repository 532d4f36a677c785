"""Picture quality metrics: one value per picture, named by the full recipe of what is computed."""

from dmdnet.metrics.base import Metric, MetricInput, MetricReferences, SetMetric, SetValue, build_metrics

__all__ = ["Metric", "MetricInput", "MetricReferences", "SetMetric", "SetValue", "build_metrics"]
