"""Layers: what Keras and PyTorch call them, and what they are called here.

By topic, the usual ones first; a layer's arguments are in `arguments`.
"""

from purecnn.messages.words.row import Row

CONVOLUTIONS = (
    Row(
        "Convolutional", "Conv2D Convolution2D", "Conv2d LazyConv2d", "Convolutional(kernel_size=3, depth=32)"
    ),
    Row("Dense", "Dense", "Linear LazyLinear", "Dense(10), the number of outputs"),
    Row("DepthwiseConvolutional", "DepthwiseConv2D", "", "DepthwiseConvolutional(kernel_size=3)"),
    Row(
        "SeparableConvolutional",
        "SeparableConv2D SeparableConvolution2D",
        "",
        "SeparableConvolutional(kernel_size=3, depth=32)",
    ),
    Row(
        "TransposedConvolutional",
        "Conv2DTranspose Convolution2DTranspose",
        "ConvTranspose2d LazyConvTranspose2d",
        "TransposedConvolutional(kernel_size=4, depth=32, stride=2, padding=1)",
    ),
)
POOLINGS = (
    Row("MaxPooling", "MaxPooling2D MaxPool2D", "MaxPool2d", "MaxPooling(2)"),
    Row("AveragePooling", "AveragePooling2D AvgPool2D", "AvgPool2d", "AveragePooling(2)"),
    Row("GlobalAveragePooling", "GlobalAveragePooling2D GlobalAvgPool2D", "", "it gives vectors"),
    Row("GlobalMaxPooling", "GlobalMaxPooling2D GlobalMaxPool2D", "", "it gives vectors"),
    Row(
        "AdaptiveAveragePooling",
        "AdaptiveAveragePooling2D",
        "AdaptiveAvgPool2d",
        "AdaptiveAveragePooling(7); GlobalAveragePooling is AdaptiveAvgPool2d(1) with a Flatten behind it",
    ),
    Row("AdaptiveMaxPooling", "AdaptiveMaxPooling2D", "AdaptiveMaxPool2d", "AdaptiveMaxPooling(7)"),
)
NORMALIZATIONS = (
    Row(
        "BatchNormalization",
        "BatchNormalization",
        "BatchNorm2d BatchNorm1d LazyBatchNorm2d LazyBatchNorm1d SyncBatchNorm",
        "its momentum is the share of the new, as PyTorch's: 0.1 where Keras says 0.9",
    ),
    Row(
        "LayerNormalization",
        "LayerNormalization",
        "LayerNorm",
        'LayerNormalization() over the channels, LayerNormalization("sample") over all of a sample',
    ),
    Row(
        "GroupNormalization",
        "GroupNormalization",
        "GroupNorm InstanceNorm2d InstanceNorm1d LazyInstanceNorm2d LazyInstanceNorm1d",
        "GroupNormalization(8), with as many groups as channels for instance normalization",
    ),
)
DROPOUTS = (
    Row("Dropout", "Dropout", "Dropout"),
    Row("SpatialDropout", "SpatialDropout2D SpatialDropout1D", "Dropout2d Dropout1d", "whole maps"),
    Row(
        "StochasticDepth",
        "DropPath",
        "StochasticDepth DropPath stochastic_depth",
        "the last of a residual's layers: Residual([*layers, StochasticDepth(0.2)])",
    ),
    Row("GaussianNoise", "GaussianNoise", "GaussianNoise"),
)
SHAPES = (
    Row("Flatten", "Flatten", "Flatten"),
    Row("Reshape", "Reshape", "Unflatten", "Reshape(input_shape, output_shape)"),
    Row("ZeroPadding", "ZeroPadding2D", "ZeroPad2d"),
    Row("ReflectionPadding", "", "ReflectionPad2d"),
    Row("ReplicationPadding", "", "ReplicationPad2d"),
    Row("Cropping", "Cropping2D", ""),
    Row(
        "UpSampling",
        "UpSampling2D",
        "Upsample UpsamplingNearest2d UpsamplingBilinear2d",
        'UpSampling(2), or UpSampling(2, "bilinear")',
    ),
    Row("DepthToSpace", "depth_to_space", "PixelShuffle", 'DepthToSpace(2), or DepthToSpace(2, "DCR")'),
    Row("ChannelShuffle", "", "ChannelShuffle"),
)
COMPOSITES = (
    Row(
        "Network",
        "Sequential Model Functional",
        "Sequential Module ModuleList ModuleDict Container",
        "Network([layer, layer, ...])",
    ),
    Row("Residual", "Add", "", "Residual([layers]) adds its input to what its layers make of it"),
    Row(
        "Branches",
        "Concatenate Multiply Maximum Average",
        "",
        'Branches([layers], [layers], merge="multiply")',
    ),
    Row("Layer", "Layer Lambda Wrapper", "", "derive from it, and write forward and backward"),
)
ACTIVATIONS = (
    Row("ReLU", "ReLU", "ReLU"),
    Row("Softmax", "Softmax", "Softmax Softmax2d", "over the channels of maps"),
    Row("Sigmoid", "", "Sigmoid", "behind a last Dense of one output, or of several labels"),
    Row("LogSoftmax", "log_softmax", "LogSoftmax", '"softmax_cross_entropy" is the loss behind it'),
    Row("LeakyReLU", "LeakyReLU", "LeakyReLU", "LeakyReLU(0.01), where Keras has 0.3"),
    Row("PReLU", "PReLU", "PReLU", "PReLU(per_channel=True)"),
    Row("ReLU6", "", "ReLU6"),
    Row("ELU", "ELU", "ELU"),
    Row("SELU", "", "SELU"),
    Row("GELU", "", "GELU", 'GELU("tanh") is the approximation'),
    Row("SiLU", "Swish", "SiLU"),
    Row("Mish", "", "Mish"),
    Row("HardSwish", "HardSilu", "Hardswish"),
    Row("HardSigmoid", "HardSigmoid", "Hardsigmoid"),
    Row("Tanh", "", "Tanh"),
    Row("Softplus", "", "Softplus"),
    Row("Softsign", "", "Softsign"),
    Row("Identity", "Identity", "Identity"),
    Row(
        "Activation",
        "Activation",
        "",
        "a function and its derivative: Activation(np.sin, np.cos); those with a name are layers, as Tanh()",
    ),
)
SIGNALS = (
    Row(
        "Convolutional1D", "Conv1D Convolution1D", "Conv1d LazyConv1d", "channels first; kernels as PyTorch's"
    ),
    Row("DepthwiseConvolutional1D", "DepthwiseConv1D", "", "DepthwiseConvolutional1D(kernel_size=3)"),
    Row("MaxPooling1D", "MaxPooling1D MaxPool1D", "MaxPool1d", "MaxPooling1D(2)"),
    Row("AveragePooling1D", "AveragePooling1D AvgPool1D", "AvgPool1d", "AveragePooling1D(2)"),
    Row(
        "GlobalAveragePooling1D",
        "GlobalAveragePooling1D GlobalAvgPool1D",
        "",
        "it gives vectors; PyTorch's AdaptiveAvgPool1d(1) with a Flatten behind it",
    ),
    Row("GlobalMaxPooling1D", "GlobalMaxPooling1D GlobalMaxPool1D", "", "it gives vectors"),
    Row("ZeroPadding1D", "ZeroPadding1D", "ZeroPad1d", "ZeroPadding1D((2, 0)), before and behind"),
)
#: All of them by topic, as the guide shows them.
LAYER_TABLES = {
    "convolutions": CONVOLUTIONS,
    "poolings": POOLINGS,
    "activations": ACTIVATIONS,
    "normalizations": NORMALIZATIONS,
    "dropouts": DROPOUTS,
    "shapes": SHAPES,
    "composites": COMPOSITES,
    "signals": SIGNALS,
}
#: Layers and the network.
LAYERS = tuple(row for rows in LAYER_TABLES.values() for row in rows)
