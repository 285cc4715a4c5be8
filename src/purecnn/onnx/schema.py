"""The ONNX schema: messages of onnx.proto and its constants.

What the numbers in an ONNX file mean: the messages of onnx.proto that a network needs, and its constants.

Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, version 3 of the format, and
https://onnx.ai/onnx/intro/concepts.html. Fields that are left out here are passed over by the reader.
"""

from __future__ import annotations

import numpy as np

from purecnn.formats.protobuf import Field

SCHEMA: dict[str, dict[int, Field]] = {
    "ModelProto": {
        1: Field("ir_version", "integer"),
        2: Field("producer_name", "text"),
        3: Field("producer_version", "text"),
        4: Field("domain", "text"),
        5: Field("model_version", "integer"),
        6: Field("doc_string", "text"),
        7: Field("graph", "GraphProto"),
        8: Field("opset_import", "OperatorSetIdProto", repeated=True),
        14: Field("metadata_props", "StringStringEntryProto", repeated=True),
        25: Field("functions", "bytes", repeated=True),
    },
    "OperatorSetIdProto": {1: Field("domain", "text"), 2: Field("version", "integer")},
    "StringStringEntryProto": {1: Field("key", "text"), 2: Field("value", "text")},
    "GraphProto": {
        1: Field("node", "NodeProto", repeated=True),
        2: Field("name", "text"),
        5: Field("initializer", "TensorProto", repeated=True),
        10: Field("doc_string", "text"),
        11: Field("input", "ValueInfoProto", repeated=True),
        12: Field("output", "ValueInfoProto", repeated=True),
        13: Field("value_info", "ValueInfoProto", repeated=True),
        15: Field("sparse_initializer", "bytes", repeated=True),
    },
    "NodeProto": {
        1: Field("input", "text", repeated=True),
        2: Field("output", "text", repeated=True),
        3: Field("name", "text"),
        4: Field("op_type", "text"),
        5: Field("attribute", "AttributeProto", repeated=True),
        6: Field("doc_string", "text"),
        7: Field("domain", "text"),
    },
    "AttributeProto": {
        1: Field("name", "text"),
        2: Field("f", "float"),
        3: Field("i", "integer"),
        4: Field("s", "bytes"),
        5: Field("t", "TensorProto"),
        6: Field("g", "GraphProto"),
        7: Field("floats", "float", repeated=True),
        8: Field("ints", "integer", repeated=True),
        9: Field("strings", "bytes", repeated=True),
        20: Field("type", "integer"),
        21: Field("ref_attr_name", "text"),
    },
    "TensorProto": {
        1: Field("dims", "integer", repeated=True),
        2: Field("data_type", "integer"),
        3: Field("segment", "bytes"),
        4: Field("float_data", "float", repeated=True),
        5: Field("int32_data", "integer", repeated=True),
        6: Field("string_data", "bytes", repeated=True),
        7: Field("int64_data", "integer", repeated=True),
        8: Field("name", "text"),
        9: Field("raw_data", "bytes"),
        10: Field("double_data", "double", repeated=True),
        11: Field("uint64_data", "unsigned", repeated=True),
        13: Field("external_data", "StringStringEntryProto", repeated=True),
        14: Field("data_location", "integer"),
    },
    "ValueInfoProto": {1: Field("name", "text"), 2: Field("type", "TypeProto")},
    "TypeProto": {
        1: Field("tensor_type", "TensorTypeProto"),
        4: Field("sequence_type", "SequenceTypeProto"),
        5: Field("map_type", "bytes"),
        8: Field("sparse_tensor_type", "bytes"),
        9: Field("optional_type", "bytes"),
    },
    "SequenceTypeProto": {1: Field("elem_type", "TypeProto")},
    "TensorTypeProto": {1: Field("elem_type", "integer"), 2: Field("shape", "TensorShapeProto")},
    "TensorShapeProto": {1: Field("dim", "DimensionProto", repeated=True)},
    "DimensionProto": {1: Field("dim_value", "integer"), 2: Field("dim_param", "text")},
}


#: Kinds of attributes by the number of `AttributeProto.type`, and the field that holds each.
ATTRIBUTES = {1: "f", 2: "i", 3: "s", 4: "t", 5: "g", 6: "floats", 7: "ints", 8: "strings"}


#: Kinds of elements by the number of `TensorProto.data_type`, those that NumPy has. Texts are Python's `str`.
DTYPES = {
    1: np.dtype(np.float32),
    2: np.dtype(np.uint8),
    3: np.dtype(np.int8),
    4: np.dtype(np.uint16),
    5: np.dtype(np.int16),
    6: np.dtype(np.int32),
    7: np.dtype(np.int64),
    8: np.dtype(np.object_),
    9: np.dtype(np.bool_),
    10: np.dtype(np.float16),
    11: np.dtype(np.float64),
    12: np.dtype(np.uint32),
    13: np.dtype(np.uint64),
}
