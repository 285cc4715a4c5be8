"""The pages that `make docs` builds: without a warning, with every public name, and readable offline."""

import functools
import html
import os
import re
import subprocess
import sys
import zlib
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from inspect import ismodule
from pathlib import Path
from types import SimpleNamespace

import pytest

import purecnn
from docs.tools.formula_font import RANGES
from purecnn.playground.chapters import CHAPTERS
from purecnn.playground.figures.table import FIGURES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
STILL = "The figures of the course stay still:"
PAGES = sorted(path for kind in ("*.md", "*.rst") for path in DOCS.rglob(kind))


def extension(name):
    """Return one of the modules that Sphinx is extended by."""
    spec = spec_from_file_location(name, DOCS / "tools" / "extensions" / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def documented():
    """Return every package whose names a page of the reference tells."""
    found = []
    for path in (DOCS / "reference").glob("*.rst"):
        found += re.findall(r"^\.\. names:: (\S+)$", path.read_text(encoding="utf-8"), re.M)
    return found


def borders():
    """Return the packages that have public names which are no packages."""
    root = Path(purecnn.__file__).parent
    names = [".".join(path.parent.relative_to(root).parts) for path in root.rglob("__init__.py")]
    found = {name: import_module(f"purecnn.{name}") for name in names if name}
    return {
        name
        for name, module in found.items()
        if any(not ismodule(getattr(module, one)) for one in getattr(module, "__all__", ()))
    } | {"errors", "optimizers.schedules"}


def test_the_reference_has_every_package_with_public_names():
    assert borders() - set(documented()) == {"playground", "cli"}  # which are a program, and not imported


def test_the_reference_has_each_package_once_and_the_activations_apart():
    names = documented()
    assert sorted({name for name in names if names.count(name) > 1}) == ["layers"]


def test_no_two_pages_that_are_read_have_one_title_in_the_sidebar():
    lines = [path.read_text(encoding="utf-8").splitlines()[0] for path in PAGES if path.suffix == ".md"]
    titles = [re.sub(r"^# (?:\d+\. )?", "", line) for line in lines]
    assert sorted({title for title in titles if titles.count(title) > 1}) == []


def test_how_do_i_answers_each_question_by_lines_that_run_and_a_link():
    contents, *answers = re.split(r"^### ", (DOCS / "guides" / "how-do-i.md").read_text("utf-8"), flags=re.M)
    questions = [answer.splitlines()[0] for answer in answers]
    assert len(questions) >= 40
    assert re.findall(r"^\[([^\]]+)\]\(#", contents, re.M) == questions
    for question, answer in zip(questions, answers, strict=True):
        blocks = re.findall(r"^```python\n(.*?)^```$", answer, re.M | re.S)
        assert len(blocks) == 1, question
        assert len([line for line in blocks[0].splitlines() if line]) <= 15, question
        assert re.search(r"^More: \[[^\]]+\]\(", answer, re.M), question
        assert not re.match(r".*\n\n```", answer), f"not a sentence on: {question}"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The pages, built as `make docs` builds them, but all of them anew."""
    pytest.importorskip("sphinx", reason="the pages want the extra docs")
    folder = tmp_path_factory.mktemp("docs")
    flags = ["--quiet", "--nitpicky", "--fail-on-warning", "--keep-going", "--fresh-env"]
    run = subprocess.run(
        [sys.executable, "-m", "sphinx", *flags, str(DOCS), str(folder)],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PURECNN_PYODIDE": str(folder / "none"),
            "PURECNN_SITE": "",
        },  # packing it takes five seconds
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == f"{STILL} there is no Pyodide in {folder / 'none'} (PURECNN_PYODIDE)\n"
    return folder


def test_make_docs_builds_as_this_test_does():
    line = re.search(r"sphinx-build (.*) docs build/docs", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert line[1] == "--quiet --nitpicky --fail-on-warning --keep-going"


def test_the_pages_build_without_a_warning_and_each_document_has_one(built):
    pages = [path.relative_to(DOCS).with_suffix(".html") for path in PAGES]
    assert [page for page in pages if not (built / page).exists()] == []


def test_every_public_name_can_be_linked_to(built):
    _, _, _, _, packed = (built / "objects.inv").read_bytes().split(b"\n", 4)  # four lines, then zlib
    known = {line.split()[0] for line in zlib.decompress(packed).decode().splitlines() if " py:" in line}
    for package in borders() - {"playground", "cli"}:
        module = import_module(f"purecnn.{package}")
        things = [name for name in module.__all__ if not ismodule(getattr(module, name))]
        assert [name for name in things if f"purecnn.{package}.{name}" not in known] == []
    assert {"purecnn.networks.Network.fit", "purecnn.kernels.conv2d_backward", "purecnn.metrics.f1"} <= known


def test_every_command_is_in_the_reference(built):
    pytest.importorskip("sphinx_click")
    from purecnn.cli.app import purecnn as group

    page = (built / "reference" / "command-line.html").read_text(encoding="utf-8")
    assert [name for name in group.commands if f'id="purecnn-{name}"' not in page] == []


def test_the_pages_load_nothing_from_elsewhere(built):
    loads = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=["']((?:https?:)?//[^"']+)""")
    found = {page.name: loads.findall(page.read_text(encoding="utf-8")) for page in built.rglob("*.html")}
    assert {page: links for page, links in found.items() if links} == {}
    for style in built.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"url\(\s*[\"']?(?:https?:)?//|@import", text), style


def test_the_links_between_the_pages_lead_somewhere(built):
    @functools.cache
    def anchors(page):
        return set(re.findall(r'id="([^"]+)"', page.read_text(encoding="utf-8")))

    broken = set()
    for page in built.rglob("*.html"):
        text = re.sub(r"<pre>.*?</pre>", "", page.read_text(encoding="utf-8"), flags=re.S)
        for link in re.findall(r'<a\b[^>]*?href="([^"]+)"', text):
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = link.partition("#")
            aim = Path(os.path.normpath(page.parent / path)) if path else page
            if not aim.exists() or (anchor and anchor not in anchors(aim)):
                broken.add((page.name, link))
    assert broken == set()


def test_what_the_pages_load_lies_beside_them(built):
    loads = re.compile(r"""<(?:script|link|img)\b[^>]*?\s(?:src|href)=["']([^"'?#]+)""")
    missing, found = set(), set()
    for page in built.rglob("*.html"):
        for name in loads.findall(page.read_text(encoding="utf-8")):
            found.add(Path(name).name)
            if not (page.parent / name).exists() and not name.startswith(("data:", "#")):
                missing.add((page.name, name))
    assert missing == set()
    assert {"sidebar.js", "figures.css", "icon.svg"} <= found


def test_formulas_are_set_in_a_font_that_has_their_letters(built):
    static = built / "_static"
    assert "stix-two-math.woff2" in (static / "formulas.css").read_text(encoding="utf-8")
    assert (static / "stix-two-math.woff2").stat().st_size > 40_000
    assert "SIL OPEN FONT LICENSE" in (static / "OFL.txt").read_text(encoding="utf-8")
    known = {chr(code) for first, last in RANGES for code in range(first, last + 1)}
    for page in built.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for formula in re.findall(r"<math\b.*?</math>", text, re.S):
            letters = html.unescape(re.sub(r"<[^>]+>", "", formula))
            assert set(letters) <= known, f"{page.name} wants another letter in docs/tools/formula_font.py"


@pytest.mark.parametrize(
    ("formula", "piece"),
    [
        (r"L = -\ln p", '<mo form="prefix">&#x02212;</mo><mi>ln</mi><mspace width="0.1667em"/><mi>p</mi>'),
        (r"y_i \ln p", '<mi>i</mi></msub><mspace width="0.1667em"/><mi>ln</mi><mspace'),
        (r"a - b", "<mi>a</mi><mo>&#x02212;</mo><mi>b</mi>"),
        (r"\overline{g x}", '</mrow><mo accent="true">_</mo></mover>'),
        (r"\ln(p)", '<mi>ln</mi><mo stretchy="false">'),
    ],
)
def test_formulas_are_spaced_as_tex_does(formula, piece):
    pytest.importorskip("latex2mathml")
    assert piece in extension("mathml").written(formula)


def test_a_name_in_a_text_leads_to_the_reference(built):
    page = (built / "measuring.html").read_text(encoding="utf-8")
    assert 'href="reference/callbacks.html#purecnn.callbacks.CSVLog"' in page
    assert "../_modules/purecnn/layers/base.html" in (built / "guides" / "customizing.html").read_text(
        encoding="utf-8"
    )


def test_the_pictures_that_may_be_live_have_their_names_and_stay_still_without_what_they_run(built):
    pages = [path.read_text(encoding="utf-8") for path in (built / "course").glob("*.html")]
    names = re.findall(r'<img[^>]*class="live-figure" id="figure-([\w-]+)"', "".join(pages))
    assert sorted(names) == sorted(FIGURES)
    assert not [page for page in pages if "figures.js" in page]
    assert not (built / "_static" / "playground").exists()


def test_beside_the_pages_lies_what_the_live_figures_run(tmp_path, monkeypatch):
    nodes = pytest.importorskip("docutils.nodes")
    live, written, scripts = extension("live"), [], []
    monkeypatch.delenv("PURECNN_SITE", raising=False)
    monkeypatch.setattr(live, "PYODIDE", tmp_path)
    monkeypatch.setattr(live, "write_site", lambda *where, **how: written.append((*where, how)))
    assert live.site_address() == ""
    (tmp_path / "pyodide.mjs").write_text("")
    app = SimpleNamespace(
        outdir=tmp_path / "pages",
        builder=SimpleNamespace(format="html"),
        config=SimpleNamespace(live_site=live.site_address()),
        add_js_file=lambda name, **how: scripts.append(name),
    )
    live.write_runtime(app)
    site = tmp_path / "pages/_static/playground"
    assert written == [(site, {"pyodide": tmp_path, "documents": "../../"})]
    picture, other = (nodes.image(uri=f"course/pictures/{name}.svg") for name in ("pooling", "validation"))
    for page in (picture, other):
        live.name_pictures(app, page, "course/pooling")
        live.add_script(app, "course/pooling", "page.html", {}, page)
    assert scripts == ["playground/figures.js"]
    assert (picture["ids"], other["ids"]) == (["figure-pooling"], [])
    site.mkdir(parents=True)
    (site / "site.json").write_text("{}")
    live.write_runtime(app)  # nothing has changed since
    os.utime(site / "site.json", (0, 0))
    live.write_runtime(app)
    assert len(written) == 2
    monkeypatch.setenv("PURECNN_SITE", "../site")
    app.config.live_site = live.site_address()
    live.write_runtime(app)
    live.add_script(app, "course/pooling", "page.html", {}, picture)
    assert scripts[1:] == ["../../site/figures.js"]
    assert len(written) == 2


@pytest.mark.parametrize(
    ("site", "page", "uri"),
    [
        ("..", "course/pooling", "../../index.html#train?data=xor"),
        ("_static/playground", "course/pooling", "../_static/playground/index.html#train?data=xor"),
        ("..", "index", "../index.html#train?data=xor"),
    ],
)
def test_a_link_to_the_playground_opened_somewhere_leads_to_the_page_where_there_is_one(site, page, uri):
    pytest.importorskip("sphinx")
    from docutils.utils import new_document
    from sphinx.addnodes import pending_xref

    live, document = extension("live"), new_document(page)
    config = SimpleNamespace(live_site=site)
    document.settings.env = SimpleNamespace(docname=page, config=config)

    def added(target, opened):
        link = pending_xref("", reftarget=target, reftargetid=opened)
        document.append(link)
        return link

    others = [added("playground", "training"), added("playground", None), added("engine", "draw")]
    added("playground", "train?data=xor")
    live.PageLinks(document).apply()
    assert document.children[:3] == others
    assert document.children[3]["refuri"] == uri
    config.live_site = ""
    link = added("playground", "draw")
    live.PageLinks(document).apply()
    assert (document.children[4], link["reftargetid"]) == (link, None)


def test_without_the_page_its_links_lead_to_what_is_told_of_it(built):
    page = (built / "course" / "overfitting.html").read_text(encoding="utf-8")
    assert page.count('href="../playground.html"') == 6 + 1  # of the list of all pages
    assert "#train?" in page  # which one can put behind an address


def test_each_kind_of_layer_has_a_page_that_explains_it(built):
    for kind, address in CHAPTERS.items():
        page, _, anchor = address.partition("#")
        text = (built / page).read_text(encoding="utf-8")
        assert kind in text, f"{page} does not tell of {kind}"
        assert not anchor or f'id="{anchor}"' in text, f"{page} has no {anchor}"
