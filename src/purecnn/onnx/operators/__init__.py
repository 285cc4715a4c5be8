"""ONNX's operators: a function for each, by name and version, in modules by what they do.

`registry` finds an operator; it is known once its module is imported, which `runtime` does.

Imports what `purecnn.onnx` does. Begin with `registry`.
"""
