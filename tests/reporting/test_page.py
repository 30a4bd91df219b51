"""The page in a real browser: from disk, with the network off."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest

import edgeml
from edgeml.core.records.benchmark_results import PackageRef, Results, encode_results
from edgeml.reporting import make_report
from tests.reporting.conftest import Judged
from tests.support.hostile_names import HOSTILE, hostile_package
from tests.support.measured import reference

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

MAX_BYTES = 5_000_000
A4 = 794  # pixels across
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}


class Pictures(NamedTuple):
    """Where screenshots are kept, to be looked at; they are taken where somebody wants to."""

    folder: Path
    wanted: bool

    def take(self, shown: Page | Locator, name: str) -> None:
        """Of all of a page, or of a part of it."""
        if self.wanted:
            options: dict[str, Any] = {"full_page": True} if hasattr(shown, "goto") else {}
            shown.screenshot(path=self.folder / f"{name}.png", **options)

    def take_window(self, page: Page, name: str) -> None:
        """Of what is seen of a page."""
        if self.wanted:
            page.screenshot(path=self.folder / f"{name}.png")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    kept = os.environ.get("EDGEML_SCREENSHOTS")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return Pictures(folder, bool(kept))


class Made(NamedTuple):
    """A page, and the seconds of processor time that it took."""

    path: Path
    seconds: float


def made(judged: Judged, folder: Path) -> Made:
    begin = time.process_time()
    (folder / "report.html").write_bytes(make_report(judged.package, []))
    return Made(folder / "report.html", time.process_time() - begin)


@pytest.fixture(scope="module")
def classifier_page(classifier: Judged, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made(classifier, tmp_path_factory.mktemp("classifier-page"))


@pytest.fixture(scope="module")
def regressor_page(regressor: Judged, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made(regressor, tmp_path_factory.mktemp("regressor-page"))


@contextmanager
def opened(browser: Browser, path: Path, **options: Any) -> Iterator[Page]:
    """The page; it must ask for nothing but itself, and print nothing to the console."""
    context = browser.new_context(offline=True, **{"viewport": DESK, **options})
    page = context.new_page()
    asked: list[str] = []
    told: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("dialog", lambda dialog: told.append(dialog.message))
    page.goto(path.as_uri())
    yield page
    assert asked == [path.as_uri()]
    assert told == []
    context.close()


def overflow(page: Page) -> list[str]:
    """What reaches beyond the window's edge."""
    found: list[str] = page.evaluate("""() => [...document.querySelectorAll("body *")]
        .filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > innerWidth + 1)
        .filter((one) => !one.closest("thead"))  // on phones out of sight, for screen readers
        .map((one) => one.outerHTML.slice(0, 120))""")
    return found


def torn(page: Page) -> list[str]:
    """Words and figures in tables that are broken over two lines; hyphens may end one."""
    found: list[str] = page.evaluate("""() => [...document.querySelectorAll("th bdi, td bdi")]
        .filter((one) => one.checkVisibility())
        .flatMap((one) => [...one.textContent.matchAll(/[^\\s-]+/g)].map((word) => {
            const range = document.createRange();
            range.setStart(one.firstChild, word.index);
            range.setEnd(one.firstChild, word.index + word[0].length);
            const tops = [...range.getClientRects()].map((box) => Math.round(box.top));
            return new Set(tops).size > 1 ? word[0] : "";
        })).filter(Boolean)""")
    return found


@pytest.mark.slow
def test_charts_are_drawn_and_say_their_values(
    browser: Browser, page_file: Path, measured: Results, pictures: Pictures
) -> None:
    assert page_file.stat().st_size < MAX_BYTES
    with opened(browser, page_file) as page:
        assert page.locator("h1").inner_text() == "digits-format1 1.0.0"
        titles = page.locator("main > section > h2").all_inner_texts()
        assert titles[0] == "Artifacts"
        assert {"Devices side by side", "Throughput", "Classes", "Lineage", "Machine"} < set(titles)
        plots = page.locator(".plot.wide")
        assert plots.count() == page.locator("figure").count() >= 6
        for i in range(plots.count()):
            marks = plots.nth(i).locator(".role-mark [aria-label]")
            assert marks.count() > 0
            assert all((box := mark.bounding_box()) and box["width"] + box["height"] > 1 for mark in marks.all())
            assert len(plots.nth(i).get_attribute("aria-label") or "") > 30
        # The figures of the file, in the order of the picture.
        marks = page.locator("#tradeoff .plot.wide").first.locator(".role-mark [aria-label]")
        medians = {one.artifact: one.latency[0].ms.value for one in measured.measurements if one.latency}
        assert marks.count() == len(medians)
        middles = {}
        for mark in marks.all():
            box, told = mark.bounding_box(), mark.get_attribute("aria-label") or ""
            assert box is not None
            name = told.partition(",")[0]
            middles[name] = box["x"] + box["width"] / 2
            (ms,) = re.findall(r"([\d.]+) ms", told)
            assert float(ms) == pytest.approx(medians[name], rel=0.05)
        assert sorted(middles, key=lambda name: middles[name]) == sorted(medians, key=lambda name: medians[name])
        assert overflow(page) == []
        pictures.take(page, "desk")


@pytest.mark.slow
def test_hovering_tells_a_value(browser: Browser, page_file: Path, pictures: Pictures) -> None:
    with opened(browser, page_file) as page:
        mark = page.locator("#latency .plot.wide .role-mark [aria-label]").first
        mark.scroll_into_view_if_needed()
        page.wait_for_timeout(100)  # scrolling ends, and would hide it
        mark.hover(force=True)
        assert page.locator("#tip").inner_text() == mark.get_attribute("aria-label")
        pictures.take_window(page, "hover")
        page.mouse.move(5, 5)
        assert page.locator("#tip").is_hidden()


@pytest.mark.slow
def test_everything_is_reached_by_keyboard(browser: Browser, page_file: Path, pictures: Pictures) -> None:
    with opened(browser, page_file) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the verdict"
        page.keyboard.press("Enter")
        stops = []
        for _ in range(200):
            page.keyboard.press("Tab")
            stop = page.evaluate(
                "(document.activeElement.closest('figure .plot') || document.activeElement).className.toString()"
                " || document.activeElement.tagName"
            )
            if stop == "BODY":
                break
            stops.append(stop)
        charts = page.locator("figure").count()
        assert stops.count("plot wide") == charts  # one stop each, whatever the number of marks
        assert stops.count("SUMMARY") == charts

        marks = page.locator("#tradeoff .plot.wide").first.locator("[aria-label][tabindex]")
        marks.first.focus()
        for i, key in enumerate(["ArrowRight", "ArrowLeft", "End", "Home"]):
            page.keyboard.press(key)
            at = [1, 0, marks.count() - 1, 0][i]
            told = page.evaluate("document.activeElement.getAttribute('aria-label')")
            assert told == marks.nth(at).get_attribute("aria-label")
            assert page.locator("#tip").inner_text() == told
            assert page.locator("#tip").is_visible()
        pictures.take_window(page, "keyboard")
        page.keyboard.press("Escape")
        assert page.locator("#tip").is_hidden()
        page.locator("summary").first.focus()
        page.keyboard.press("Enter")
        assert page.locator("details table").first.is_visible()


@pytest.mark.slow
def test_a_screen_reader_gets_names_and_tables(browser: Browser, page_file: Path) -> None:
    with opened(browser, page_file) as page:
        tree = page.locator("main").aria_snapshot()
        assert '- heading "Artifacts" [level=2]' in tree
        assert "- table" in tree
        assert "columnheader" in tree
        assert "Loss against median latency of 2 artifacts" in tree
        assert page.locator("figure").count() == page.locator("figure details table").count()
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
        assert len(ids) == len(set(ids))


def test_a_phone_needs_no_sideways_scrolling(browser: Browser, page_file: Path, pictures: Pictures) -> None:
    with opened(browser, page_file, viewport=PHONE, device_scale_factor=2, is_mobile=True, has_touch=True) as page:
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        assert overflow(page) == []
        assert page.locator(".plot.wide").first.is_hidden()
        assert page.locator(".plot.narrow").first.is_visible()
        pictures.take(page, "phone")


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classifier", "regressor"])
def test_evidence_reads_on_a_laptop_and_on_a_phone(
    browser: Browser, request: pytest.FixtureRequest, task: str, pictures: Pictures
) -> None:
    path, seconds = request.getfixturevalue(f"{task}_page")
    assert seconds < 5
    assert path.stat().st_size < MAX_BYTES
    looks: dict[str, dict[str, Any]] = {
        "desk": {"viewport": DESK, "color_scheme": "dark"},
        "phone": {"viewport": PHONE, "device_scale_factor": 2, "is_mobile": True, "has_touch": True},
    }
    for name, options in looks.items():
        with opened(browser, path, **options) as page:
            section = page.locator("#evidence")
            marks = section.locator(".plot:visible .role-mark [aria-label]").count()
            assert marks == {"classifier": 2, "regressor": 2 + 2 * 10 + 2 * 3}[task]
            assert section.locator("table:visible").count() == 2
            assert page.evaluate("document.documentElement.scrollWidth") == options["viewport"]["width"]
            assert overflow(page) == []
            pictures.take(section, f"{task}-{name}")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_marks_stand_out_in_both_schemes(
    browser: Browser, page_file: Path, pictures: Pictures, scheme: str
) -> None:
    with opened(browser, page_file, color_scheme=scheme) as page:
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (luminance(ground) < 0.05) == (scheme == "dark")
        for selector, least in (("h1", 7), (".note", 4.5), ("td", 7), (".plot.wide text", 4.5), ("summary", 4.5)):
            style = f"getComputedStyle(document.querySelector('main {selector}, {selector}'))"
            color = page.evaluate(f"{style}.{'fill' if 'text' in selector else 'color'}")
            assert contrast(color, ground) >= least, selector
        fills = page.evaluate("""[...document.querySelectorAll("#tradeoff .role-mark [aria-label], #devices .role-mark "
            + "[aria-label]")].map((one) => getComputedStyle(one).fill)""")
        assert len(set(fills)) >= 2
        assert all(contrast(fill, ground) >= 3 for fill in fills)
        pictures.take(page, f"{scheme}")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_counts_stand_out_on_the_deepest_cell(browser: Browser, classifier_page: Made, scheme: str) -> None:
    with opened(browser, classifier_page.path, color_scheme=scheme) as page:
        ink, paper = (channels(page.evaluate(f"getComputedStyle(document.body).{one}")) for one in
                      ("color", "backgroundColor"))  # fmt: skip
        cells = page.evaluate("""[...document.querySelectorAll("#classes .plot.wide .mark-rect path")]
            .map((one) => [getComputedStyle(one).fill, Number(getComputedStyle(one).fillOpacity)])""")
        assert len(cells) > 10
        for fill, opacity in cells:
            under = [opacity * a + (1 - opacity) * b for a, b in zip(channels(fill), paper, strict=True)]
            assert ratio(relative(ink), relative(under)) >= 4.5, (fill, opacity)


def channels(color: str) -> list[float]:
    """Of ``rgb(…)``, from 0 to 1."""
    return [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]


def luminance(color: str) -> float:
    return relative(channels(color))


def relative(parts: list[float]) -> float:
    """The luminance as WCAG 2.2 defines it."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    return ratio(luminance(one), luminance(other))


def ratio(one: float, other: float) -> float:
    low, high = sorted((one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.slow
def test_it_prints_light_with_its_tables(browser: Browser, page_file: Path, pictures: Pictures) -> None:
    with opened(browser, page_file, color_scheme="dark") as page:
        pdf = page.pdf(path=pictures.folder / "print.pdf", format="A4", print_background=True)
        assert pdf.startswith(b"%PDF")
        page.emulate_media(media="print", color_scheme="dark")
        assert luminance(page.evaluate("getComputedStyle(document.body).color")) < 0.05
        assert page.locator("nav").is_hidden()
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("details table").first.is_visible()
        pictures.take(page, "print")


@pytest.mark.slow
@pytest.mark.parametrize("width", [A4, 800, 1280])  # paper, a tablet, a desk
def test_no_figure_of_a_table_is_torn(browser: Browser, page_file: Path, pictures: Pictures, width: int) -> None:
    with opened(browser, page_file, viewport={"width": width, "height": 900}) as page:
        if width == A4:
            page.emulate_media(media="print")
            page.evaluate("document.body.style.width = '688px'")  # within the margins
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert page.locator(".main td").count() > 10
        assert torn(page) == []
        assert overflow(page) == []
        right = "getBoundingClientRect().right"
        assert page.evaluate(f"[...document.querySelectorAll('table')].every((one) => one.{right} <= "
                             f"document.querySelector('main').{right} + 1)")  # fmt: skip
        pictures.take(page, f"tables-{width}")


@pytest.mark.slow
def test_hostile_names_are_text(
    browser: Browser, package: edgeml.Package, measured: Results, tmp_path: Path, pictures: Pictures
) -> None:
    package = hostile_package(package, 10_000)
    machine = msgspec.structs.replace(measured.machine, model=HOSTILE[1], system=HOSTILE[3], governor=HOSTILE[6])
    files = []
    for i, name in enumerate(HOSTILE[:3]):
        one = msgspec.structs.replace(
            measured,
            machine=msgspec.structs.replace(machine, device=name),
            package=PackageRef(HOSTILE[0], HOSTILE[1], reference(package).digest),
            measurements=tuple(
                msgspec.structs.replace(
                    found, engine=HOSTILE[0], target=HOSTILE[4],
                    conditions=msgspec.structs.replace(found.conditions, flags=(HOSTILE[1],)),
                )
                for found in measured.measurements
            ),
        )  # fmt: skip
        files.append(tmp_path / f"{i}.json")
        files[-1].write_bytes(encode_results(one))
    path = tmp_path / "report.html"
    path.write_bytes(make_report(package, files))
    assert path.stat().st_size < MAX_BYTES
    for viewport in (DESK, PHONE):
        with opened(browser, path, viewport=viewport) as page:
            page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            assert page.title() == "digits-format1 1.0.0: report"
            assert page.locator("img, script, style, iframe, object, main a, foreignObject").count() == 2  # our own
            text = page.locator("body").inner_text()
            for name in HOSTILE[:3]:
                assert name in text
            assert "invoice\\u202egpj.exe" in text
            assert "قطة" in text
            assert not set("\u202e\u202d\u2066\u0000\u001b") & set(page.content())
            assert "{{ 7 * 7 }}" in text
            assert "9,976 more classes are left out." in text
            assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
            pictures.take_window(page, f"hostile-{viewport['width']}")
