"""From a network to an ONNX file: nodes for each layer, and the file around them.

`writer` makes the file, `layers` has a rule for each kind of layer, `images` those for padding, pooling and
resampling, `signals` those for signals, `activations` one for each activation.

Imports what `purecnn.onnx` does. Begin with `writer`.
"""
