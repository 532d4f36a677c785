"""What `prepare` says at its end."""

from __future__ import annotations

import json
import shlex

import yaml

from dmdnet.prepare.finish import Summary
from dmdnet.wording import counted

RECIPE = "options/train_prepared.yml"
_RECIPE_SIZE = 512
_SHOWN = 5


def describe(summary: Summary) -> str:
    """Return the summary with the command that comes next."""
    how = "sorted by their faces" if summary.sorted_people else "by their folders"
    lines = [
        f"{counted(summary.photographs, 'photograph')} gave {counted(summary.faces, 'face')} of "
        f"{counted(summary.people, 'person')} ({how})",
        "people: " + ", ".join(f"{summary.splits.get(name, 0)} {name}" for name in ("train", "val", "test")),
    ]
    if summary.loose:
        lines.append(
            f"photographs in no folder: {summary.loose}, so folders were not taken for people; with --people folders "
            "they are, and the others are left out"
        )
    if summary.near_duplicates:
        lines.append(f"near-duplicates: {summary.near_duplicates}, marked, and nobody's references beside their twins")
    if summary.doubts:
        lines += [f"doubtful: {doubt}" for doubt in summary.doubts[:_SHOWN]]
        lines.append(
            f"doubts about folders: {len(summary.doubts)}; the same command with --people sort goes by "
            "the faces, with --people innermost by the deepest folders"
        )
    if summary.failures:
        lines.append(f"left out: {len(summary.failures)}, listed with the reasons in {summary.failed}")
        for failure in summary.failures[:_SHOWN]:
            face = f", face {failure.face}" if failure.face else ""
            lines.append(f"  {failure.photograph}{face}: {failure.reason}")
        if len(summary.failures) > _SHOWN:
            lines.append(f"  and {len(summary.failures) - _SHOWN} more")
    if summary.manifest is None:
        lines.append("nothing came out: no table was made")
    else:
        lines += [f"table: {summary.manifest}", "next:", f"  {next_command(summary)}"]
    return "\n".join(lines)


def next_command(summary: Summary) -> str:
    """Return the command that trains on what came out, with what the recipe has to be told about it."""
    assert summary.manifest is not None
    validates = summary.splits.get("val", 0) > 0
    phases = ("train", "val") if validates else ("train",)
    path = str(summary.manifest)
    path = path if yaml.safe_load(f"{path} ") == path else json.dumps(path, ensure_ascii=False)
    overrides = [f"datasets.{phase}.layout.manifest={path}" for phase in phases]
    if summary.size not in (None, _RECIPE_SIZE):
        sized = ("network_g", *(f"datasets.{phase}" for phase in phases))
        overrides += [f"{part}.image_size={summary.size}" for part in sized]
    if not validates:
        overrides += ["datasets.val=~", "val.val_freq=~"]
    people = summary.splits.get("train", 0)
    if summary.large_faces < min(people, 2):
        overrides.append("datasets.train.min_source_side=~")  # it would leave nobody to refer to
    if people < 2:
        overrides.append("datasets.train.wrong_person_prob=0")  # there is nobody else
    return " ".join(["python train.py -opt", RECIPE, "--set", *(shlex.quote(item) for item in overrides)])


def waits_for_others(shard: tuple[int, int]) -> str:
    """Return what a shard says that is done before the others."""
    number, shards = shard
    return f"shard {number}/{shards} is done; the last one makes the table (so does any command, run again)"
