"""The course keeps its word: each formula names its line of code, and each picture is what the code draws."""

import ast
import functools
import re
from pathlib import Path

import pytest

import purecnn
from docs.tools import branched_network
from docs.tools.course_pictures import PICTURES, main
from purecnn.datasets import mnist
from purecnn.playground.exchange import opened
from purecnn.playground.figures.table import FIGURES

ROOT = Path(__file__).parents[2]
PACKAGE = Path(purecnn.__file__).parent  # which may be an installed one (`make test-wheel`)
COURSE = ROOT / "docs" / "course"
LINK = re.compile(r"\[`([^`]+)`\]\(\.\./\.\./src/purecnn/([\w/]+)\.py\)")
FOLD = re.compile(r"<details>\n<summary>(.*?)</summary>\n(.*?)\n</details>", re.S)
#: What the engine has in its lines and a formula has not, and the words in the same note that say what for.
MACHINERY = {
    r"\bxp\.": "`xp` is NumPy",
    r"\bmodule_of\(": "`module_of(...)` is NumPy",
    r"\bout=": "`out=` has the result written into memory that is there already",
    r"\bbuffer\(|\bworkspace\b": "memory a layer keeps from step to step",
}


def in_order():
    """Return the chapters in the order of the course's index."""
    found = re.findall(r"^\d+\. \[[^\]]+\]\(([a-z-]+\.md)\)", (COURSE / "index.md").read_text("utf-8"), re.M)
    return [COURSE / name for name in found]


CHAPTERS = in_order()
every_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=[path.stem for path in CHAPTERS])


def squeezed(text):
    """Return a text with its runs of white space as one space each."""
    return " ".join(text.split())


@functools.cache
def definitions(module):
    """Return the source of each function, class and table of a module, by its name inside the module."""
    text = (PACKAGE / f"{module}.py").read_text(encoding="utf-8")
    found = {}

    def collect(body, prefix):
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                name = f"{prefix}{node.name}"
                # a function written once for each kind of layer is called _ each time
                found[name] = found.get(name, "") + squeezed(ast.get_source_segment(text, node))
                collect(node.body, f"{name}.")
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):  # a table
                found[f"{prefix}{node.target.id}"] = squeezed(ast.get_source_segment(text, node))

    collect(ast.parse(text).body, "")
    return found


def prose(path):
    """Return a chapter without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)


def notes(path):
    """Return the paragraphs that say where in the code something is."""
    quotes = re.findall(r"(?:^>.*\n?)+", prose(path), re.M)
    return [squeezed(quote.replace("\n> ", "\n").removeprefix("> ")) for quote in quotes]


def quoted(note):
    """Return what a note quotes, each with the module and the name that it is quoted from."""
    first, *rest = re.split(LINK, note)
    assert not rest or not re.findall(r"`[^`]*\b(?:return|=)\b[^`]*`", first), f"quoted from nowhere: {note}"
    found = []
    for name, module, words in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        assert name.startswith(f"{module.rpartition('/')[2]}."), f"{name} is linked to {module}.py"
        # a quotation has the spaces of a statement; lone names and signs have none
        quotes = [text for text in re.findall(r"`([^`]+)`", words) if " " in text]
        found.append((module, name.partition(".")[2], quotes))
    return found


def test_the_course_is_in_the_index_of_all_pages_in_its_order():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert re.findall(r"^course/([a-z-]+)$", index, re.M) == ["index", *(path.stem for path in CHAPTERS)]
    assert set(COURSE.glob("*.md")) == {COURSE / "index.md", *CHAPTERS}


def test_each_chapter_has_its_number_and_leads_to_the_next():
    titles = [path.read_text(encoding="utf-8").splitlines()[0] for path in CHAPTERS]
    assert [title.split(" ", 2)[1] for title in titles] == [f"{n}." for n in range(1, len(CHAPTERS) + 1)]
    for path, following, title in zip(CHAPTERS, CHAPTERS[1:], titles[1:], strict=False):
        last = path.read_text(encoding="utf-8").splitlines()[-1]
        assert last == f"Next: [{title.removeprefix('# ')}]({following.name})"


@every_chapter
def test_every_formula_names_its_line_of_code(path):
    after = re.split(r"^\$\$.*?\$\$$", prose(path), flags=re.M | re.S)[1:]
    assert after, "a chapter without a formula"
    for text in after:
        opened = re.sub(r"\A\s*<details>\n<summary>In the code: [^\n]+</summary>\n", "", text)
        assert re.match(r"\s*> In the code: ", opened), f"a formula of no line of code, before: {text[:80]!r}"


@every_chapter
def test_every_note_quotes_what_the_code_has(path):
    assert notes(path)
    for note in notes(path):
        found = quoted(note)
        assert any(quotes for _, _, quotes in found), f"quotes nothing: {note}"
        for module, name, quotes in found:
            assert name in definitions(module), f"{module}.py has no {name}"
            for quote in quotes:
                assert squeezed(quote) in definitions(module)[name], f"{module}.{name} has no {quote!r}"


@every_chapter
def test_no_line_of_a_note_begins_as_a_list_does(path):
    assert re.findall(r"^> (?:[-+*]|\d+\.) .*$", prose(path), re.M) == []


def machinery(note):
    """Return which parts of the engine a note quotes."""
    code = " ".join(re.findall(r"`([^`]+)`", re.sub("|".join(MACHINERY.values()), "", note)))
    return [pattern for pattern in MACHINERY if re.search(pattern, code)]


@every_chapter
def test_what_the_engine_needs_lies_in_a_fold_that_says_what_it_is_for(path):
    folded = [squeezed(re.sub(r"^> ?", "", inner, flags=re.M)) for _, inner in FOLD.findall(prose(path))]
    for note in notes(path):
        if found := machinery(note):
            assert note in folded, f"not folded: {note}"
            assert [MACHINERY[pattern] for pattern in found if MACHINERY[pattern] not in note] == [], note


def test_the_first_chapter_needs_no_machinery_and_no_fold_but_for_its_answers():
    assert [note for note in notes(CHAPTERS[0]) if machinery(note)] == []
    assert [title for title, _ in FOLD.findall(prose(CHAPTERS[0]))] == ["Answers"]


@every_chapter
def test_a_fold_of_code_names_what_it_quotes(path):
    for title, inner in FOLD.findall(prose(path)):
        if title != "Answers":
            names = list(dict.fromkeys(name for name, _ in LINK.findall(inner)))
            assert title == "In the code: " + ", ".join(f"<code>{name}</code>" for name in names)


@every_chapter
def test_every_link_into_the_code_names_what_is_there(path):
    for name, module in LINK.findall(prose(path)):
        assert name.partition(".")[2] in {*definitions(module), module}, name


@every_chapter
def test_there_are_exercises_with_as_many_answers(path):
    _, exercises = prose(path).split("\n## Exercises\n")
    tasks, answers = exercises.split("<summary>Answers</summary>")
    numbers = [re.findall(r"^(\d)\. ", part, re.M) for part in (tasks, answers)]
    assert numbers[0] == numbers[1]
    assert 2 <= len(numbers[0]) <= 4


@every_chapter
def test_each_answer_has_a_block_that_prints_it(path):
    _, answers = path.read_text(encoding="utf-8").split("<summary>Answers</summary>")
    parts = re.split(r"^(?=\d\. )", answers.partition("</details>")[0], flags=re.M)[1:]
    block = re.compile(r"^```python\n.*?^```\n\n```text\n", re.M | re.S)
    assert [part[:40] for part in parts if not block.search(part)] == []


def test_the_table_of_networks_says_what_its_block_prints_and_is_built_by_what_it_names(capsys):
    text = (COURSE / "from-xor-to-resnet.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.*\|$", text, re.M)
    ]
    block = re.search(r"^```python\n(.*?)^```$", text, re.M | re.S)[1]
    made = {}
    exec(block, made)
    printed = [re.split(r"\s{2,}|\s(?=\d)", line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 2 + len(printed)
    for (called, *sizes, _, _), shown in zip(rows[2:], printed, strict=True):
        name, _, line = called.partition(",")
        assert [name, *sizes] == [cell for cell in shown if cell]
        built = eval(re.search(r"`(.+)`", line)[1], made)
        assert (name, str(built.summary())) == (name, str(made["networks"][name].summary()))


@every_chapter
def test_every_block_of_code_is_one_that_the_tests_run(path):
    fences = re.findall(r"^(\s*)```(\w+)$", path.read_text(encoding="utf-8"), re.M)
    assert [fence for fence in fences if fence[0].strip("\n")] == [], "an indented block is not run"
    assert {language for _, language in fences} <= {"python", "text", "console"}


def test_every_picture_is_what_the_code_draws():
    number = re.compile(r"-?\d+(?:\.\d+)?")
    for name, made in PICTURES.items():
        new, kept = str(made()), (COURSE / "pictures" / f"{name}.svg").read_text(encoding="utf-8")
        hint = f"{name}.svg is not what its function draws: run python -m docs.tools.course_pictures"
        assert number.sub("#", new) == number.sub("#", kept), hint
        # a coordinate may be rounded the other way on another machine
        assert [float(n) for n in number.findall(new)] == pytest.approx(
            [float(n) for n in number.findall(kept)], abs=0.11
        ), hint


def test_every_picture_is_shown_and_described():
    shown = {}
    for path in (COURSE / "index.md", *CHAPTERS):
        text = path.read_text(encoding="utf-8")
        shown.update(
            {name: alt for alt, name in re.findall(r"!\[([^\]]*)\]\(pictures/([\w-]+)\.svg\)", text)}
        )
    assert set(shown) == set(PICTURES) == {path.stem for path in (COURSE / "pictures").glob("*")}
    assert [name for name, alt in shown.items() if len(alt) < 40] == []


@every_chapter
def test_each_chapter_has_a_figure_that_may_be_live(path):
    shown = re.findall(r"\]\(pictures/([\w-]+)\.svg\)", path.read_text(encoding="utf-8"))
    assert set(shown) & set(FIGURES)


def test_the_pictures_are_written_where_one_asks_for_them(tmp_path):
    main(tmp_path / "new")
    assert {path.stem for path in (tmp_path / "new").iterdir()} == set(PICTURES)


def test_the_network_that_the_course_hands_out_is_what_it_says_and_opens_on_the_page():
    text = (COURSE / "residuals.md").read_text(encoding="utf-8")
    size, right = re.search(
        r"\(branched\.safetensors\), (\d+) kB, .* reads (\S+) % of the test digits", text
    ).groups()
    raw = branched_network.PLACE.read_bytes()
    assert round(len(raw) / 1000) == int(size)
    network = opened(raw, "branched.safetensors")
    made = branched_network.network()
    assert str(network.summary()) == str(made.summary())
    told, wanted = network.preprocessing, made.preprocessing
    assert (told.classes, told.preparation) == (wanted.classes, wanted.preparation)
    _, (x, y) = mnist.load_data()
    assert 100 * network.evaluate(x, y)["accuracy"] == pytest.approx(float(right), abs=0.1)
