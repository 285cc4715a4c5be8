"""Models: real ONNX files, of packages and of exporters, beside onnxruntime."""
