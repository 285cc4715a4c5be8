"""Keras's own networks of the literature with random weights, and others after their papers' drawings.

Each is a function of the library, Keras 3 or Keras 2 (tf_keras), and returns its model.
"""

from __future__ import annotations

from typing import Any

Keras = Any


def vgg16(keras: Keras) -> Any:
    """VGG16, its dense layers left out."""
    kl = keras.layers
    base = keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
    return keras.Sequential([base, kl.Flatten(), kl.Dense(64, activation="relu"), kl.Dense(10)])


def resnet50(keras: Keras) -> Any:
    """ResNet50."""
    return keras.applications.ResNet50(
        weights=None, input_shape=(64, 64, 3), classes=20, classifier_activation=None
    )


def resnet50_v2(keras: Keras) -> Any:
    """ResNet50V2."""
    return keras.applications.ResNet50V2(
        weights=None, input_shape=(64, 64, 3), classes=20, classifier_activation=None
    )


def mobilenet(keras: Keras) -> Any:
    """MobileNet."""
    return keras.applications.MobileNet(
        weights=None, input_shape=(64, 64, 3), alpha=0.25, classes=20, classifier_activation=None
    )


def mobilenet_v2(keras: Keras) -> Any:
    """MobileNetV2."""
    return keras.applications.MobileNetV2(
        weights=None, input_shape=(64, 64, 3), alpha=0.35, classes=20, classifier_activation=None
    )


def mobilenet_v3(keras: Keras) -> Any:
    """MobileNetV3Small."""
    return keras.applications.MobileNetV3Small(
        weights=None, input_shape=(64, 64, 3), classes=20, classifier_activation=None
    )


def densenet121(keras: Keras) -> Any:
    """DenseNet121."""
    return keras.applications.DenseNet121(
        weights=None, input_shape=(64, 64, 3), classes=20, classifier_activation=None
    )


def efficientnet_b0(keras: Keras) -> Any:
    """EfficientNetB0, with the mean and the deviation of the inputs inside."""
    return keras.applications.EfficientNetB0(
        weights=None, input_shape=(64, 64, 3), classes=20, classifier_activation=None
    )


def efficientnet_v2_b0(keras: Keras) -> Any:
    """EfficientNetV2B0."""
    return keras.applications.EfficientNetV2B0(
        weights=None, input_shape=(64, 64, 3), classes=20, classifier_activation=None
    )


def inception_v3(keras: Keras) -> Any:
    """InceptionV3."""
    return keras.applications.InceptionV3(
        weights=None, input_shape=(96, 96, 3), classes=20, classifier_activation=None
    )


def xception(keras: Keras) -> Any:
    """Xception."""
    return keras.applications.Xception(
        weights=None, input_shape=(80, 80, 3), classes=20, classifier_activation=None
    )


def convnext(keras: Keras) -> Any:
    """ConvNeXtTiny, cut after its features."""
    return keras.applications.ConvNeXtTiny(
        weights=None, input_shape=(32, 32, 3), classes=20, classifier_activation=None
    )


def nasnet(keras: Keras) -> Any:
    """NASNetMobile."""
    return keras.applications.NASNetMobile(
        weights=None, input_shape=(64, 64, 3), classes=20, classifier_activation=None
    )


def resnet_layer(kl: Any, x: Any, depth: int = 16, size: int = 3, strides: int = 1, **how: bool) -> Any:
    """Return a convolution with its normalization and its activation, in one order or the other."""
    conv = kl.Conv2D(depth, size, strides=strides, padding="same", kernel_initializer="he_normal")
    if how.get("first", True):
        x = conv(x)
    if how.get("normalized", True):
        x = kl.BatchNormalization()(x)
    if how.get("active", True):
        x = kl.Activation("relu")(x)
    return x if how.get("first", True) else conv(x)


def resnet20_v1(keras: Keras) -> Any:
    """The example of CIFAR-10: ResNet20, version 1."""
    kl = keras.layers
    inputs = keras.Input((32, 32, 3))
    x, depth = resnet_layer(kl, inputs), 16
    for stack in range(3):
        for block in range(3):
            strides = 2 if stack > 0 and block == 0 else 1
            y = resnet_layer(kl, x, depth, strides=strides)
            y = resnet_layer(kl, y, depth, active=False)
            if strides == 2:
                x = resnet_layer(kl, x, depth, 1, strides, active=False, normalized=False)
            x = kl.Activation("relu")(kl.add([x, y]))
        depth *= 2
    x = kl.Flatten()(kl.AveragePooling2D(pool_size=8)(x))
    return keras.Model(inputs, kl.Dense(10, activation="softmax", kernel_initializer="he_normal")(x))


def resnet29_v2(keras: Keras) -> Any:
    """The same, version 2: normalized and activated before each convolution."""
    kl = keras.layers
    inputs = keras.Input((32, 32, 3))
    x, depth = resnet_layer(kl, inputs), 16
    for stage in range(3):
        wide = depth * (4 if stage == 0 else 2)
        for block in range(2):
            strides = 2 if stage > 0 and block == 0 else 1
            plain = stage == 0 and block == 0
            y = resnet_layer(kl, x, depth, 1, strides, first=False, active=not plain, normalized=not plain)
            y = resnet_layer(kl, y, depth, first=False)
            y = resnet_layer(kl, y, wide, 1, first=False)
            if block == 0:
                x = resnet_layer(kl, x, wide, 1, strides, active=False, normalized=False)
            x = kl.add([x, y])
        depth = wide
    x = kl.Activation("relu")(kl.BatchNormalization()(x))
    return keras.Model(inputs, kl.Dense(10)(kl.Flatten()(kl.AveragePooling2D(pool_size=8)(x))))


def squeezenet(keras: Keras) -> Any:
    """SqueezeNet: one convolution narrows, two widen side by side."""
    kl = keras.layers
    inputs = keras.Input((64, 64, 3))
    x = kl.MaxPooling2D(3, 2)(kl.Conv2D(32, 3, strides=2, activation="relu")(inputs))
    for narrow, wide in ((8, 32), (8, 32), (16, 64)):
        s = kl.Conv2D(narrow, 1, activation="relu")(x)
        sides = [kl.Conv2D(wide, n, padding="same", activation="relu")(s) for n in (1, 3)]
        x = kl.concatenate(sides)
    x = kl.Conv2D(10, 1, activation="relu")(kl.Dropout(0.5)(x))
    return keras.Model(inputs, kl.Activation("softmax")(kl.GlobalAveragePooling2D()(x)))


def googlenet(keras: Keras) -> Any:
    """Two of GoogLeNet's modules: four branches each, one of them pooled with a border."""
    kl = keras.layers
    inputs = keras.Input((40, 40, 3))
    x = kl.MaxPooling2D(3, 2, padding="same")(kl.Conv2D(32, 7, 2, padding="same", activation="relu")(inputs))
    for a, b, c, d in ((8, 16, 8, 8), (16, 24, 8, 8)):
        sides = [kl.Conv2D(a, 1, activation="relu")(x)]
        for depth, size in ((b, 3), (c, 5)):
            y = kl.Conv2D(depth // 2, 1, activation="relu")(x)
            sides.append(kl.Conv2D(depth, size, padding="same", activation="relu")(y))
        pooled = kl.AveragePooling2D(3, strides=1, padding="same")(x)
        x = kl.Concatenate(axis=3)([*sides, kl.Conv2D(d, 1, activation="relu")(pooled)])
    return keras.Model(inputs, kl.Dense(10)(kl.Dropout(0.4)(kl.GlobalAveragePooling2D()(x))))


def senet_cbam(keras: Keras) -> Any:
    """Residuals weighed by channel, from a mean and a maximum through shared layers, and by position."""
    kl = keras.layers
    inputs = keras.Input((24, 24, 3))
    x = kl.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    for _ in range(2):
        y = kl.BatchNormalization()(kl.Conv2D(16, 3, padding="same")(x))
        narrow, wide = kl.Dense(4, activation="relu"), kl.Dense(16)
        pooled = [pool()(y) for pool in (kl.GlobalAveragePooling2D, kl.GlobalMaxPooling2D)]
        scores = kl.Add()([wide(narrow(kl.Reshape((1, 1, 16))(p))) for p in pooled])
        y = kl.Multiply()([y, kl.Activation("sigmoid")(scores)])
        place = kl.Conv2D(1, 7, padding="same", activation="sigmoid")(y)
        x = kl.Activation("relu")(kl.Add()([x, kl.Multiply()([y, place])]))
    return keras.Model(inputs, kl.Dense(5)(kl.GlobalAveragePooling2D()(x)))


def convnext_block(keras: Keras) -> Any:
    """ConvNeXt's blocks: a wide depthwise convolution, layer normalization, dense layers of each pixel."""
    kl = keras.layers
    inputs = keras.Input((32, 32, 3))
    x = kl.LayerNormalization(epsilon=1e-6)(kl.Conv2D(24, 4, strides=4)(inputs))
    for _ in range(2):
        y = kl.LayerNormalization(epsilon=1e-6)(kl.DepthwiseConv2D(7, padding="same")(x))
        x = kl.Add()([x, kl.Dense(24)(kl.Dense(96, activation="gelu")(y))])
    x = kl.LayerNormalization(epsilon=1e-6)(kl.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, kl.Dense(10)(x))


def group_normalized(keras: Keras) -> Any:
    """A residual network with group normalization, and instance normalization at its front."""
    kl = keras.layers
    inputs = keras.Input((32, 32, 3))
    x = kl.ReLU()(kl.GroupNormalization(groups=-1)(kl.Conv2D(16, 3, padding="same")(inputs)))
    for depth, strides in ((16, 1), (32, 2)):
        y = kl.GroupNormalization(groups=8)(kl.Conv2D(depth, 3, strides, padding="same", use_bias=False)(x))
        y = kl.GroupNormalization(groups=8)(kl.Conv2D(depth, 3, padding="same")(kl.Activation("swish")(y)))
        x = kl.Add()([y, kl.Conv2D(depth, 1, strides)(x)])
    return keras.Model(inputs, kl.Dense(10)(kl.GlobalAveragePooling2D()(x)))


def first_convnet(keras: Keras) -> Any:
    """A chain whose images have their channels first."""
    kl = keras.layers
    form = {"data_format": "channels_first"}
    return keras.Sequential(
        [
            keras.Input((1, 28, 28)),
            *(kl.Conv2D(16, 3, activation="relu", **form), kl.MaxPooling2D(2, **form)),
            *(kl.Conv2D(32, 3, padding="same", **form), kl.BatchNormalization(axis=1), kl.ReLU()),
            *(kl.AveragePooling2D(2, **form), kl.SpatialDropout2D(0.1, **form)),
            *(kl.Flatten(), kl.Dense(10, activation="softmax")),
        ]
    )


def first_resnet(keras: Keras) -> Any:
    """Residuals, concatenated and weighed, the channels first."""
    kl = keras.layers
    form = {"data_format": "channels_first"}
    inputs = keras.Input((3, 24, 24))
    x = kl.ZeroPadding2D(1, **form)(inputs)
    x = kl.ReLU()(kl.BatchNormalization(axis=1)(kl.Conv2D(16, 3, strides=2, **form)(x)))
    for _ in range(2):
        y = kl.BatchNormalization(axis=1)(kl.Conv2D(16, 3, padding="same", **form)(x))
        factors = kl.Dense(16, activation="sigmoid")(kl.GlobalAveragePooling2D(**form)(y))
        y = kl.Multiply()([y, kl.Reshape((16, 1, 1))(factors)])
        x = kl.ReLU()(kl.Add()([x, y]))
    x = kl.Concatenate(axis=1)([x, kl.PReLU(shared_axes=[2, 3])(kl.Conv2D(4, 1, **form)(x))])
    x = kl.LayerNormalization(axis=1)(kl.UpSampling2D(2, **form)(kl.MaxPooling2D(2, **form)(x)))
    return keras.Model(inputs, kl.Dense(5)(kl.GlobalMaxPooling2D(**form)(x)))


def prelu_positions(keras: Keras) -> Any:
    """A slope for each position of each map, for each column, for each feature."""
    kl = keras.layers
    return keras.Sequential(
        [
            keras.Input((16, 12, 3)),
            *(kl.Conv2D(8, 3), kl.PReLU(), kl.MaxPooling2D()),
            *(kl.Conv2D(6, 3), kl.PReLU(shared_axes=[1]), kl.Conv2D(4, 1), kl.PReLU(shared_axes=[1, 2, 3])),
            *(kl.Flatten(), kl.Dense(12), kl.PReLU(), kl.Dense(4)),
        ]
    )


def nested_towers(keras: Keras) -> Any:
    """Sequential models inside of a functional one, and one of these inside of another."""
    kl = keras.layers
    stem = keras.Sequential(
        [kl.Conv2D(8, 3, padding="same"), kl.BatchNormalization(), kl.ReLU()], name="stem"
    )
    a = keras.Sequential([kl.Conv2D(6, 1), kl.ReLU(), keras.Sequential([kl.Conv2D(8, 3, padding="same")])])
    b = keras.Sequential([kl.Conv2D(8, 3, padding="same"), kl.BatchNormalization(), kl.Activation("swish")])
    inputs = keras.Input((20, 20, 3))
    x = stem(inputs)
    x = kl.Concatenate()([kl.Add()([a(x), x]), b(x)])
    head = keras.Sequential([kl.Flatten(), kl.Dense(16, activation="relu"), kl.Dense(4)], name="head")
    return keras.Model(inputs, head(kl.MaxPooling2D(4)(x)))


def shared_activations(keras: Keras) -> Any:
    """One activation, one pooling and one dropout used in many places; activations that are layers."""
    kl = keras.layers
    relu, pool, drop = kl.ReLU(), kl.MaxPooling2D(2), kl.Dropout(0.2)
    inputs = keras.Input((32, 32, 3))
    x = pool(relu(kl.Conv2D(8, 3, padding="same")(inputs)))
    y = relu(kl.Conv2D(8, 3, padding="same", activation=kl.LeakyReLU())(x))
    x = drop(pool(relu(kl.Subtract()([y, kl.Minimum()([x, kl.Conv2D(8, 1)(x)])]))))
    x = drop(relu(kl.Dense(16)(kl.Flatten()(x))))
    return keras.Model(inputs, kl.Dense(3, activation=keras.activations.softmax)(x))


def augmented(keras: Keras) -> Any:
    """All that prepares and all that draws at the front, then a small network."""
    kl = keras.layers
    prepare = keras.Sequential(
        [kl.Resizing(48, 40), kl.CenterCrop(32, 36), kl.Rescaling(1 / 127.5, offset=-1)]
    )
    draw = keras.Sequential(
        [
            *(kl.RandomFlip("horizontal"), kl.RandomRotation(0.2), kl.RandomZoom(0.1)),
            *(kl.RandomContrast(0.1), kl.RandomTranslation(0.1, 0.1), kl.RandomBrightness(0.1)),
        ]
    )
    inputs = keras.Input((60, 64, 3))
    x = draw(prepare(inputs))
    x = kl.MaxPooling2D()(kl.Conv2D(16, 3, activation="elu")(x))
    x = kl.GaussianDropout(0.1)(kl.GaussianNoise(0.1)(kl.Conv2D(16, 3, activation="selu")(x)))
    return keras.Model(inputs, kl.Dense(5)(kl.Flatten()(kl.MaxPooling2D(4)(x))))
