"""From a graph to a network: the way through the nodes, a rule for each layer, the result.

`finder` finds the ways through it, and activations and, by `normalization`, normalizations of several nodes;
`rules` makes layers of nodes, `signals` those of signals, `resampling` an upsampling of a `Resize`; `builder`
puts a network together.

Imports what `purecnn.onnx` does. Begin with `builder`.
"""
