"""Where a card of the page leads: the address of the documents, and of each kind of layer in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from purecnn import Dense, Network
from purecnn.layers.registry import LAYERS
from purecnn.playground.chapters import CHAPTERS, PARTS, chapters
from purecnn.playground.replies import Replies

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    "address", ["https://a.example/docs/", "http://127.0.0.1:8000/docs", "../docs", "/docs/"]
)
def test_addresses_lie_below_that_of_the_documents(address):
    found = chapters(address)
    assert found.keys() == CHAPTERS.keys() | PARTS.keys()
    assert found["Convolutional"] == f"{address.removesuffix('/')}/course/convolution.html"


@pytest.mark.parametrize(
    "address", ["", "javascript:alert(1)", "file:///docs", "a b", 'x"onclick', "data:text/html,"]
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ValueError, match="the documents' address must begin with http:// or https://, or be"):
        chapters(address)


def test_a_page_is_told_where_there_are_documents():
    network = Network([Dense(1)], input_shape=(2,))
    for documents, wanted in ((None, {}), ("../docs", chapters("../docs"))):
        status, told = Replies(network, documents=documents)("network", b"")
        assert (status, json.loads(told)["chapters"]) == (200, wanted)


def test_every_kind_of_layer_has_a_page():
    assert CHAPTERS.keys() == LAYERS.keys()


def test_the_chapters_that_cards_lead_to_lead_back():
    pages = {address.partition("#")[0] for address in CHAPTERS.values()}
    for page in (page for page in pages if page.startswith("course/")):
        chapter = (DOCS / page).with_suffix(".md").read_text(encoding="utf-8")
        assert "](../playground.md" in chapter, page
