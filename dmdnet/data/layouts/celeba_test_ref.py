"""CelebA-Test-Ref: 2,533 pictures of CelebA-Test with references from CelebA-HQ."""

from __future__ import annotations

from pathlib import Path

from dmdnet.data.layouts.base import LAYOUTS, README, found_pictures, landmark_folder, open_root, require_file
from dmdnet.data.layouts.pairing import PictureIndex, people_of
from dmdnet.data.layouts.reference_csv import ListedTarget, read_reference_csv
from dmdnet.data.manifest import Manifest, Row
from dmdnet.data.storage import MountedStorage
from dmdnet.data.storage.natural import natural_key
from dmdnet.errors import DataError

GT, LQ, REFERENCES = "gt", "lq", "CelebA-HQ-img"


@LAYOUTS.register()
class CelebATestRefLayout:
    """`test_references.csv`, `celeba_test_images/{gt,lq}` and the references in `CelebAMask-HQ/CelebA-HQ-img/`.

    References keep the order of the list. The list names nobody: pictures that share references are one person.

    Args:
        dataroot_gt: the sharp pictures, `celeba_test_images/gt`.
        dataroot_ref: the pictures of CelebA-HQ.
        dataroot_lq: the degraded pictures; by default `lq` beside `dataroot_gt`.
        reference_mapping: the list; by default `test_references.csv` beside the folder `celeba_test_images`.
        dataroot_landmarks: `gt/<picture>.txt` and `CelebA-HQ-img/<picture>.txt`; by default `landmarks` beside the
            list.
    """

    def __init__(
        self,
        *,
        dataroot_gt: str,
        dataroot_ref: str,
        dataroot_lq: str | None = None,
        reference_mapping: str | None = None,
        dataroot_landmarks: str | None = None,
    ) -> None:
        self.gt, self.ref = dataroot_gt, dataroot_ref
        self.lq = dataroot_lq or str(Path(dataroot_gt).parent / LQ)
        self.mapping = Path(reference_mapping or Path(dataroot_gt).parent.parent / "test_references.csv")
        self.landmarks = landmark_folder(dataroot_landmarks, self.mapping)

    def manifest(self) -> Manifest:
        """Return the targets in the order of their names, then the references."""
        roots = {GT: (self.gt, "dataroot_gt"), LQ: (self.lq, "dataroot_lq"), REFERENCES: (self.ref, "dataroot_ref")}
        expected = self._expected()
        storage = MountedStorage({mount: open_root(root, option, expected) for mount, (root, option) in roots.items()})
        listed = read_reference_csv(require_file(self.mapping, "reference_mapping", expected))
        indices = {
            mount: PictureIndex(found_pictures(storage.mounts[mount], root, option, expected), root)
            for mount, (root, option) in roots.items()
        }
        rows = self._rows(listed, indices[GT], indices[LQ], indices[REFERENCES])
        for index in indices.values():
            index.check(str(self.mapping), expected)
        return Manifest.from_rows(rows, storage=storage, origin=self.gt)

    def _rows(
        self, listed: list[ListedTarget], gt: PictureIndex, lq: PictureIndex, references: PictureIndex
    ) -> list[Row]:
        degraded = {gt.find(target.name): lq.find(target.degraded or target.name) for target in listed}
        lists = {gt.find(target.name): tuple(f"{REFERENCES}/{key}" for key in references.find_all(target.references))
                 for target in listed}  # fmt: skip
        if len(lists) < len(listed):
            raise DataError(
                f"{self.mapping}: {len(listed) - len(lists)} of its targets are pictures that it has already"
            )
        people = people_of(lists)
        targets = [
            Row(
                key, people[key], f"{GT}/{key}", f"{LQ}/{degraded[key]}", str(self.landmarks / GT / f"{key}.txt"),
                split="test", references=lists[key],
            )
            for key in sorted(lists, key=natural_key)
        ]  # fmt: skip
        referred = sorted({name for names in lists.values() for name in names}, key=natural_key)
        return targets + [
            Row(name, people[name], name, "", str(self.landmarks / f"{name}.txt"), split="test", is_target=False)
            for name in referred
        ]

    def _expected(self) -> str:
        root = self.mapping.parent
        return (
            f"CelebA-Test-Ref is {self.mapping}, {Path(self.gt) / '00000013.png'} and "
            f"{Path(self.lq) / '00000013.png'}, from the page of ReF-LDM's authors (ChiWeiHsiao/ref-ldm); its "
            f"references are {root / 'CelebAMask-HQ' / 'CelebA-HQ-img' / '0.jpg'}, from CelebAMask-HQ "
            f"(switchablenorms/CelebAMask-HQ) {README}"
        )
