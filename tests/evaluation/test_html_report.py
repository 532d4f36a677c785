"""The page of a benchmark: what it says, what it never does, and how it behaves in a real browser."""

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import DESKTOP, PHONE, Browser, needs_browser, open_browser
from known_evaluations import made_evaluation
from made_evaluations import FACTS, evaluation, exhibits

from dmdnet.evaluation.records import Evaluation
from dmdnet.evaluation.reports import cells
from dmdnet.evaluation.reports.html_report import REPORT, SetFacts, facts_of, report_page, write_html_report
from dmdnet.evaluation.reports.html_report.contents import Contents, contents_of
from dmdnet.evaluation.reports.html_report.facts import names_digest
from dmdnet.evaluation.statistics.summary import SummarySettings, summarise

EVIL = """</script><script>alert('x')</script><img src=x onerror=alert(1)>"'&--></style>\udce9"""
SETTINGS = SummarySettings(resamples=100, permutations=200)


def page_of(*found: Evaluation, each: int = 1, size: int = 64, **changes: object) -> str:
    records = [record for one in found for record in summarise(one, SETTINGS)]
    shown = {one.set_name: exhibits(one, each, size) for one in found}
    return report_page(found, records, name="bench", facts=replace(FACTS, **changes), exhibits=shown)


def words(page: str) -> str:
    """Return the page's text in one line."""
    body = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


@pytest.fixture(scope="module")
def page() -> str:
    moderate = evaluation("moderate", severity=1.0)
    return page_of(moderate, evaluation("severe", severity=4.0, published="ffhq_ref_severe"), each=2)


def test_everything_that_a_reader_needs_is_there(page: str) -> None:
    text = words(page)
    for part in ("Overview", "Means", "Differences", "Curves", "Pictures", "Person by person", "Failures",
                 "Published numbers", "Across sets", "How the numbers were made"):  # fmt: skip
        assert part in text
    assert "musiq was not computed: pyiqa is not installed; pip install pyiqa" in text
    assert "methods failed: other_tool on 7. Where a method failed, the picture is scored as the degraded input" in text
    assert "41 of 49 83.7%" in text  # restored by itself
    assert "psnr@rgb/uint8" in text
    assert "95% percentile bootstrap over identities, 100 resamples, Philox seed 0" in text
    assert "a1" * 32 in text
    assert "torch 2.11" in text
    assert "manual_seed: 0" in text
    assert "Best 1 of 48" in text
    assert "Worst 48 of 48" in text


def test_means_and_intervals_are_those_of_the_records(page: str) -> None:
    record = next(r for r in summarise(evaluation("moderate", severity=1.0), SETTINGS) if r.method == "ours_specific@4")
    assert f"{record.mean:.2f} {record.ci_low:.2f} to {record.ci_high:.2f}" in words(page)


def test_published_numbers_stand_in_tables_of_their_own(page: str) -> None:
    sources = re.findall(r'<div class="source">.*?</table>', page, flags=re.DOTALL)
    assert len(sources) > 3
    for source in sources:
        assert not ("ours_specific" in source and ("CodeFormer" in source or "DMDNet" in source))
    faceme = next(source for source in sources if "FaceMe, AAAI 2025" in source)
    assert "150 random identities" in faceme
    assert "23.71" in faceme
    assert "best" not in faceme  # no ranking among recipes that are not ours
    refldm = next(source for source in sources if "ReF-LDM" in source and "failed pictures left out" in source)
    assert "214 failed pictures left out" in refldm


def test_a_set_without_published_numbers_without_pictures_and_without_failures(tmp_path: Path) -> None:
    found = evaluation(published=None, severity=None)
    calm = tuple(replace(record, status="ok", reason="", note="") for record in found.pictures)
    plain = replace(found, pictures=calm, unusable=(), metrics=found.metrics[:2], set_values={})
    write_html_report([plain], summarise(plain, SETTINGS), tmp_path, name="bench", facts=FACTS)
    text = words((tmp_path / REPORT).read_text(encoding="utf-8"))
    assert "Every method restored every picture, and every metric that was asked for was computed." in text
    for part in ("Published numbers", "Failures", "Across sets", "Best 1 of"):
        assert part not in text


def test_a_set_that_nobody_could_read_still_has_a_page() -> None:
    found = evaluation()
    empty = replace(found, pictures=(), methods=(), infos=(), set_values={})
    assert "1 of 1 pictures cannot be read" in words(page_of(empty))


def test_what_may_be_beyond_noise_is_called_so_as_in_the_terminal() -> None:
    found = made_evaluation(people=3)  # so few people that no test can decide
    records = summarise(found, SETTINGS)
    assert any(cells.verdict(record) == "maybe" for record in records if record.pair)
    text = words(report_page([found], records, name="bench", facts=FACTS, exhibits={}))
    assert re.search(r"p \d\.\d+, maybe", text)
    assert f"Maybe: {cells.MAYBE_MEANS}." in text


def test_pictures_are_shown_where_no_metric_scored_them() -> None:
    page = page_of(replace(evaluation(), metrics=()))
    assert "No metric scored pictures one by one" in words(page)
    assert "Picture 1 of" in words(page)
    assert "nan" not in words(page)


def test_dropped_failures_are_named_so() -> None:
    assert "left out of its means" in words(page_of(replace(evaluation(), failed_as="drop")))


def test_text_from_data_is_only_text_wherever_it_comes_from() -> None:
    found = evaluation(EVIL, prefix=EVIL, note=EVIL, people=4)
    renamed = {info.name: info.name if info.kind == "input" else f"{info.name}{EVIL}" for info in found.infos}
    evil = replace(
        found,
        methods=tuple(renamed[name] for name in found.methods),
        infos=tuple(replace(i, name=renamed[i.name], source=EVIL, sha256=EVIL) for i in found.infos),
        pictures=tuple(replace(r, method=renamed[r.method]) for r in found.pictures),
        metrics=tuple(
            replace(m, recipe=EVIL, undefined=EVIL, unavailable=m.unavailable and EVIL) for m in found.metrics
        ),
        set_values={},
        unusable=tuple(replace(p, identity=EVIL, name=EVIL, note=EVIL) for p in found.unusable),
    )
    records = summarise(evil, SETTINGS)
    facts = replace(
        FACTS,
        options=EVIL,
        environment={EVIL: EVIL},
        data={EVIL: SetFacts(EVIL, Contents(1, 1, EVIL, EVIL))},
        when=EVIL,
        device=EVIL,
    )
    page = report_page([evil], records, name=EVIL, facts=facts, exhibits={})
    assert page.count("<script>") == 1
    assert page.count("</style>") == 1
    assert "<img" not in page
    assert "&lt;/script&gt;" in page
    page.encode()  # bytes of names that are no text are written out


def test_large_reports_stay_light_by_smaller_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dmdnet.evaluation.reports.html_report.page.MAX_BYTES", 700_000)
    rng = np.random.Generator(np.random.Philox(1))
    noise = rng.integers(0, 255, (384, 384, 3), dtype=np.uint8)  # the hardest picture to compress
    found = evaluation()
    shown = exhibits(found, 1, 64)
    heavy = tuple(
        replace(one, sample=replace(one.sample, pictures=dict.fromkeys(one.sample.pictures, noise))) for one in shown
    )
    path = write_html_report(
        [found], summarise(found, SETTINGS), tmp_path, name="b", facts=FACTS, exhibits={found.set_name: heavy}
    )
    assert 200_000 < path.stat().st_size <= 700_000


def test_the_digest_tells_sets_apart_and_not_their_order() -> None:
    found = evaluation()
    assert names_digest(found) == names_digest(replace(found, pictures=found.pictures[::-1]))
    assert names_digest(found) != names_digest(replace(found, unusable=()))
    assert names_digest(evaluation(prefix="\udce9"))
    assert facts_of("", seed=1, datasets={}).environment["packages"]["torch"]


def test_the_checksum_of_files_tells_contents_and_not_places(tmp_path: Path) -> None:
    def files(folder: str, *contents: bytes) -> list[str]:
        (tmp_path / folder).mkdir()
        paths = [tmp_path / folder / f"{number}.png" for number in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        return [str(path) for path in paths]

    here, there, other = files("a", b"1", b"2"), files("b", b"2", b"1"), files("c", b"1", b"3")
    assert contents_of([*here, *here]) == contents_of(there)  # a reference that two pictures share counts once
    assert contents_of(here).sha256 != contents_of(other).sha256
    assert contents_of([*here, str(tmp_path / "gone.png")]).sha256 != contents_of(here).sha256
    assert contents_of(here, most_bytes=1).note == "not computed: the files have 0 GB"
    database = tmp_path / "faces.lmdb"
    database.mkdir()
    (database / "data.mdb").write_bytes(b"12")
    assert contents_of([f"{database}/a/0.png", f"{database}/a/1.png"]).files == 1


@needs_browser
class TestBrowser:
    @pytest.fixture(scope="class")
    def browser(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
        with open_browser(tmp_path_factory.mktemp("profile")) as opened:
            yield opened

    @pytest.fixture(scope="class")
    def path(self, page: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
        path = tmp_path_factory.mktemp("results") / REPORT
        path.write_text(page, encoding="utf-8")
        return path

    @pytest.mark.parametrize("width", [PHONE, DESKTOP])
    def test_it_opens_at_every_width_without_a_complaint_or_a_request(
        self, browser: Browser, path: Path, width: int
    ) -> None:
        browser.requests()
        browser.open(path, width)
        assert browser.complaints() == []
        assert browser.requests() == {path.as_uri()}
        assert browser.run("return document.documentElement.scrollWidth") <= width
        assert len(browser.find_all(".stage")) == len(browser.find_all(".compare")) == 12
        assert not [alt for alt in browser.run("return Array.from(document.images, (i) => i.alt)") if not alt]

    def test_means_sort_and_sliders_move(self, browser: Browser, path: Path) -> None:
        browser.open(path)
        table = browser.find("#set-1 table")
        table.find_elements("css selector", "thead button")[1].click()
        first = table.find_element("css selector", "tbody th").text
        assert first == "ours_specific@4"
        handle = browser.find(".stage input")
        assert handle.get_attribute("aria-label").startswith("Line between input (left) and ours_specific@4 (right)")
        handle.send_keys("\ue012")  # arrow left
        assert handle.get_attribute("aria-valuetext") == "49% input"
        assert browser.run("return getComputedStyle(document.querySelector('.stage')).getPropertyValue('--split')") == (
            "49%"
        )

    def test_links_lead_somewhere(self, browser: Browser, path: Path) -> None:
        browser.open(path)
        lost = browser.run(
            "return Array.from(document.querySelectorAll('a[href^=\"#\"]'), (a) => a.hash)"
            ".filter((h) => !document.getElementById(h.slice(1)))"
        )
        assert lost == []
