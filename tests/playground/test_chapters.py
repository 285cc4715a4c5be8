"""Where a card of the page leads: the address of the documents, and of each kind of layer in them."""

from __future__ import annotations

import json

import pytest

from purecnn import Dense, Network
from purecnn.playground.chapters import CHAPTERS, chapters
from purecnn.playground.lesson import LAYERS
from purecnn.playground.replies import Replies


@pytest.mark.parametrize(
    "address", ["https://a.example/docs/", "http://127.0.0.1:8000/docs", "../docs", "/docs/"]
)
def test_addresses_lie_below_that_of_the_documents(address):
    found = chapters(address)
    assert found.keys() == CHAPTERS.keys()
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


def test_every_layer_that_can_be_trained_on_the_page_has_one():
    assert LAYERS.keys() <= CHAPTERS.keys()
