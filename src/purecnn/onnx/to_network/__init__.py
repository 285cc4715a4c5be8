"""From a graph to a network: the way through the nodes, a rule for each layer, the result.

`finder` finds the ways through it, and activations and, by `normalization`, normalizations of several nodes;
`rules` makes layers of nodes, `signals` those of signals, `resampling` an upsampling of a `Resize`; `builder`
puts a network together. `parts` finds those of a graph that are networks, where the whole one is none.

Imports what `purecnn.onnx` does. Begin with `builder`.
"""
