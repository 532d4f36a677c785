"""`python -m dmdnet restore PHOTO --weights W -o OUT`: restore the faces of a photograph."""

from __future__ import annotations

import argparse

HELP = "restore the faces of a photograph"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `restore`; their values are checked by the restorer."""
    parser.add_argument("photo", metavar="PHOTO", help="the photograph")
    parser.add_argument(
        "--weights", required=True, metavar="FILE", help="a net_g_<iter>.pth or the published DMDNet.pth"
    )
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help="the restored photograph")
    parser.add_argument("--references", metavar="FOLDER", help="other photographs of the same person")
    parser.add_argument(
        "--face", default="only", metavar="WHICH", help="only (default), largest, all, or a number from 1, the largest"
    )
    parser.add_argument(
        "--output",
        default="auto",
        choices=("auto", "specific", "generic"),
        help="auto (default): specific with references, generic without",
    )
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda or cuda:N")
    parser.add_argument("--backend", default="dlib", metavar="NAME", help="the face library (default: dlib)")
    parser.add_argument("--save-faces", metavar="FOLDER", help="write each face's aligned input and result there")


def run(arguments: argparse.Namespace) -> int:
    """Restore one photograph and print what was done."""
    from dmdnet.restore.run import restore_photograph

    summary = restore_photograph(
        arguments.photo,
        arguments.weights,
        arguments.out,
        references=arguments.references,
        face=arguments.face,
        output=arguments.output,
        device=arguments.device,
        backend=arguments.backend,
        save_faces=arguments.save_faces,
    )
    print(summary)
    return 0
