"""What the static site takes in a browser: python -m benchmarks.site [--rounds N] [--write].

It writes the site, opens it in Chromium with an empty cache, and measures what stands in the table of
docs/playground.md: bytes, the first stroke, the processor's time until Python is ready, that of a page with
nothing on it and of a second visit, the answer to a drawing, the digits' network in training, and the memory
of Python. Wants Pyodide's files (PURECNN_PYODIDE)
and Linux, whose /proc tells what the browser's processes have used.
"""

from __future__ import annotations

import argparse
import gzip
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import machine
from benchmarks.harness.rows import Row, keep, put_between, table
from benchmarks.harness.worker import ROOT
from docs.tools.chromium import chromium
from docs.tools.pad import draw
from docs.tools.static_server import PYODIDE, shown
from purecnn.playground.site import write_site

PAGE = ROOT / "docs" / "playground.md"
DRAWINGS = 20


def on_the_wire(folder: Path) -> float:
    """Return the megabytes that come to a reader, where the host compresses text."""
    texts = (".js", ".mjs", ".css", ".html", ".json", ".svg")
    sizes = (
        len(gzip.compress(path.read_bytes())) if path.suffix in texts else path.stat().st_size
        for path in folder.iterdir()
    )
    return sum(sizes) / 1e6


def spent() -> float:
    """Return the seconds of the processor that the browser's processes have used, those that ended too.

    They are this process's descendants but its children: Playwright's driver, which is no part of a browser.
    """
    parents, used = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended
                continue
            parents[int(folder.name)] = int(words[1])
            used[int(folder.name)] = sum(map(int, words[11:15])) / os.sysconf("SC_CLK_TCK")
    own = children = {process for process, parent in parents.items() if parent == os.getpid()}
    while more := {process for process, parent in parents.items() if parent in own} - own:
        own = own | more
    return sum(used[process] for process in own - children)


def start(page: Any, address: str) -> float:
    """Return the seconds of the processor that a browser takes from an address until Python is ready."""
    before = spent()
    page.goto(address)
    page.wait_for_selector("#loading", state="hidden")
    return spent() - before


def measure(browser: Any, address: str) -> dict[str, float]:
    """Return the figures of one visit, in a context of its own, whose cache is empty."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(300_000)  # of a busy machine
    page = context.new_page()
    page.route("**/empty.html", lambda route: route.fulfill(body="<!DOCTYPE html>", content_type="text/html"))
    before = spent()
    page.goto(f"{address}empty.html")
    empty = spent() - before
    page.close()
    page = context.new_page()
    before, begin = spent(), time.perf_counter()
    page.goto(address)
    page.wait_for_selector("#layers .layer canvas")
    found = {"empty": empty, "first stroke": time.perf_counter() - begin}
    page.wait_for_selector("#loading", state="hidden")
    found["start, wall"], found["start"] = time.perf_counter() - begin, spent() - before
    draw(page, steps=1)
    page.wait_for_selector("#verdict[data-state=sure]")
    found["drawing"] = page.evaluate(
        """async drawings => {
            const {ask} = await import('./carrier.js'), times = [];
            for (let i = 0; i < drawings; i++) {
                // a stroke down the middle, moved a little each time
                const pixels = new Uint8Array(140 * 140), left = 60 + i % 9;
                for (let row = 30; row < 110; row++) pixels.fill(255, 140 * row + left, 140 * row + 76);
                const begin = performance.now();
                await ask('draw', {side: 140, pixels: btoa(String.fromCharCode(...pixels))});
                times.push(performance.now() - begin);
            }
            return times.sort((a, b) => a - b)[drawings / 2];
        }""",
        DRAWINGS,
    )
    page.click("#tab-train")
    page.locator("input[value=digits]").check(force=True)
    if page.is_disabled("#run"):
        page.click("#begin")
        page.wait_for_selector("#run:not([disabled])")
    begin = time.perf_counter()
    page.click("#run")
    while not any(f"test {word}" in page.inner_text("#figures") for word in ("9", "100")):
        if time.perf_counter() - begin > 120:
            raise RuntimeError(f"no 90 % within two minutes: {page.inner_text('#figures')}")
        page.wait_for_timeout(20)
    found["90 %"] = time.perf_counter() - begin
    found["heap"] = page.workers[0].evaluate("python._module.HEAP8.length / 1e6")
    page.close()
    found["again"] = start(context.new_page(), address)
    context.close()
    return found


def main() -> None:
    """Measure, print, and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--site", type=Path, help="a site that was written before, by another Python say")
    parser.add_argument(
        "--write", action="store_true", help="write docs/playground.md and benchmarks/results"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = given.site or write_site(Path(folder) / "site", pyodide=PYODIDE)
        wire = on_the_wire(place)
        with shown(place) as address, chromium() as browser:
            rounds = [measure(browser, address) for _ in range(given.rounds)]

    def row(what: str, name: str, unit: str, bar: float | None = None) -> Row:
        figures = [found[name] for found in rounds]
        return Row(name, what, "", figures=figures, unit=unit, bar=bar, less_is_better=True)

    rows = [
        Row(
            "wire",
            "what comes over the wire, compressed",
            "",
            figures=[wire],
            unit="MB",
            bar=10,
            less_is_better=True,
        ),
        row("the first stroke can be drawn after", "first stroke", "s", 1),
        row("start: processor's time of the browser until Python is ready", "start", "s", 4),
        row("of that, what a page takes that is empty", "empty", "s"),
        row("the same of a second visit, with the browser's cache", "again", "s"),
        row("a drawing is answered within", "drawing", "ms", 100),
        row("the network of digits is above 90 % after", "90 %", "s", 10),
        row("memory of Python, all of that done", "heap", "MB", 200),
    ]
    print(table(rows))
    print(f"start by the clock: {statistics.median(found['start, wall'] for found in rounds):.2f} s")
    if given.write:
        words = ("FOLDER" if given.site and word == str(given.site) else word for word in sys.argv[1:])
        about = {**machine.describe(), "command": " ".join(words)}
        keep(about, {**about, "site": [one.as_json() for one in rows]}, "site")
        where = (
            f"{about['processor']}, {machine.cores()} cores; `python -m benchmarks.site {about['command']}`"
        )
        text = f"{where}, commit {about['commit']}\n\n{table(rows)}"
        put_between("<!-- site: begin -->", "<!-- site: end -->", text, PAGE)


if __name__ == "__main__":
    main()
