"""A network of every layer that PyTorch has, for the tests and the fixtures of weights."""

import numpy as np

import purecnn as p


def exchange_network():
    """Return the network, its arrays drawn anew, and images of bytes for it."""
    simple = (
        "LeakyReLU ELU SELU ReLU6 Softplus GELU Mish HardSwish HardSigmoid Tanh Softsign Identity Sigmoid"
    )
    inner = [p.Convolutional(kernel_size=3, depth=8, padding=1), p.BatchNormalization(affine=False)]
    layers = [
        p.Convolutional(kernel_size=3, depth=6, stride=2, padding="same"),
        p.BatchNormalization(epsilon=1e-3, momentum=0.01),
        p.ReLU(),
        p.Convolutional(kernel_size=(3, 2), depth=6, groups=2, dilation=(1, 2), padding=1),
        p.PReLU(per_channel=True),
        p.Branches(
            [p.Convolutional(kernel_size=1, depth=4), p.BatchNormalization()],
            [],
            [p.Convolutional(kernel_size=3, depth=2, padding=1), p.Tanh()],
        ),
        p.Branches([], [p.GlobalAveragePooling(), p.Dense(output_size=12), p.Sigmoid()], merge="multiply"),
        p.Branches(
            [p.Convolutional(kernel_size=1, depth=6)],
            [p.Convolutional(kernel_size=1, depth=6), p.Tanh()],
            merge="maximum",
        ),
        p.Branches([p.Branches([], [p.SiLU()], merge="mean")], [p.Tanh()], merge="add"),
        p.Residual([*inner, p.Residual([p.SiLU()])], [p.Convolutional(kernel_size=1, depth=8)]),
        p.GroupNormalization(2, epsilon=1e-3),
        p.LayerNormalization("sample"),
        p.LayerNormalization(),
        p.LayerNormalization(affine=False),
        p.GroupNormalization(8, affine=False),
        p.ZeroPadding(((1, 0), (0, 2))),
        p.Convolutional(kernel_size=3, depth=4, per_position_bias=True),
        p.Convolutional(kernel_size=1, depth=4, bias=False),
        p.MaxPooling(2, 1),
        p.AveragePooling((2, 1)),
        p.MaxPooling((2, 3), 1, "same"),
        p.MaxPooling(3, 1, 1),
        p.AveragePooling((3, 2), 1, ((2, 0), (0, 1))),
        p.AveragePooling(3, 1, 1, count_padding=False),
        p.AveragePooling(2, 1, "same", count_padding=False),
        p.DepthwiseConvolutional(kernel_size=2, depth_multiplier=2),
        p.SeparableConvolutional(kernel_size=3, depth=6, depth_multiplier=2, padding="same"),
        p.TransposedConvolutional(kernel_size=3, depth=6, stride=2, padding="same"),
        p.TransposedConvolutional(
            kernel_size=(2, 3), depth=8, groups=2, padding=((1, 0), (1, 1)), dilation=(1, 2)
        ),
        p.MaxPooling(2),
        p.SpatialDropout(0.2),
        p.UpSampling((2, 1)),
        p.UpSampling((1, 3), "bilinear"),
        p.ChannelShuffle(2),
        p.DepthToSpace(2, "DCR"),
        p.AdaptiveMaxPooling((9, 12)),
        p.Branches([p.ZeroPadding(0, channels=(1, 0))], [p.ZeroPadding(0, channels=(0, 1))], merge="add"),
        p.ReflectionPadding(((1, 0), (2, 0))),
        p.ReplicationPadding(((0, 1), (0, 2))),
        p.Cropping(((1, 2), (0, 3))),
        p.AdaptiveAveragePooling((4, 7)),
        p.Branches([], [p.GlobalMaxPooling()], merge="multiply"),
        p.UpSampling((2, 1), "bilinear", align_corners=True),
        *(getattr(p, name)() for name in simple.split()),
        p.Flatten(),
        p.BatchNormalization(),
        p.Dense(output_size=12),
        p.LayerNormalization(epsilon=0.1),
        p.Reshape((12,), (3, 2, 2)),
        p.GELU("tanh"),
        p.Reshape((3, 2, 2), (2, 6)),
        p.BatchNormalization(),
        p.Convolutional1D(kernel_size=2, depth=4, padding="same"),
        p.Branches([], [p.GlobalAveragePooling1D(), p.Sigmoid()], [p.GlobalMaxPooling1D()], merge="multiply"),
        p.DepthwiseConvolutional1D(kernel_size=3, padding=1),
        p.Convolutional1D(kernel_size=2, depth=4, groups=2, dilation=2, padding=1, bias=False),
        p.SpatialDropout(0.1),
        p.ZeroPadding1D((0, 2)),
        p.MaxPooling1D(2, 1),
        p.MaxPooling1D(3, 1, 1),
        p.MaxPooling1D(2, 1, (1, 0)),
        p.AveragePooling1D(2),
        p.AveragePooling1D(3, 1, 1),
        p.AveragePooling1D(3, 1, 1, count_padding=False),
        p.AveragePooling1D(3, 1, (2, 0)),
        p.Reshape((4, 3), (2, 2, 3)),
        p.GlobalAveragePooling(),
        p.PReLU(),
        p.Dropout(0.3),
        p.StochasticDepth(0.1),
        p.GaussianNoise(0.1),
        p.LogSoftmax(),
        p.Dense(output_size=3, bias=False),
        p.Softmax(),
    ]
    before = p.Preprocessing(1 / 255, -0.5, "bytes", ("a", "b'", "c"))
    network = p.Network(layers, input_shape=(2, 15, 14), preprocessing=before)
    network[0].trainable = False
    rng = np.random.default_rng(0)
    for layer in network:
        for home in (layer.parameters, layer.buffers):
            for name in home:
                drawn = rng.normal(size=home[name].shape) * 0.5
                home[name][...] = abs(drawn) + 0.3 if name.endswith("variance") else drawn
    return network, rng.integers(0, 256, (5, 2, 15, 14)).astype(np.uint8)
