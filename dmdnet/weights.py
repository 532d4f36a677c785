"""The weights that the project can use and does not ship: which file, from where, under which licence, for what.

Nothing is downloaded. A file is looked for in one folder; when it is missing, the error says how to get it.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from dmdnet.errors import WeightsError
from dmdnet.tensor_files import NotTensors, read_tensors

WEIGHTS_VARIABLE = "DMDNET_WEIGHTS"
DEFAULT_FOLDER = "weights"


@dataclass(frozen=True)
class WeightsFile:
    """One weights file. `sha256` is the published digest or its published first characters (for facexlib, whose
    releases have none, the one under which mirrors carry the file); None when none is known, and then the file is
    not verified. `in_archive`: what is at the URL is an archive that has the file in it."""

    file: str
    url: str
    sha256: str | None
    licence: str
    needed_by: str
    in_archive: bool = False

    @property
    def source(self) -> str:
        """Where to get it, in words."""
        return f"{self.file} out of {self.url}" if self.in_archive else self.url


_FACEXLIB = "https://github.com/xinntao/facexlib/releases/download/"
_TORCHVISION = "weights BSD-3-Clause with torchvision; trained on ImageNet, whose terms are for research"

WEIGHTS = {
    "vgg19": WeightsFile(
        file="vgg19-dcbb9e9d.pth",
        url="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        sha256="dcbb9e9d",
        licence=_TORCHVISION,
        needed_by="the perceptual and style losses",
    ),
    "vgg16": WeightsFile(
        file="vgg16-397923af.pth",
        url="https://download.pytorch.org/models/vgg16-397923af.pth",
        sha256="397923af",
        licence=_TORCHVISION,
        needed_by="LPIPS with the VGG trunk",
    ),
    "alexnet": WeightsFile(
        file="alexnet-owt-7be5be79.pth",
        url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        sha256="7be5be79",
        licence=_TORCHVISION,
        needed_by="LPIPS with the AlexNet trunk",
    ),
    "inception_fid": WeightsFile(
        file="pt_inception-2015-12-05-6726825d.pth",
        url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
        sha256="6726825d",
        licence="Apache-2.0 (TensorFlow's Inception of 2015-12-05, converted by mseitzer/pytorch-fid); trained on "
        "ImageNet, whose terms are for research",
        needed_by="FID and KID",
    ),
    "niqe_pristine": WeightsFile(
        file="niqe_pris_params.npz",
        url="https://github.com/XPixelGroup/BasicSR/raw/v1.4.2/basicsr/metrics/niqe_pris_params.npz",
        sha256="2a7c182a68c9e7f1b2e2e5ec723279d6f65d912b6fcaf37eb2bf03d7367c4296",
        licence="Apache-2.0 with BasicSR; the numbers are those of the authors of NIQE",
        needed_by="NIQE where basicsr is not installed",
    ),
    "retinaface": WeightsFile(
        file="detection_Resnet50_Final.pth",
        url=_FACEXLIB + "v0.1.0/detection_Resnet50_Final.pth",
        sha256="6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d",
        licence="MIT (biubug6/Pytorch_Retinaface); trained on WIDER FACE, which is for research",
        needed_by="finding faces with facexlib",
    ),
    "awing": WeightsFile(
        file="alignment_WFLW_4HG.pth",
        url=_FACEXLIB + "v0.1.0/alignment_WFLW_4HG.pth",
        sha256="bbfd137307a4c7debd5c283b9b0ce539466cee417ac0a155e184d857f9f2899c",
        licence="Apache-2.0 (protossw512/AdaptiveWingLoss); trained on WFLW, which is for research",
        needed_by="landmarks with facexlib",
    ),
    "arcface_ir_se50": WeightsFile(
        file="recognition_arcface_ir_se50.pth",
        url=_FACEXLIB + "v0.1.0/recognition_arcface_ir_se50.pth",
        sha256="a035c768259b98ab1ce0e646312f48b9e1e218197a0f80ac6765e88f8b6ddf28",
        licence="MIT (TreB1eN/InsightFace_Pytorch); trained on MS-Celeb-1M, which is for research and withdrawn",
        needed_by="telling people apart with facexlib, the identity loss, and identity similarity by ir_se50",
    ),
    "arcface_w600k_r50": WeightsFile(
        file="w600k_r50.onnx",
        url="https://github.com/deepinsight/insightface/releases/download/v0.7/buffalo_l.zip",
        sha256="4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
        licence="insightface's models: for non-commercial research only; trained on WebFace600K",
        needed_by="identity similarity by w600k_r50, as ReF-LDM measures it",
        in_archive=True,
    ),
    "arcface_resnet18": WeightsFile(
        file="arcface_resnet18.pth",
        url="https://github.com/TencentARC/GFPGAN/releases/download/v0.1.0/arcface_resnet18.pth",
        sha256=None,
        licence="Apache-2.0 with GFPGAN; ronghuaiyang's network, trained on CASIA-WebFace, which is for research",
        needed_by="the older literature's identity angle (Deg.)",
    ),
    "parsenet": WeightsFile(
        file="parsing_parsenet.pth",
        url=_FACEXLIB + "v0.2.2/parsing_parsenet.pth",
        sha256="3d558d8d0e42c20224f13cf5a29c79eba2d59913419f945545d8cf7b72920de2",
        licence="MIT with facexlib; trained on CelebAMask-HQ, which is for research",
        needed_by="LPIPS of the face alone",
    ),
    "dmdnet": WeightsFile(
        file="DMDNet.pth",
        url="https://github.com/csxmli2016/DMDNet/releases/download/v1/DMDNet.pth",
        sha256=None,
        licence="CC BY-NC-SA 4.0 (the README of its repository): not for commercial use",
        needed_by="restoring and fine-tuning with the published DMDNet",
    ),
}


def weights_folder(folder: str | os.PathLike[str] | None = None) -> Path:
    """Return the weights folder: the argument, else the environment's DMDNET_WEIGHTS, else `weights`."""
    return Path(folder or os.environ.get(WEIGHTS_VARIABLE) or DEFAULT_FOLDER)


def find_weights(name: str, folder: str | os.PathLike[str] | None = None) -> Path:
    """Return the path of the weights `name` (a key of WEIGHTS), its digest checked.

    Raises:
        WeightsError: unknown name, file missing, or another digest than the published one.
    """
    if name not in WEIGHTS:
        raise WeightsError(f"unknown weights {name!r}; known: {', '.join(sorted(WEIGHTS))}")
    entry = WEIGHTS[name]
    path = weights_folder(folder) / entry.file
    if not path.is_file():
        raise WeightsError(
            f"{path} is missing; it is needed for {entry.needed_by}. Get {entry.source} ({entry.licence}) "
            f"and put it into {path.parent.resolve()}, or name another folder in {WEIGHTS_VARIABLE}"
        )
    if entry.sha256 and not checksum(path).startswith(entry.sha256):
        raise WeightsError(
            f"{path} is not the published file: its sha256 does not start with {entry.sha256}. "
            f"Delete it and get {entry.source} again"
        )
    note_used([path])
    return path


_used: ContextVar[dict[Path, None] | None] = ContextVar("weights that are used", default=None)


@contextmanager
def used_weights() -> Iterator[dict[Path, None]]:
    """Collect the weights files that are used inside, as the keys of a dictionary in their order."""
    files: dict[Path, None] = {}
    token = _used.set(files)
    try:
        yield files
    finally:
        _used.reset(token)


def note_used(paths: Iterable[str | os.PathLike[str]]) -> None:
    """Tell `used_weights` of files that `find_weights` does not know, such as those of a package."""
    files = _used.get()
    if files is not None:
        files.update(dict.fromkeys(map(Path, paths)))


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file; it is read once per process and version of it."""
    stat = path.stat()
    return _digest(path, stat.st_size, stat.st_mtime_ns)


def read_state(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Return the state dict in a weights file, or under its key `state_dict`; nothing in it is executed.

    Raises:
        WeightsError: the file cannot be read, is damaged, or holds something else.
    """
    try:
        state = read_tensors(path)
    except OSError as error:
        why = error.strerror or error
        raise WeightsError(f"{path}: cannot be opened: {why}; it has to be a file that may be read") from error
    except NotTensors as error:
        raise WeightsError(f"{path}: not a readable weights file: {error}; download it again") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path}: holds something else than a state dict; download it again")
    return state


def describe_weights(folder: str | os.PathLike[str] | None = None) -> str:
    """Return the table as text: name, state in the folder, file, source, digest, licence, use."""
    where = weights_folder(folder)
    lines = [f"weights folder: {where.resolve()}"]
    for name, entry in WEIGHTS.items():
        state = "present" if (where / entry.file).is_file() else "missing"
        lines += [
            f"{name}: {state}",
            f"  file    {entry.file}",
            f"  source  {entry.source}",
            f"  sha256  {entry.sha256 + '...' if entry.sha256 else 'not published; the file is not verified'}",
            f"  licence {entry.licence}",
            f"  for     {entry.needed_by}",
        ]
    return "\n".join(lines)


@functools.cache
def _digest(path: Path, size: int, changed: int) -> str:
    """Hash a file once per process and version of it."""
    with open(path, "rb") as file:
        digest = hashlib.sha256()  # hashlib.file_digest is not in Python 3.10
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
