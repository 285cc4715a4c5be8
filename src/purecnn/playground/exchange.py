"""Exchange of networks between a page and its reader's disk: files of strangers, opened within bounds.

No file runs code: a model's file names layers of this package, an ONNX model operators. Both may ask for any
amount of memory and time, so that what one sample takes is worked out from the shapes before anything runs.
"""

from __future__ import annotations

from purecnn.errors import FileFormatError, PureCNNError
from purecnn.layers.footprint import footprint
from purecnn.networks.files import from_bytes
from purecnn.networks.network import Network

#: Bytes of a file that may be opened: a million parameters.
MOST_FILE = 4_000_000
#: Bytes that a sample may take, and bytes that may be gone over for it: a tenth of a second, where
#: `architectures.resnet` of 20 layers goes over 53 million.
MOST_SAMPLE, MOST_COST = 1 << 25, 100_000_000
#: Layers that a page shows, those inside of others too.
MOST_LAYERS = 200


def opened(raw: bytes, name: str) -> Network:
    """Return the network of a file's bytes: a safetensors file of this package, or an ONNX model.

    Parameters
    ----------
    raw : bytes
        All of the file.
    name : str
        What it is called in errors.

    Raises
    ------
    FileFormatError
        If it is neither, damaged, or asks for more than a page may.

    Examples
    --------
    >>> from purecnn import Dense, Network
    >>> from purecnn.networks.files import to_bytes
    >>> opened(to_bytes(Network([Dense(2, 3)])), "mine").output_shape
    (3,)
    """
    if len(raw) > MOST_FILE:
        raise FileFormatError(f"{name}: {len(raw):,} bytes, wanted a model of at most {MOST_FILE:,} here")
    # A safetensors file begins with the length of its header, and that with a brace.
    network = from_bytes(raw, name, max_bytes=MOST_SAMPLE) if raw[8:9] == b"{" else of_onnx(raw, name)
    size = network.dtype.itemsize
    taken = footprint(network.layers, network.input_shape or ())
    count = sum(1 + len(layer.parts()) for layer in network.layers)
    for found, most, what in (
        (count, MOST_LAYERS, "layers"),
        (taken.memory(size), MOST_SAMPLE, "bytes for one sample"),
        (taken.cost(size), MOST_COST, "bytes to go over for one sample"),
    ):
        if found > most:
            raise FileFormatError(f"{name}: {found:,} {what}, wanted at most {most:,} here")
    return network


def of_onnx(raw: bytes, name: str) -> Network:
    """Return the network of an ONNX model; one whose arrays lie in other files is refused."""
    from purecnn.onnx.graph import Graph  # here, since few pages open one
    from purecnn.onnx.reader import as_model

    try:
        model = as_model(raw)
    except FileFormatError as error:
        raise FileFormatError(
            f"{name}: neither a model's file of purecnn nor an ONNX model of one file: it {error}"
        ) from None
    try:
        return Graph(model, max_bytes=MOST_SAMPLE).network()
    except PureCNNError as error:
        raise FileFormatError(f"{name}: {error}") from None
