"""The report as Chromium lays it out: nothing overflows, words stay whole, all has a name and enough contrast."""

from __future__ import annotations

import copy
import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas.model.explanation import Explanation
from nas.report.comparison_page import render_comparison
from nas.report.explain_page import render_explanation
from nas.report.page import render
from nas.run.comparison import compare
from nas.run.config import RunConfig
from nas.run.explain import explain
from nas.run.stored_run import open_stored_run
from tests.nas.report.kinds_of_run import of_anomalies, of_boards, of_numbers, of_one_model
from tests.nas.report.synthetic_summary import synthetic_summary, typed
from tests.nas.runs_on_disk import write_run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PHONE, DESKTOP = 390, 1280

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]

# The page lies in a frame as wide as the screen to be tried, since Chromium's own windows are never so narrow.
PROBE = f"<script>{(Path(__file__).parent / 'probe.js').read_text(encoding='utf-8')}</script>"
ERRORS = '<script>window.errors = []; addEventListener("error", (e) => errors.push(e.message));</script>'


def look(folder: Path, summary: dict[str, Any], width: int, *, dark: bool = False) -> dict[str, Any]:
    """What the probe saw of a report in a frame of that width."""
    return look_at(folder, render(typed(summary)), width, dark=dark)


def look_at(folder: Path, page: str, width: int, *, dark: bool = False) -> dict[str, Any]:
    """What the probe saw of a page in a frame of that width."""
    # A page without scripts lets the probe in all the same.
    page = page.replace(
        "default-src 'none'; style-src", "default-src 'none'; script-src 'unsafe-inline'; style-src"
    )
    page = page.replace("<head>", "<head>" + ERRORS, 1).replace("</body>", PROBE + "</body>", 1)
    (folder / "page.html").write_text(page, encoding="utf-8")
    frame = (
        f'<!DOCTYPE html><iframe src="page.html" width="{width}" height="900" style="border:0"></iframe>'
        '<pre id="seen"></pre><script>addEventListener("message", (event) => {'
        ' document.getElementById("seen").textContent = event.data; });</script>'
    )
    (folder / "frame.html").write_text(frame, encoding="utf-8")
    assert CHROMIUM is not None
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--dump-dom",
        "--virtual-time-budget=20000", "--window-size=1400,1000", f"--user-data-dir={folder / 'profile'}",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}", (folder / "frame.html").as_uri(),
    ]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True).stdout
    match = re.search(r'<pre id="seen">(.+?)</pre>', shown, re.S)
    assert match, shown[-2000:]
    seen: dict[str, Any] = json.loads(html.unescape(match.group(1)))
    assert (seen["width"], seen["dark"]) == (width, dark)
    return seen


def fifty_classes(summary: dict[str, Any]) -> dict[str, Any]:
    made = copy.deepcopy(summary)
    made["task"]["class_names"] = [f"a longer class name {index}" for index in range(50)]
    made["data"]["class_names"] = made["task"]["class_names"]
    for part in made["data"]["parts"].values():
        part["classes"] = [7] * 50
        part["low"], part["high"] = [-31415.9] * 12, [0.00271828] * 12
    made["data"]["levels"] = [255] * 12
    made["chosen"]["confusion"] = [[20 if i == j else (i * j) % 2 for j in range(50)] for i in range(50)]
    return made


def empty(summary: dict[str, Any]) -> dict[str, Any]:
    return summary | {"trials": [], "front": [], "chosen": None, "time": {}}


KINDS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "usual": copy.deepcopy,
    "fifty classes": fifty_classes,
    "empty": empty,
    "one model": of_one_model,
    "anomalies": of_anomalies,
    "numbers": lambda summary: of_numbers(summary, count=2),
    "boards": of_boards,
}


def assert_laid_out_well(seen: dict[str, Any], width: int) -> None:
    """Nothing runs out of the page or its card, is cut, faint, without a name or said twice."""
    assert seen["errors"] == []
    assert seen["wanted"] <= width
    assert seen["loose"] == 0
    for nothing in ("broken", "thin", "merged", "barless", "faint", "nameless", "twice", "lost"):
        assert seen[nothing] == [], nothing
    assert seen["headless"] == 0
    assert seen["headings"][0] == 1
    assert seen["headings"].count(1) == 1
    assert all(after - before <= 1 for before, after in zip(seen["headings"], seen["headings"][1:]))


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("kind", KINDS)
def test_the_report_is_laid_out_well(
    tmp_path: Path, summary: dict[str, Any], kind: str, width: int, dark: bool
) -> None:
    seen = look(tmp_path, KINDS[kind](summary), width, dark=dark)
    assert_laid_out_well(seen, width)
    assert (seen["panels"] == 3) == (kind != "empty")
    assert ("confusion" in seen["sections"]) == (kind not in ("empty", "numbers"))
    assert ("boards" in seen["sections"]) == (kind == "boards")
    if kind == "empty":
        assert seen["sections"] == ["verdict", "data", "run"]


def test_a_limit_on_latency_has_its_own_panel(tmp_path: Path, summary: dict[str, Any]) -> None:
    summary["budget"].append({"resource": "latency", "limit": 30_000.0, "note": ""})
    summary["budget"].append({"resource": "cycles", "limit": 4_000_000, "note": ""})
    assert look(tmp_path, summary, DESKTOP)["panels"] == 4


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("kind", ["two", "twelve", "other target", "other data"])
def test_a_comparison_is_laid_out_well(tmp_path: Path, kind: str, width: int, dark: bool) -> None:
    summaries = [synthetic_summary(seed=seed) for seed in range(12 if kind == "twelve" else 2)]
    for place, one in enumerate(summaries):
        one["budget"][0]["limit"] = 24576 - 1024 * (place % 3)
    if kind == "other target":
        summaries[1]["target"]["name"] = "rp2040"
    if kind == "other data":
        summaries[1]["task"]["class_names"] = ["yes", "no"]
    paths = [
        write_run(
            tmp_path / f"a-run-of-a-longer-name-{place}", one, data="ab"[place == 1 and kind != "twelve"] * 64
        )
        for place, one in enumerate(summaries)
    ]
    runs = [open_stored_run(path) for path in paths]
    page = render_comparison(compare(runs), [run.summary for run in runs])
    seen = look_at(tmp_path, page, width, dark=dark)
    assert_laid_out_well(seen, width)
    assert seen["panels"] == {"two": 3, "twelve": 3, "other target": 1, "other data": 0}[kind]


@pytest.fixture(scope="module")
def explanations() -> dict[str, Explanation]:
    """What tight and hopeless limits admit."""
    return {
        "tight": explain(RunConfig(budget="sram=16KB,flash=64KB,latency=5ms"), draws=40, seconds=7),
        "hopeless": explain(RunConfig(budget="sram=1KB,flash=20KB"), draws=40, seconds=7),
    }


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("kind", ["tight", "hopeless"])
def test_an_explanation_is_laid_out_well(
    tmp_path: Path, explanations: dict[str, Explanation], kind: str, width: int, dark: bool
) -> None:
    seen = look_at(tmp_path, render_explanation(explanations[kind]), width, dark=dark)
    assert_laid_out_well(seen, width)
    assert seen["sections"] == ["verdict", "fits", "limits", "doubled", "how"]
