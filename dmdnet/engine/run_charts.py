"""The curves of a run's page: which numbers share a chart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dmdnet.html import Html, Series, line_chart

History = Mapping[int, Mapping[str, float]]
_TITLES = {
    "loss": "Losses",
    "lr": "Learning rates",
    "grad_norm": "Gradient norms",
    "dictionary": "Dictionaries",
    "mask": "Masks",
    "time": "Time",
    "memory": "Memory",
}
_OUTPUTS = ("generic", "specific")
_CONTROLS = ("input", "wrong_person")


def training_charts(scalars: History) -> Iterator[tuple[str, list[Html]]]:
    """Yield the title of each group of numbers with its charts; validation has its own."""
    groups: dict[str, dict[str, dict[str, str]]] = {}
    for name in _names(scalars):
        group, _, rest = name.partition("/")
        if group != "val":
            chart, curve = _place(group, rest)
            groups.setdefault(group, {}).setdefault(chart, {})[curve] = name
    for group in (*_TITLES, *sorted(groups.keys() - _TITLES.keys())):
        if group in groups:
            yield _TITLES.get(group, group), [_chart(scalars, *item) for item in groups[group].items()]


def validation_charts(validations: History) -> list[Html]:
    """Return a chart for each set and metric, with a curve for each mode."""
    charts: dict[str, dict[str, str]] = {}
    for name in _names(validations):
        set_name, mode, metric = split_name(name)
        charts.setdefault(f"{metric} on {set_name}", {})[mode or metric] = name
    return [_chart(validations, title, curves) for title, curves in charts.items()]


def split_name(name: str) -> tuple[str, str, str]:
    """Return set, mode and metric of `val_<set>/<mode>_<metric>`; a mode that is not known stays with the metric."""
    set_name, _, value = name.removeprefix("val_").rpartition("/")
    mode = next((mode for mode in (*_OUTPUTS, *_CONTROLS) if value.startswith(f"{mode}_")), "")
    return set_name, mode, value.removeprefix(f"{mode}_") if mode else value


def _place(group: str, name: str) -> tuple[str, str]:
    """Return the chart and the curve of `group/name`."""
    if group == "lr":
        return "learning rate", name
    if "/" in name:  # kind/place in the network
        chart, _, curve = name.partition("/")
        return chart, curve
    for output in _OUTPUTS:
        if name.endswith(f"_{output}"):
            return name.removesuffix(f"_{output}"), output
    if name.startswith("l_d_"):
        return "l_d", name.removeprefix("l_d_")
    return ("whole networks", name) if group == "grad_norm" else (name, name)


def _chart(history: History, title: str, curves: Mapping[str, str]) -> Html:
    series = []
    for curve, name in curves.items():
        points = [(iteration, values[name]) for iteration, values in history.items() if name in values]
        at, values = zip(*points, strict=True)
        series.append(Series(curve, at, values, quiet=curve in _CONTROLS))
    return line_chart(series, title=title, x_label="iteration")


def _names(history: History) -> list[str]:
    return list(dict.fromkeys(name for values in history.values() for name in values))
