"""Graphs reduced to branches: by hand, and random ones, which must compute the same or be refused."""

from __future__ import annotations

import itertools
import time
from typing import NoReturn

import numpy as np
import pytest

from helpers.waiting import slowness
from purecnn import Branches, Dense, Identity, Residual, Tanh
from purecnn.layers.composites.nesting import MAX_DEPTH, MAX_PATHS, Meeting, Nesting, composite
from purecnn.layers.composites.prefixes import of_parts


class Refused(Exception):
    """That a value prevents it."""


class Values(Nesting):
    """A graph whose values are made by themselves, and whose steps are their names."""

    def __init__(self, last, sources, merges=None):
        merges = {name: "add" for name in sources if len(sources[name]) > 1} if merges is None else merges
        super().__init__("x", last, sources, merges)

    def refuse(self, value: str, why: str) -> NoReturn:
        raise Refused(f"{value}: {why}")

    def called(self, value: str) -> str:
        return value

    def step(self, value: str) -> str:
        return value


def told(steps):
    """Steps as lists: a merge is its name and its paths."""
    return [[step.merge, *map(told, step.paths)] if isinstance(step, Meeting) else step for step in steps]


def reduced(last, sources, merges=None):
    return told(Values(last, {name: tuple(made) for name, made in sources.items()}, merges).way(last, "x"))


def test_by_hand():
    assert reduced("x", {}) == []
    assert reduced("b", {"a": "x", "b": "a"}) == ["a", "b"]
    assert reduced("s", {"a": "x", "s": "ax"}) == [["add", ["a"], []]]
    assert reduced("s", {"s": "xx"}) == [["add", [], []]]
    # a merge of merges that part at the same value is one, of others it is not
    assert reduced("t", {"a": "x", "s": "ax", "b": "x", "t": "bs"}) == [["add", ["b"], ["a"], []]]
    assert reduced("t", {"a": "x", "b": "a", "s": "ab", "t": "sx"}) == [
        ["add", ["a", ["add", [], ["b"]]], []]
    ]
    assert reduced("t", {"a": "x", "s": "ax", "b": "s", "t": "sb"}) == [
        ["add", ["a"], []], ["add", [], ["b"]]
    ]  # fmt: skip
    # ends that have a way in common are merged first, also past others if their order is no matter
    lists = {"a": "x", "b": "x", "c": "a", "s": "abc"}
    assert reduced("s", lists) == [["add", ["a", ["add", [], ["c"]]], ["b"]]]
    lists = {"a": "x", "b": "a", "c": "a", "d": "c", "s": "bcdx"}
    assert reduced("s", lists, {"s": "concatenate"}) == [
        ["concatenate", ["a", ["concatenate", ["b"], ["c", ["concatenate", [], ["d"]]]]], []]
    ]
    merges = {"s": "mean", "t": "mean"}
    assert reduced("t", {"a": "x", "s": "ax", "t": "sx"}, merges) == [["mean", [["mean", ["a"], []]], []]]
    # one path alone is merged into itself; what leads elsewhere does not count
    assert reduced("t", {"a": "x", "s": "a", "t": "s"}, {"s": "add"}) == ["a", "t"]
    assert reduced("b", {"a": "x", "b": "a", "c": "ab", "d": "ca"}) == ["a", "b"]


def test_lists_of_all_that_was_before_are_branches_one_behind_the_other():
    sources = {"a": "x", "p": "xa", "b": "p", "q": "xab", "c": "q", "r": "xabc"}
    merges = dict.fromkeys("pqr", "concatenate")
    wanted = [["concatenate", [], [name]] for name in "abc"]
    assert reduced("r", sources, merges) == wanted
    backwards = {name: made[::-1] for name, made in sources.items()}
    assert reduced("r", backwards, merges) == [["concatenate", [name], []] for name in "abc"]
    assert reduced("r", {"p": "xx", "a": "p", "q": "xx", "b": "q", "r": "ab"}, merges) == [
        ["concatenate", [["concatenate", [], []], "a"], [["concatenate", [], []], "b"]]
    ]
    twice = {"a": "x", "p": "xa", "q": "xa", "b": "q", "r": "pb"}
    assert reduced("r", twice, merges) == [*wanted[:1], ["concatenate", [], ["b"]]]
    with pytest.raises(Refused, match="a: it is wanted by p and r, and the paths from there cross"):
        reduced("r", {"a": "x", "p": "xa", "b": "p", "r": "ab"}, dict.fromkeys("pr", "concatenate"))


def test_parts_of_lists():
    lists = {"p": "xa", "q": "xabc", "r": "bc", "s": "xabcd", "t": "xa"}
    assert of_parts({name: tuple(values) for name, values in lists.items()}) == {
        "p": ("x", "a"),
        "q": ("p", "b", "c"),
        "r": ("b", "c"),
        "s": ("q", "d"),
        "t": ("p",),
    }


def test_what_crosses_is_refused_with_the_value_that_two_paths_want():
    with pytest.raises(Refused, match=r"^a: it is wanted by s and c, .* branches must lie side by side or"):
        reduced("t", {"a": "x", "b": "x", "s": "ab", "c": "a", "t": "sc"}, {"s": "add", "t": "multiply"})
    with pytest.raises(Refused, match=r"^s: 2 of its inputs depend on the network's, and it merges none"):
        reduced("s", {"a": "x", "s": "ax"}, {})
    with pytest.raises(Refused, match=rf"^s: {MAX_PATHS + 1} paths meet in it, wanted at most {MAX_PATHS}"):
        reduced("s", {"s": "x" * (MAX_PATHS + 1)})


def nested(depth):
    """Additions of a value to what is made of it, so many deep."""
    sources = {f"c{n}": (f"c{n - 1}" if n else "x",) for n in range(depth + 1)}
    sources |= {f"a{n}": (f"a{n + 1}" if n < depth - 1 else f"c{depth}", f"c{n}") for n in range(depth)}
    return Values("a0", sources | {"y": ("a0", "x")})


def test_branches_lie_only_so_deep():
    assert len(told(nested(MAX_DEPTH - 1).way("y", "x"))) == 1
    with pytest.raises(Refused, match=f"branches lie more than {MAX_DEPTH} deep"):
        nested(MAX_DEPTH).way("y", "x")


def random_nest(rng, depth, begin, sources, merges):
    """Add a random network of branches that nest to a graph; return its last value."""
    value = begin
    for _ in range(rng.integers(0, 4)):
        name = f"v{len(sources)}"
        if depth and rng.random() < 0.6:
            count = int(rng.integers(2, 5))
            ends = [random_nest(rng, depth - 1, value, sources, merges) for _ in range(count)]
            name = f"v{len(sources)}"
            sources[name] = tuple(ends)
            merges[name] = str(rng.choice(["add", "concatenate", "mean", "maximum"]))
        else:
            sources[name] = (value,)
        value = name
    return value


def computed(value, merge, ends):
    """What a value is of those that it is made of: tuples of whole numbers."""
    if merge is None:
        return (hash((value, *ends)) % 1_000_003,)
    if merge == "concatenate":
        return tuple(itertools.chain(*ends))
    numbers = [number for end in ends for number in end]
    if merge == "maximum":
        return (max(numbers),)
    return (sum(numbers) % 1_000_003,) if merge == "add" else (hash(tuple(ends)) % 1_000_003,)


def by_graph(last, sources, merges):
    values = {"x": (7,)}
    for name, made in sources.items():
        values[name] = computed(name, merges.get(name), [values[source] for source in made])
    return values[last]


def by_steps(steps, value, met):
    for step in steps:
        if isinstance(step, Meeting):
            ends = [by_steps(path, value, met) for path in step.paths]
            value = computed(step.value, step.merge, ends)
        else:
            assert step not in met
            met.add(step)
            value = computed(step, None, [value])
    return value


def test_random_networks_of_branches_come_back():
    rng = np.random.default_rng(0)
    for _ in range(150):
        sources, merges = {}, {}
        last = random_nest(rng, 4, "x", sources, merges)
        met = set()
        steps = Values(last, sources, merges).way(last, "x")
        assert by_steps(steps, (7,), met) == by_graph(last, sources, merges)
        assert met == sources.keys() - merges.keys()


def test_random_graphs_are_refused_or_computed_alike():
    rng = np.random.default_rng(1)
    outcomes = []
    for _ in range(1500):
        sources, merges = {}, {}
        for number in range(int(rng.integers(2, 9))):
            before = ["x", *sources][-3:]
            count = int(rng.choice([1, 1, 2, 3]))
            sources[f"v{number}"] = tuple(str(rng.choice(before)) for _ in range(count))
            if count > 1:
                merges[f"v{number}"] = str(rng.choice(["add", "concatenate", "mean", "maximum"]))
        last = [*sources][-1]
        graph = Values(last, sources, merges)
        for value in graph.sources:
            assert graph.dominators.above[value] == dominator(value, graph.sources)
        try:
            steps = graph.way(last, "x")
        except Refused:
            outcomes.append(False)
            continue
        outcomes.append(True)
        assert by_steps(steps, (7,), set()) == by_graph(last, sources, merges)
    assert 300 < sum(outcomes) < 1400


def dominator(value, sources):
    """The last value that all ways from "x" lead through, found by leaving out one value after the other."""

    def reached(name, without):
        return name == "x" or (
            name != without and any(reached(source, without) for source in sources[name] if source != without)
        )

    found = [other for other in sources if other != value and not reached(value, other)]
    return max(found, key=lambda other: sum(not reached(other, name) for name in sources), default="x")


def test_a_chain_of_ten_thousand_merges_is_reduced_in_time():
    names = [f"v{n}" for n in range(10_000)]
    chain = {name: (before, "x") for before, name in itertools.pairwise(["x", *names])}
    begun = time.process_time()
    steps = Values(names[-1], chain, dict.fromkeys(names[:900], "maximum") | {names[-1]: "add"})
    with pytest.raises(Refused, match="merges none"):
        steps.way(names[-1], "x")
    ladder = {name: (before,) * 2 for before, name in itertools.pairwise(["x", *names])}
    assert len(Values(names[-1], ladder).way(names[-1], "x")) == 10_000
    assert time.process_time() - begun < 5 * slowness()


def test_what_is_made_of_paths():
    assert isinstance(composite("add", [[], [Tanh()]]), Residual)
    both = composite("add", [[Tanh()], [Dense(output_size=2)]])
    assert isinstance(both, Residual)
    assert isinstance(both.shortcut[0], Dense)
    assert isinstance(composite("add", [[], []]).layers[0], Identity)
    assert isinstance(composite("add", [[], [Tanh()], []]), Branches)
    assert composite("concatenate", [[], []]).merge == "concatenate"
