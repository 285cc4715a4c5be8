"""ONNX's operators of quantized networks: numbers as bytes with a scale and a zero point.

`quantization` has the standard's, `microsoft` onnxruntime's own, `whole_numbers` the products of bytes.

Imports what `purecnn.onnx` does. Begin with `quantization`.
"""
