"""The arguments that train and test share: the option file and what is laid upon it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from dmdnet.cli.reporting import is_first_process, report
from dmdnet.errors import ConfigError

if TYPE_CHECKING:
    from dmdnet.config import Options


def add_option_file(parser: argparse.ArgumentParser) -> None:
    """Add -opt and the overrides."""
    parser.add_argument("-opt", "--opt", required=True, metavar="FILE", help="the option file (YAML)")
    add_overrides(parser)


def add_option_arguments(parser: argparse.ArgumentParser) -> None:
    """Add -opt, the overrides, the launcher and the switches that change options."""
    add_option_file(parser)
    parser.add_argument(
        "--launcher",
        choices=("auto", "none", "pytorch", "slurm"),
        default="auto",
        help="who started the processes: torchrun (pytorch), srun (slurm, read from SLURM_* variables), nobody (none); "
        "auto takes pytorch where torchrun did (default)",
    )
    parser.add_argument("--debug", action="store_true", help="a run of 16 iterations that logs each, as debug_<name>")
    parser.add_argument(
        "--dry-run",
        "--dry_run",
        action="store_true",
        help="print the resolved options, the networks and the shapes of one batch, then exit",
    )
    # torch.distributed.launch passes it; the environment says the same
    parser.add_argument("--local_rank", "--local-rank", type=int, help=argparse.SUPPRESS)


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Add --set and --force_yml, what is laid upon the option file."""
    parser.add_argument(
        "--set",
        dest="overrides",
        action="extend",
        nargs="+",
        default=[],
        metavar="KEY.PATH=VALUE",
        help="change options, for example --set train.total_iter=100 train.losses.0.loss_weight=2",
    )
    parser.add_argument(
        "--force_yml",
        dest="overrides",
        action="extend",
        nargs="+",
        metavar="KEY:PATH=VALUE",
        help="the same in BasicSR's spelling, for example --force_yml train:total_iter=100",
    )


def load(arguments: argparse.Namespace) -> Options:
    """Return the options of the command line; on a mistake the first process prints it and all exit."""
    from dmdnet.config import load_options

    try:
        return load_options(arguments.opt, arguments.overrides, debug=getattr(arguments, "debug", False))
    except ConfigError as error:
        if is_first_process():
            report(error)
        raise SystemExit(error.exit_code) from None
