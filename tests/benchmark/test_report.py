"""The report: what it says of a run, that it is one page which needs nothing else, and that it opens without errors."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from synthetic_runs import PEAK, WAVE, SyntheticRun

from sciml.benchmark.reading import read_run
from sciml.benchmark.report import build_report, write_report
from sciml.benchmark.report.blocks import Bullets, Table
from sciml.benchmark.report.results import ranking
from sciml.benchmark.report.text import count, epsilon, memory, options, plain, seconds
from sciml.benchmark.report.view import View
from sciml.errors import OutputError

SECTIONS = [
    "What was compared", "Headline", "Error–cost curves", "Time to an error", "Error within a time", "Three costs",
    "Ranking", "Roll-outs", "Frequency bands", "Quantities of interest", "Where it loses",
    "Hidden members and out of range", "Error bars", "Gates", "Failures", "What methods cannot do", "Tuning", "Provenance",
]  # fmt: skip


@pytest.fixture(scope="module")
def eventful():
    """A run with failures of several kinds, a method that cannot do a problem, and one tuned on a test."""
    synthetic = SyntheticRun().make()
    synthetic.fail("time", lambda a: a["method"] == "PINN" and a["point"]["adam"] == 8000 and a["seed"] == 13)
    synthetic.fail("diverged", lambda a: a["method"] == "PINN" and a["task"]["role"] == "out_of_range")
    keys = {a["key"] for a in synthetic.attempts(lambda a: a["method"] == "Operator" and a["task"]["problem"] == WAVE)}
    synthetic.lines = [line for line in synthetic.lines if line.get("key") not in keys]
    return synthetic


@pytest.fixture(scope="module")
def written(eventful, tmp_path_factory):
    folder = eventful.write(tmp_path_factory.mktemp("run"))
    cannot = [{"method": "Operator", "problem": WAVE, "placement": "one thread", "reason": "it knows no time"}]
    (folder / "cannot.json").write_text(json.dumps(cannot))
    html, markdown = write_report(folder)
    return folder, html.read_text(encoding="utf-8"), markdown.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def sections(written):
    view = View(read_run(written[0]))
    return {section.title: section for section in build_report(view)}


def rows(section):
    return [list(row) for block in section.blocks if isinstance(block, Table) for row in block.rows]


def said(section):
    parts = [block.items if isinstance(block, Bullets) else [getattr(block, "text", "")] for block in section.blocks]
    return "\n".join(text for part in parts for text in part)


def test_sections_in_their_order(written):
    _, html, markdown = written
    assert re.findall(r"<h2>(.*?)</h2>", html) == SECTIONS
    assert re.findall(r"^## (.*)$", markdown, flags=re.MULTILINE) == SECTIONS


def test_the_page_needs_nothing_else(written):
    _, html, _ = written
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", html)
    assert not re.search(r"@import|url\((?!#)", html)
    assert "<script" not in html
    ids = re.findall(r'<section id="(.*?)"', html)
    assert set(re.findall(r'<a href="#(.*?)"', html)) == set(ids)


class _Balance(HTMLParser):
    """Open and closed tags."""

    empty = {"meta", "link", "br", "path", "use", "rect", "image", "line", "circle"}

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.empty:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.empty:
            assert self.open.pop() == tag


def test_tags_are_balanced_and_text_is_escaped(eventful, tmp_path):
    eventful.attempts(lambda a: a["reason"] == "time")[0]["message"] = "a <b> & | c"
    html, markdown = write_report(eventful.write(tmp_path))
    page = html.read_text(encoding="utf-8")
    parser = _Balance()
    parser.feed(page)
    assert parser.open == []
    assert "a &lt;b&gt; &amp; | c" in page
    assert r"a \<b> & \| c" in markdown.read_text(encoding="utf-8")


def test_the_headline_says_who_is_first(sections):
    text = said(sections["Headline"])
    assert f"{PEAK} (2 named tasks and 1 hidden task)" in text
    assert re.search(r"Error 0\.01: FEM is first, in 11 ms; not reached by", text)
    assert "Operator is first, in at most" in text
    assert "after 4.0 min once" in text


def test_ratios_stand_only_where_curves_overlap(sections):
    table = {(row[0], row[1]): row[2:] for row in rows(sections["Time to an error"])}
    assert re.fullmatch(r"2\.1 s \[.*\] · 500×", table["sharpness = 20", "PINN"][0])
    assert table["sharpness = 20", "Operator"][0].startswith("≤ ")
    assert "×" not in table["sharpness = 20", "Operator"][0]
    assert table["sharpness = 20", "Operator"][2] == "not reached"


def test_costs_break_even_or_never(sections):
    table = {(row[0], row[1]): row for row in rows(sections["Three costs"])}
    assert table["sharpness = 20", "PINN"][4].endswith("a query, never")
    # tuning 252 − 6 s more than the baseline's, training 240 s, about 4 ms saved by each query
    queries = re.search(r"from ([\d,]+) queries", table["sharpness = 100", "Operator"][4])
    assert 100_000 < int(queries[1].replace(",", "")) < 200_000


def test_win_probabilities_fill_a_hundred(sections):
    for block in sections["Ranking"].blocks:
        if isinstance(block, Table):
            shares = [[int(cell.split()[0]) for cell in row[1:4]] for row in block.rows]
            assert all(abs(sum(column) - 100) <= 2 for column in zip(*shares))


def test_losses_of_learned_and_classical_methods(sections):
    text = said(sections["Where it loses"])
    assert "FEM (classical)" in text
    assert re.search(r"poisson/peak, sharpness = 100: error 0\.1 in 4\.\d× the time \(5\.1 ms; Operator", text)
    assert re.search(r"error 10⁻³ not reached \(FEM 26 ms\)", text)


def test_every_gate_and_every_failure_is_listed(sections, eventful):
    from sciml.benchmark.gates import GATES

    assert len({row[0] for row in rows(sections["Gates"])}) == len(GATES)
    failed = eventful.attempts(lambda a: a["reason"] is not None)
    assert sorted(row[-1] for row in rows(sections["Failures"])) == sorted(line["key"] for line in failed)
    assert "× diverged" in said(sections["Failures"])
    assert rows(sections["What methods cannot do"]) == [["Operator", WAVE, "it knows no time"]]


def test_every_cell_is_there_with_the_way_to_run_it_again(sections, written):
    run = read_run(written[0])
    listed = rows(sections["Provenance"])[len(run.sessions) :]
    assert {row[-1] for row in listed} == {row.key for row in run.rows}
    (command,) = [block.text for block in sections["Provenance"].blocks if block.kind == "code"]
    assert command == f"sciml benchmark synthetic --out {written[0].name} --rerun {run.rows[0].key}"


def test_figures_show_every_seed(written):
    """A point for each seed or repeat of each method on each task, beside medians."""
    _, html, _ = written
    figure = html[html.index("<svg") : html.index("</svg>")]
    assert figure.count("<use") > 4 * (5 * 5 + 3 * 5) - 20
    assert "FEM (baseline)" in figure


def test_unfinished_runs_say_so(tmp_path):
    synthetic = SyntheticRun().make()
    synthetic.lines = synthetic.lines[: len(synthetic.lines) // 2]
    _, markdown = write_report(synthetic.write(tmp_path))
    assert re.search(r"This run is unfinished: \d+ cells without", markdown.read_text(encoding="utf-8"))


@pytest.mark.parametrize("kept", [2, 4, 16])
def test_runs_that_have_hardly_begun(tmp_path, kept):
    synthetic = SyntheticRun(tuning={}).make()
    synthetic.lines = synthetic.lines[:kept]
    html, _ = write_report(synthetic.write(tmp_path))
    assert "This run is unfinished" in html.read_text(encoding="utf-8")


def test_a_method_that_always_fails(tmp_path):
    synthetic = SyntheticRun().make()
    synthetic.lines = [line for line in synthetic.lines if line.get("task", {}).get("problem", PEAK) == PEAK]
    failed = synthetic.fail("crashed", lambda a: a["method"] == "PINN")
    _, markdown = write_report(synthetic.write(tmp_path))
    assert f"{failed} × crashed" in markdown.read_text(encoding="utf-8")


def test_a_suite_that_ranks_nothing(tmp_path):
    synthetic = SyntheticRun()
    synthetic.suite["ranking"] = False
    view = View(read_run(synthetic.make().write(tmp_path)))
    assert said(ranking(view)) == "The suite does not rank (ranking = false)."


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(OutputError, match="holds no run of a benchmark"):
        write_report(tmp_path)


def test_the_same_run_gives_the_same_report(written, eventful, tmp_path):
    folder = eventful.write(tmp_path / written[0].name)
    first = [path.read_bytes() for path in write_report(folder)]
    assert first == [path.read_bytes() for path in write_report(folder)]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no Chromium")
def test_it_opens_without_errors_and_fits_a_phone(written, tmp_path):
    """Nothing on the console, and the page is no wider than the window: what is wide scrolls in its own box."""
    _, html, _ = written
    probe = "<script>document.title = document.documentElement.scrollWidth + '/' + window.innerWidth</script></body>"
    page = tmp_path / "probe.html"
    page.write_text(html.replace("</body>", probe), encoding="utf-8")
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
        "--v=0", f"--user-data-dir={tmp_path / 'user'}", "--window-size=500,900", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0
    assert "CONSOLE" not in done.stderr
    needed, there = map(int, re.search(r"<title>(\d+)/(\d+)</title>", done.stdout).groups())
    assert needed <= there


# -- numbers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.01234, "0.012"), (0.9996, "1.0"), (1.26e-5, "1.3·10⁻⁵"), (9.96e-4, "0.0010"), (340.4, "340"), (12345, "1.2·10⁴"),
        (0, "0"), (float("inf"), "–"), (99.6, "100"), (-0.5, "-0.50"), (7.0, "7.0"),
    ],
)  # fmt: skip
def test_two_significant_digits(value, text):
    assert plain(value) == text


def test_units():
    assert [seconds(s) for s in (2e-5, 0.0123, 1.5, 90, 600, 9000)] == [
        "20 µs",
        "12 ms",
        "1.5 s",
        "90 s",
        "10 min",
        "2.5 h",
    ]
    assert [epsilon(e) for e in (0.1, 0.01, 1e-3, 2.5e-4)] == ["0.1", "0.01", "10⁻³", "2.5·10⁻⁴"]
    assert (memory(450 * 2**20), memory(3 * 2**30)) == ("450 MiB", "3.00 GiB")
    assert (count(142_345), count(12)) == ("142,000", "12")
    assert options({"a": 0.12345, "b": [1, 2]}) == "a = 0.1235, b = 1, 2"
