from __future__ import annotations

import copy
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from plotly.offline import get_plotlyjs

import nas.report
from nas.report import write_report
from nas.report.page import render
from nas.report.predictions import scatters
from tests.nas.report.synthetic_summary import chosen_of, synthetic_summary, typed

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7 * 7 }}<!--"
VOID = {"meta", "br", "input", "img", "link", "line", "rect"}


class Page(HTMLParser):
    """Tags, texts and ids of a page, and whether its elements are nested properly."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    @property
    def ids(self) -> list[str]:
        return [attrs["id"] or "" for _, attrs in self.tags if "id" in attrs]


def lean(summary: dict[str, Any]) -> str:
    """The page without plotly's own source."""
    return render(typed(summary)).replace(get_plotlyjs(), "")


def picture_of(html: str) -> Any:
    found = re.search(r'<script type="application/json" id="picture">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def empty(**changes: Any) -> dict[str, Any]:
    """A run without a single trial, or with what `changes` say."""
    return synthetic_summary() | {"trials": [], "front": [], "chosen": None} | changes


def one_trial() -> dict[str, Any]:
    summary = synthetic_summary()
    number = summary["chosen"]["number"]
    return summary | {"trials": [t for t in summary["trials"] if t["number"] == number], "front": [number]}


def nothing_feasible() -> dict[str, Any]:
    rejected = [t for t in synthetic_summary()["trials"] if t["state"] == "rejected"]
    return empty(trials=rejected)


def without_matches(summary: dict[str, Any]) -> dict[str, Any]:
    """Chosen, but with none of the optional detail."""
    changed = copy.deepcopy(summary)
    changed["chosen"] |= {"confusion": [], "timeline": [], "layers": [], "bundle": ""}
    return changed


def test_the_page_asks_the_network_for_nothing(summary: dict[str, Any]) -> None:
    html = lean(summary)
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|fetch\(|XMLHttpRequest|WebSocket|import\(", html)
    for tag, attrs in Page(html).tags:
        assert tag not in ("link", "iframe", "object", "img", "base")
        assert "src" not in attrs
        assert (attrs.get("href") or "#").startswith(("#", "./"))


def test_the_page_forbids_itself_every_request(summary: dict[str, Any]) -> None:
    policies = [
        a["content"] for t, a in Page(lean(summary)).tags if a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies
    assert (policies[0] or "").startswith("default-src 'none'; script-src 'unsafe-inline'")


def test_plotly_is_inside_and_cannot_end_its_script_early(summary: dict[str, Any]) -> None:
    assert get_plotlyjs() in render(typed(summary))
    assert "</script" not in get_plotlyjs().lower()


def test_every_section_is_present(summary: dict[str, Any]) -> None:
    page = Page(lean(summary))
    for section in ("verdict", "front", "model", "confusion", "trials", "rejected", "time", "data", "run"):
        assert section in page.ids
    for words in (
        "Pareto front",
        "Memory timeline",
        "What it confuses",
        "Every trial",
        "rejected, and why",
        "3 of 360 test samples are exact copies of training samples.",
        "Pictures of 8 x 8, 1 channel, uint8.",
        "1234",
    ):
        assert words in page.text


def test_every_link_inside_the_page_leads_somewhere(summary: dict[str, Any]) -> None:
    page = Page(lean(summary))
    for tag, attrs in page.tags:
        if tag == "a" and (attrs["href"] or "").startswith("#"):
            assert (attrs["href"] or "").removeprefix("#") in page.ids
    assert [
        attrs["href"] for tag, attrs in page.tags if tag == "a" and not (attrs["href"] or "").startswith("#")
    ] == ["./runs/digits-ds_cnn-nrf52840/bundle/"]
    assert len(page.ids) == len(set(page.ids))


@pytest.mark.parametrize(
    "make",
    [synthetic_summary, empty, nothing_feasible, one_trial, lambda: without_matches(synthetic_summary())],
)
def test_elements_are_nested_properly(make: Any) -> None:
    assert Page(lean(make())).open == []


def hostile(value: Any) -> Any:
    """Every string and key replaced by something that would break out of HTML, JSON or jinja2."""
    keep = {"state", "rung", "resource", "engine", "op"}
    if isinstance(value, dict):
        return {k: v if k in keep else hostile(v) for k, v in value.items()}
    if isinstance(value, list):
        return [hostile(entry) for entry in value]
    return HOSTILE if isinstance(value, str) else value


def test_hostile_names_stay_text(summary: dict[str, Any]) -> None:
    changed = hostile(summary)
    for trial in changed["trials"]:
        trial["params"] = {HOSTILE: HOSTILE}
    changed["config"] = changed["versions"] = {HOSTILE: HOSTILE}
    changed["chosen"]["layers"][0]["op"] = HOSTILE
    html = lean(changed)
    page, harmless = Page(html), Page(lean(summary))

    def count(page: Page, tag: str) -> int:
        return sum(t == tag for t, _ in page.tags)

    assert count(page, "script") == count(harmless, "script")
    assert count(page, "img") == 0
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert "{{ 7 * 7 }}" in page.text
    assert HOSTILE not in html
    hover = next(
        text for panel in picture_of(html)["panels"] for text in panel["points"]["evaluated"]["text"]
    )
    assert "<img" not in hover
    assert "&lt;img" in hover


def test_groups_stand_in_a_table_with_a_word_on_those_between(summary: dict[str, Any]) -> None:
    group = {"name": HOSTILE, "samples": 9, "score": 0.5, "low": 0.2, "high": 0.8, "numbers": []}
    groups = [group, group | {"name": "anna", "score": 0.9}]
    found = {"measured": 7, "left_out": 2, "groups": groups}
    assert 'id="groups"' not in render(typed(summary))
    summary["chosen"]["test_accuracy"]["groups"] = found
    page = Page(lean(summary))
    assert not page.open
    assert "5 more between" in page.text
    assert "2 groups with fewer than 5 samples are left out." in page.text
    assert "the best anna with 90.0 % (9 samples; 20.0 to 80.0 %)" in page.text
    assert HOSTILE in "".join(page.texts)


def test_numbers_are_drawn_as_predicted_against_true_ones(summary: dict[str, Any]) -> None:
    summary["task"] |= {"metric": "rmse", "class_names": []}
    number = {"name": HOSTILE, "rmse": 2.5, "mae": 2.0, "r2": 0.8, "low": 2.1, "high": 2.9}
    picture = {
        "name": HOSTILE,
        "truth": [0.0, 10.0, 4.0],
        "predicted": [1.0, 9.0, 4.0],
        "bias": 0.5,
        "middle": [-1, 1],
    }
    summary["chosen"] |= {"confusion": [], "predictions": [picture]}
    summary["chosen"]["test_accuracy"] |= {
        "metric": "rmse",
        "numbers": [number],
        "score": 0.5,
        "score_low": 0.4,
        "score_high": 0.6,
    }
    html = lean(summary)
    page = Page(html)
    assert not page.open
    assert html.count('class="dot"') == 3
    assert 'cx="50' not in html  # neither end nor middle: 4 of 0 to 10
    assert "mean 0.5, nine tenths between -1 and 1; 3 samples." in page.text
    assert "confusion" not in page.ids
    assert {"predictions", "model"} <= set(page.ids)


def test_a_single_value_is_drawn_all_the_same() -> None:
    one = {"name": "y", "truth": [7.0], "predicted": [7.0], "bias": 0.0, "middle": [0.0, 0.0]}
    (found,) = scatters(chosen_of({"predictions": [one]}))
    assert found.dots == ((50.0, 50.0),)
    assert scatters(chosen_of({})) == []


def test_the_same_summary_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_report(tmp_path / name, typed(synthetic_summary()))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_writing_leaves_the_summary_as_it_was(tmp_path: Path, summary: dict[str, Any]) -> None:
    before = copy.deepcopy(summary)
    write_report(tmp_path / "report.html", typed(summary))
    assert summary == before


def test_a_run_without_trials_says_so(summary: dict[str, Any]) -> None:
    html = lean(empty())
    assert "No trial was run." in Page(html).text
    assert picture_of(html) is None
    assert get_plotlyjs() not in render(typed(empty()))


def test_nothing_feasible_names_the_limit_that_blocks_and_the_closest_miss() -> None:
    text = Page(lean(nothing_feasible())).text
    assert "Nothing fits nrf52840: SRAM is the limit that blocks." in text
    assert re.search(r"Closest miss: trial \d+, SRAM [\d.]+ KB of 24.0 KB \([\d.]+ % over\)", text)


def test_one_trial_alone_is_a_whole_report() -> None:
    page = Page(lean(one_trial()))
    assert "The only model on the Pareto front." in page.text
    assert "model" in page.ids


def test_a_target_without_calibration_shows_no_cycles_and_no_zero(uncalibrated: dict[str, Any]) -> None:
    html = lean(uncalibrated)
    page = Page(html)
    assert "not known: no calibration for this target" in page.text
    assert "Share of MACs" in page.text
    assert picture_of(html)["panels"][2]["title"] == "MACs"
    assert "None" not in page.text
    assert not re.search(r"\d ms\b", page.text)


def test_missing_detail_of_the_chosen_model_is_said(summary: dict[str, Any]) -> None:
    text = Page(lean(without_matches(summary))).text
    assert "No confusion matrix was recorded." in text
    assert "None" not in text


def test_every_number_says_what_it_is(summary: dict[str, Any]) -> None:
    text = Page(lean(summary)).text
    for words in (
        "measured: the exported int8 bytes",
        "exact",
        "model exact, code calibrated",
        "calibrated, 90 % interval",
        "95 % Wilson interval",
    ):
        assert words in text


def test_tables_have_headers_and_captions_and_pictures_have_names(summary: dict[str, Any]) -> None:
    html = lean(summary)
    tables = re.findall(r"<table.*?</table>", html, re.DOTALL)
    assert len(tables) >= 6
    for table in tables:
        assert "<caption>" in table
        assert 'scope="col"' in table
    for _, attrs in Page(html).tags:
        if attrs.get("role") == "img":
            assert attrs["aria-label"]


def test_every_file_of_the_page_is_in_a_package_so_that_it_is_installed() -> None:
    files = Path(nas.report.__file__ or "").parent.rglob("*")
    for file in files:
        if file.suffix in (".j2", ".css", ".js"):
            assert (file.parent / "__init__.py").is_file()
