"""ONNX: graphs of other programs read and run, turned into networks, and networks written.

`reader` checks a file, `model` orders its nodes, `runtime` computes one after the other by `operators`,
`graph` is what `load_onnx` returns, `subgraphs` has what lies within nodes. `to_network` finds layers in a
graph, `exporter` writes a network.

Imports `backend` to `networks`. Begin with `graph`, then `runtime`.
"""

from typing import TYPE_CHECKING

from purecnn.messages.lazy import lazily

if TYPE_CHECKING:
    from purecnn.onnx.exporter.writer import export_onnx as export_onnx
    from purecnn.onnx.graph import Graph as Graph
    from purecnn.onnx.graph import load_onnx as load_onnx
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        {
            "exporter.writer": "export_onnx",
            "graph": "Graph load_onnx",
        },
    )
