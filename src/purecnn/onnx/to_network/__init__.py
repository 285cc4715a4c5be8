"""From a graph to a network: the way through the nodes, a rule for each layer, the result.

`finder` finds the ways through it, by `activations` and `normalization` also those layers that are several
nodes, by `sizes` what is computed of shapes; `layout` says how samples lie beside the graph's. `rules` makes
layers of nodes, `signals` those of signals, `axes` and `reductions` those whose nodes name axes, and
`resampling` an upsampling of a `Resize`; `builder` puts a network together, with the file's `metadata`.
`parts` finds those of a graph that are networks, where the whole one is none.

Imports what `purecnn.onnx` does. Begin with `builder`.
"""
