"""Every layer over odd geometries, each with the shape of a sample."""

import copy

import numpy as np

from purecnn import (
    ELU,
    GELU,
    SELU,
    Activation,
    AdaptiveAveragePooling,
    AdaptiveMaxPooling,
    AveragePooling,
    AveragePooling1D,
    BatchNormalization,
    Branches,
    ChannelShuffle,
    Convolutional,
    Convolutional1D,
    Cropping,
    Dense,
    DepthToSpace,
    DepthwiseConvolutional,
    DepthwiseConvolutional1D,
    Dropout,
    Flatten,
    GaussianNoise,
    GlobalAveragePooling,
    GlobalAveragePooling1D,
    GlobalMaxPooling,
    GlobalMaxPooling1D,
    GroupNormalization,
    HardSigmoid,
    HardSwish,
    Identity,
    LayerNormalization,
    LeakyReLU,
    LogSoftmax,
    MaxPooling,
    MaxPooling1D,
    Mish,
    PReLU,
    ReflectionPadding,
    ReLU,
    ReLU6,
    ReplicationPadding,
    Reshape,
    Residual,
    SeparableConvolutional,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    SpatialDropout,
    StochasticDepth,
    Tanh,
    TransposedConvolutional,
    UpSampling,
    ZeroPadding,
    ZeroPadding1D,
)

#: A new layer is added here, over odd geometries; where it is made with sizes, they say the shape.
EVERY = {
    "convolution": (Convolutional(kernel_size=3, depth=4), (2, 6, 7)),
    "convolution, stride does not tile": (Convolutional(kernel_size=2, depth=2, stride=(2, 3)), (2, 7, 9)),
    "convolution, stride skips pixels": (Convolutional(kernel_size=1, depth=2, stride=3), (2, 6, 8)),
    "convolution 1x1": (Convolutional(kernel_size=1, depth=3), (2, 4, 5)),
    "convolution, kernel as large as the image": (Convolutional(kernel_size=(4, 5), depth=2), (2, 4, 5)),
    "convolution, non-square": (Convolutional(kernel_size=(1, 4), depth=2, stride=(2, 1)), (1, 5, 7)),
    "convolution, same": (Convolutional(kernel_size=(3, 4), depth=2, padding="same"), (2, 5, 4)),
    "convolution, same and stride": (
        Convolutional(kernel_size=3, depth=2, stride=2, padding="same"),
        (1, 6, 5),
    ),
    "convolution, wide padding": (Convolutional(kernel_size=2, depth=2, padding=(3, 2)), (2, 3, 4)),
    "convolution, wide padding and stride": (
        Convolutional(kernel_size=2, depth=2, stride=3, padding=3),
        (1, 4, 5),
    ),
    "convolution, kernel larger than the image": (
        Convolutional(kernel_size=4, depth=2, padding=2),
        (1, 2, 3),
    ),
    "convolution, bias per position": (
        Convolutional(kernel_size=3, depth=2, per_position_bias=True),
        (2, 4, 5),
    ),
    "convolution without biases": (Convolutional(kernel_size=3, depth=2, bias=False), (2, 4, 5)),
    "convolution, one of all": (Convolutional(kernel_size=1, depth=1), (1, 1, 1)),
    "max pooling": (MaxPooling(2), (2, 4, 6)),
    "max pooling, does not tile": (MaxPooling(2), (2, 5, 7)),
    "max pooling, overlapping": (MaxPooling(3, stride=2), (2, 7, 6)),
    "max pooling, stride skips pixels": (MaxPooling(2, stride=3), (1, 7, 8)),
    "max pooling, non-square": (MaxPooling((1, 3), stride=(2, 1)), (2, 4, 5)),
    "max pooling, window as large as the image": (MaxPooling((4, 5)), (2, 4, 5)),
    "max pooling 1x1": (MaxPooling(1), (2, 3, 3)),
    "max pooling, padded": (MaxPooling(3, 1, 1), (2, 4, 5)),
    "max pooling, same": (MaxPooling(3, 2, "same"), (2, 6, 5)),
    "max pooling, same, as large as the window": (MaxPooling(2, padding="same"), (1, 5, 5)),
    "max pooling, lopsided": (MaxPooling((2, 3), (1, 2), ((1, 0), (0, 2))), (1, 3, 4)),
    "average pooling, padded": (AveragePooling(3, 1, (1, 0)), (2, 4, 5)),
    "average pooling, same": (AveragePooling((3, 2), 2, "same", count_padding=False), (2, 6, 5)),
    "average pooling, lopsided": (AveragePooling(3, 2, ((2, 0), (0, 1)), count_padding=False), (1, 4, 5)),
    "average pooling": (AveragePooling(2), (2, 4, 6)),
    "average pooling, does not tile": (AveragePooling((2, 3)), (1, 5, 7)),
    "average pooling, overlapping": (AveragePooling(3, stride=(1, 2)), (2, 4, 7)),
    "dense": (Dense(output_size=4), (5,)),
    "dense without biases": (Dense(output_size=4, bias=False), (5,)),
    "dense, one by one": (Dense(1, 1), None),
    "dropout": (Dropout(0.4), (30,)),
    "reshape": (Reshape((2, 3, 4), (24, 1)), None),
    "flatten": (Flatten(), (2, 3, 4)),
    "relu": (ReLU(), (2, 3, 4)),
    "leaky relu": (LeakyReLU(0.2), (9,)),
    "elu": (ELU(0.7), (9,)),
    "sigmoid": (Sigmoid(), (9,)),
    "tanh": (Tanh(), (9,)),
    "softplus": (Softplus(), (9,)),
    "gelu": (GELU(), (9,)),
    "gelu by tanh": (GELU("tanh"), (9,)),
    "silu": (SiLU(), (9,)),
    "relu6": (ReLU6(), (9,)),
    "selu": (SELU(), (9,)),
    "hard sigmoid": (HardSigmoid(), (9,)),
    "hard sigmoid of Keras 2": (HardSigmoid(0.2), (9,)),
    "softsign": (Softsign(), (9,)),
    "mish": (Mish(), (9,)),
    "hard swish": (HardSwish(), (9,)),
    "prelu": (PReLU(), (2, 3, 4)),
    "prelu, a slope for each channel": (PReLU(per_channel=True), (3, 2, 4)),
    "identity": (Identity(), (9,)),
    "softmax": (Softmax(), (5,)),
    "softmax of images": (Softmax(), (3, 2, 2)),
    "log softmax": (LogSoftmax(), (5,)),
    "log softmax of images": (LogSoftmax(), (3, 2, 2)),
    "one's own": (Activation(np.sin, np.cos), (9,)),
    "convolution, groups": (Convolutional(kernel_size=3, depth=6, groups=2, padding=1), (4, 4, 5)),
    "convolution, groups and stride": (
        Convolutional(kernel_size=(2, 3), depth=4, groups=4, stride=2, padding=1, per_position_bias=True),
        (4, 5, 4),
    ),
    "convolution, dilation": (Convolutional(kernel_size=2, depth=2, dilation=(2, 3)), (2, 5, 6)),
    "convolution, dilation and stride": (
        Convolutional(kernel_size=3, depth=2, dilation=2, stride=(3, 2), padding=2),
        (1, 6, 7),
    ),
    "convolution, dilation, same": (
        Convolutional(kernel_size=3, depth=2, dilation=(2, 1), padding="same"),
        (2, 4, 5),
    ),
    "separable convolution": (SeparableConvolutional(kernel_size=3, depth=4), (2, 4, 5)),
    "separable convolution, multiplied": (
        SeparableConvolutional(
            kernel_size=(2, 3), depth=2, depth_multiplier=3, stride=2, padding=1, bias=False
        ),
        (2, 4, 3),
    ),
    "separable convolution, dilation, same": (
        SeparableConvolutional(kernel_size=2, depth=3, dilation=(1, 2), padding="same"),
        (1, 3, 4),
    ),
    "transposed convolution": (TransposedConvolutional(kernel_size=3, depth=3), (2, 3, 4)),
    "transposed convolution, doubling": (
        TransposedConvolutional(kernel_size=4, depth=2, stride=2, padding=1),
        (3, 3, 2),
    ),
    "transposed convolution, output padding": (
        TransposedConvolutional(
            kernel_size=(3, 2), depth=2, stride=(2, 3), padding=(1, 0), output_padding=(1, 2)
        ),
        (2, 2, 3),
    ),
    "transposed convolution, gaps": (
        TransposedConvolutional(kernel_size=(1, 2), depth=2, stride=3, bias=False),
        (2, 2, 3),
    ),
    "transposed convolution, same": (
        TransposedConvolutional(kernel_size=(3, 2), depth=2, stride=(2, 3), padding="same"),
        (1, 3, 2),
    ),
    "transposed convolution, lopsided": (
        TransposedConvolutional(kernel_size=3, depth=2, padding=((0, 2), (1, 0))),
        (2, 3, 2),
    ),
    "transposed convolution, groups": (
        TransposedConvolutional(kernel_size=(2, 3), depth=6, groups=2, stride=(2, 1), padding=1),
        (4, 3, 2),
    ),
    "transposed convolution, dilation": (
        TransposedConvolutional(
            kernel_size=2, depth=2, dilation=(2, 3), stride=(3, 2), output_padding=(1, 2)
        ),
        (1, 2, 3),
    ),
    "transposed convolution, padding wider than the kernel": (
        TransposedConvolutional(kernel_size=(2, 1), depth=2, padding=(2, 1)),
        (2, 5, 4),
    ),
    "transposed convolution, one of all": (TransposedConvolutional(kernel_size=1, depth=1), (1, 1, 1)),
    "depthwise convolution": (DepthwiseConvolutional(kernel_size=3, depth_multiplier=2), (2, 4, 5)),
    "depthwise convolution without biases": (
        DepthwiseConvolutional(kernel_size=(2, 3), stride=2, bias=False),
        (3, 4, 5),
    ),
    "batch normalization": (BatchNormalization(), (2, 3, 4)),
    "batch normalization, not affine": (BatchNormalization(affine=False, epsilon=0.1), (3, 2, 2)),
    "group normalization": (GroupNormalization(2), (4, 3, 2)),
    "group normalization, instances, not affine": (
        GroupNormalization(3, affine=False, epsilon=0.1),
        (3, 2, 3),
    ),
    "group normalization, one group": (GroupNormalization(1), (3, 2, 2)),
    "group normalization of vectors": (GroupNormalization(2), (6,)),
    "layer normalization": (LayerNormalization(), (3, 2, 3)),
    "layer normalization, not affine": (LayerNormalization(affine=False, epsilon=0.1), (4, 3, 1)),
    "layer normalization of vectors": (LayerNormalization(), (7,)),
    "layer normalization of samples": (LayerNormalization("sample"), (2, 3, 2)),
    "global average pooling": (GlobalAveragePooling(), (2, 3, 4)),
    "global max pooling": (GlobalMaxPooling(), (2, 3, 4)),
    "global max pooling, one pixel": (GlobalMaxPooling(), (3, 1, 1)),
    "adaptive average pooling": (AdaptiveAveragePooling((2, 3)), (2, 4, 3)),
    "adaptive average pooling, overlapping": (AdaptiveAveragePooling((3, 2)), (2, 4, 5)),
    "adaptive average pooling, larger": (AdaptiveAveragePooling((1, 4)), (1, 2, 3)),
    "adaptive max pooling": (AdaptiveMaxPooling((2, 1)), (2, 4, 3)),
    "adaptive max pooling, overlapping": (AdaptiveMaxPooling((2, 3)), (2, 5, 4)),
    "adaptive max pooling, larger": (AdaptiveMaxPooling((3, 2)), (1, 2, 1)),
    "zero padding": (ZeroPadding(((1, 0), (2, 1))), (2, 3, 2)),
    "zero padding, maps too": (ZeroPadding((0, 1), channels=(2, 1)), (2, 3, 2)),
    "reflection padding": (ReflectionPadding(((1, 0), (2, 1))), (2, 3, 4)),
    "reflection padding, as wide as can be": (ReflectionPadding((2, 1)), (1, 3, 2)),
    "replication padding": (ReplicationPadding(((1, 0), (2, 1))), (2, 3, 2)),
    "replication padding, wider than the image": (ReplicationPadding(3), (2, 1, 2)),
    "cropping": (Cropping(((1, 0), (0, 2))), (2, 3, 4)),
    "cropping to one pixel": (Cropping(((0, 2), (1, 1))), (2, 3, 3)),
    "upsampling": (UpSampling(), (2, 3, 4)),
    "upsampling, non-square": (UpSampling((3, 1)), (1, 2, 3)),
    "upsampling, bilinear": (UpSampling(2, "bilinear"), (2, 3, 4)),
    "upsampling, bilinear, odd": (UpSampling((1, 3), "bilinear"), (2, 3, 2)),
    "upsampling, bilinear, one pixel": (UpSampling((4, 5), "bilinear"), (2, 1, 1)),
    "upsampling, corners aligned": (UpSampling((2, 3), "bilinear", align_corners=True), (2, 3, 4)),
    "upsampling, corners aligned, one pixel": (UpSampling((1, 3), "bilinear", align_corners=True), (2, 1, 1)),
    "depth to space": (DepthToSpace(2), (8, 2, 3)),
    "depth to space, depth first": (DepthToSpace(3, "DCR"), (9, 1, 2)),
    "channel shuffle": (ChannelShuffle(2), (6, 2, 3)),
    "channel shuffle, of vectors": (ChannelShuffle(3), (6,)),
    "channel shuffle, a group for each": (ChannelShuffle(3), (3, 1, 2)),
    "spatial dropout": (SpatialDropout(0.4), (6, 2, 2)),
    "stochastic depth": (StochasticDepth(0.1), (3, 2, 2)),
    "stochastic depth of vectors": (StochasticDepth(0.1), (5,)),
    "gaussian noise": (GaussianNoise(0.3), (2, 3, 4)),
    "signals, convolution": (Convolutional1D(kernel_size=3, depth=4), (2, 7)),
    "signals, convolution, stride does not tile": (
        Convolutional1D(kernel_size=2, depth=2, stride=3, padding=1),
        (1, 9),
    ),
    "signals, convolution, same and stride": (
        Convolutional1D(kernel_size=4, depth=3, stride=2, padding="same"),
        (2, 7),
    ),
    "signals, convolution, kernel as large as the signal": (Convolutional1D(kernel_size=5, depth=2), (3, 5)),
    "signals, convolution, groups and dilation": (
        Convolutional1D(kernel_size=2, depth=4, groups=2, dilation=3, bias=False),
        (4, 6),
    ),
    "signals, convolution, one channel": (Convolutional1D(kernel_size=1, depth=1), (1, 2)),
    "signals, depthwise convolution": (
        DepthwiseConvolutional1D(kernel_size=3, depth_multiplier=2, padding=2, stride=2),
        (3, 6),
    ),
    "signals, max pooling": (MaxPooling1D(2), (3, 8)),
    "signals, max pooling, overlapping": (MaxPooling1D(3, stride=2), (2, 8)),
    "signals, average pooling": (AveragePooling1D(3), (2, 10)),
    "signals, average pooling, stride skips values": (AveragePooling1D(2, stride=3), (2, 9)),
    "signals, global average pooling": (GlobalAveragePooling1D(), (3, 5)),
    "signals, global max pooling": (GlobalMaxPooling1D(), (3, 5)),
    "signals, zero padding": (ZeroPadding1D((2, 1)), (2, 3)),
    "signals, batch normalization": (BatchNormalization(), (3, 5)),
    "signals, spatial dropout": (SpatialDropout(0.4), (6, 3)),
    "signals, prelu": (PReLU(per_channel=True), (3, 4)),
    "signals, residual": (
        Residual(
            [Convolutional1D(kernel_size=3, depth=3, stride=2, padding=1), Tanh(), BatchNormalization()],
            shortcut=[Convolutional1D(kernel_size=1, depth=3, stride=2)],
        ),
        (2, 5),
    ),
    "signals, branches": (
        Branches(
            [Convolutional1D(kernel_size=3, depth=3, padding=1)], [GlobalMaxPooling1D()], merge="multiply"
        ),
        (3, 4),
    ),
    "residual": (Residual([Dense(5, 5), Tanh()]), (5,)),
    "residual with shortcut": (
        Residual(
            [Convolutional(kernel_size=3, depth=3, stride=2, padding=1), BatchNormalization(), Tanh()],
            shortcut=[Convolutional(kernel_size=1, depth=3, stride=2), SpatialDropout(0.4)],
        ),
        (2, 5, 4),
    ),
    "branches, concatenated": (
        Branches(
            [Convolutional(kernel_size=3, depth=3, padding=1), Tanh()],
            [],
            [Convolutional(kernel_size=1, depth=2)],
        ),
        (2, 4, 5),
    ),
    "branches, added": (
        Branches([Dense(5, 5), Tanh()], [Dense(5, 5)], [], merge="add"),
        (5,),
    ),
    "branches, multiplied": (
        Branches([], [GlobalAveragePooling(), Dense(3, 3), Sigmoid()], merge="multiply"),
        (3, 4, 2),
    ),
    "branches, maximum": (
        Branches([Convolutional(kernel_size=1, depth=2)], [BatchNormalization()], merge="maximum"),
        (2, 3, 3),
    ),
    "branches, mean": (Branches([Tanh()], [Dropout(0.3), Dense(4, 4)], merge="mean"), (4,)),
    "branches in branches": (
        Branches(
            [MaxPooling(2), Branches([Tanh()], [Convolutional(kernel_size=1, depth=2)]), UpSampling(2)], []
        ),
        (2, 4, 2),
    ),
    "residual in residual": (Residual([Dense(4, 4), Residual([Tanh(), Dense(4, 4)]), Dropout(0.3)]), (4,)),
}


def made(name, dtype=np.float32, seed=1):
    """Return a layer of the table in training, with parameters, and the shape of its samples."""
    layer, shape = EVERY[name]
    layer = copy.deepcopy(layer)
    shape = layer.input_shape if shape is None else shape
    layer.bind(shape)
    layer.begin()
    layer.draw(np.random.default_rng(seed), np.dtype(dtype), "he")
    layer.training = True
    return layer, shape
