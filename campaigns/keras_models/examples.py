"""Networks of the sizes of a test, drawn as Keras's examples, guides and tutorials draw theirs.

Each is a function of the library, Keras 3 or Keras 2 (tf_keras), and returns its model.
"""

from __future__ import annotations

import importlib
from typing import Any

Keras = Any


def mnist_convnet(keras: Keras) -> Any:
    """Two convolutions, as the first example has them."""
    kl = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            kl.Conv2D(32, (3, 3), activation="relu"),
            kl.MaxPooling2D((2, 2)),
            kl.Conv2D(64, (3, 3), activation="relu"),
            kl.MaxPooling2D((2, 2)),
            kl.Flatten(),
            kl.Dropout(0.5),
            kl.Dense(10, activation="softmax"),
        ]
    )


def cifar10_convnet(keras: Keras) -> Any:
    """Four convolutions, each followed by an activation of its own."""
    kl = keras.layers
    model = keras.Sequential()
    model.add(kl.Conv2D(32, (3, 3), padding="same", input_shape=(32, 32, 3)))
    for depth, padding in ((32, "valid"), (64, "same"), (64, "valid")):
        model.add(kl.Activation("relu"))
        model.add(kl.Conv2D(depth, (3, 3), padding=padding))
        if padding == "valid":
            model.add(kl.Activation("relu"))
            model.add(kl.MaxPooling2D((2, 2)))
            model.add(kl.Dropout(0.25))
    model.add(kl.Flatten())
    model.add(kl.Dense(128))
    model.add(kl.Activation("relu"))
    model.add(kl.Dropout(0.5))
    model.add(kl.Dense(10))
    model.add(kl.Activation("softmax"))
    return model


def mini_xception(keras: Keras) -> Any:
    """Image classification from scratch: separable convolutions with residuals, what draws at the front."""
    kl = keras.layers
    inputs = keras.Input((48, 48, 3))
    x = kl.RandomRotation(0.1)(kl.RandomFlip("horizontal")(inputs))
    x = kl.Rescaling(1.0 / 255)(x)
    x = kl.Conv2D(32, 3, strides=2, padding="same")(x)
    x = kl.BatchNormalization()(x)
    before = x = kl.Activation("relu")(x)
    for size in (64, 96):
        x = kl.Activation("relu")(x)
        x = kl.SeparableConv2D(size, 3, padding="same")(x)
        x = kl.BatchNormalization()(x)
        x = kl.Activation("relu")(x)
        x = kl.SeparableConv2D(size, 3, padding="same")(x)
        x = kl.BatchNormalization()(x)
        x = kl.MaxPooling2D(3, strides=2, padding="same")(x)
        residual = kl.Conv2D(size, 1, strides=2, padding="same")(before)
        before = x = kl.add([x, residual])
    x = kl.SeparableConv2D(128, 3, padding="same")(x)
    x = kl.Activation("relu")(kl.BatchNormalization()(x))
    x = kl.Dropout(0.25)(kl.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, kl.Dense(1, activation=None)(x))


def denoising_autoencoder(keras: Keras) -> Any:
    """An encoder of convolutions, a decoder of transposed ones."""
    kl = keras.layers
    x = inputs = keras.Input((28, 28, 1))
    for _ in range(2):
        x = kl.Conv2D(32, (3, 3), activation="relu", padding="same")(x)
        x = kl.MaxPooling2D((2, 2), padding="same")(x)
    for _ in range(2):
        x = kl.Conv2DTranspose(32, (3, 3), strides=2, activation="relu", padding="same")(x)
    return keras.Model(inputs, kl.Conv2D(1, (3, 3), activation="sigmoid", padding="same")(x))


def upsampling_autoencoder(keras: Keras) -> Any:
    """The blog's: pooled with padding down to 4 x 4, repeated up again."""
    kl = keras.layers
    x = inputs = keras.Input((28, 28, 1))
    for depth in (16, 8, 8):
        x = kl.Conv2D(depth, (3, 3), activation="relu", padding="same")(x)
        x = kl.MaxPooling2D((2, 2), padding="same")(x)
    for depth, padding in ((8, "same"), (8, "same"), (16, "valid")):
        x = kl.Conv2D(depth, (3, 3), activation="relu", padding=padding)(x)
        x = kl.UpSampling2D((2, 2))(x)
    return keras.Model(inputs, kl.Conv2D(1, (3, 3), activation="sigmoid", padding="same")(x))


def guide_autoencoder(keras: Keras) -> Any:
    """The functional guide's: two models, one inside of a third behind the other."""
    kl = keras.layers
    image = keras.Input((28, 28, 1), name="original_img")
    x = kl.Conv2D(16, 3, activation="relu")(image)
    x = kl.MaxPooling2D(3)(kl.Conv2D(32, 3, activation="relu")(x))
    x = kl.Conv2D(16, 3, activation="relu")(kl.Conv2D(32, 3, activation="relu")(x))
    encoder = keras.Model(image, kl.GlobalMaxPooling2D()(x), name="encoder")
    code = keras.Input((16,), name="encoded_img")
    x = kl.Conv2DTranspose(16, 3, activation="relu")(kl.Reshape((4, 4, 1))(code))
    x = kl.UpSampling2D(3)(kl.Conv2DTranspose(32, 3, activation="relu")(x))
    x = kl.Conv2DTranspose(16, 3, activation="relu")(x)
    decoder = keras.Model(code, kl.Conv2DTranspose(1, 3, activation="relu")(x), name="decoder")
    whole = keras.Input((28, 28, 1), name="img")
    return keras.Model(whole, decoder(encoder(whole)), name="autoencoder")


def guide_toy_resnet(keras: Keras) -> Any:
    """The functional guide's toy ResNet: two blocks added."""
    kl = keras.layers
    inputs = keras.Input((32, 32, 3), name="img")
    x = kl.Conv2D(64, 3, activation="relu")(kl.Conv2D(32, 3, activation="relu")(inputs))
    x = block = kl.MaxPooling2D(3)(x)
    for _ in range(2):
        x = kl.Conv2D(64, 3, activation="relu", padding="same")(block)
        x = kl.Conv2D(64, 3, activation="relu", padding="same")(x)
        block = kl.add([x, block])
    x = kl.GlobalAveragePooling2D()(kl.Conv2D(64, 3, activation="relu")(block))
    x = kl.Dropout(0.5)(kl.Dense(256, activation="relu")(x))
    return keras.Model(inputs, kl.Dense(10)(x), name="toy_resnet")


def xception_unet(keras: Keras) -> Any:
    """Image segmentation from scratch: residuals on the way down and up again."""
    kl = keras.layers
    inputs = keras.Input((32, 32, 3))
    x = kl.Conv2D(32, 3, strides=2, padding="same")(inputs)
    before = x = kl.Activation("relu")(kl.BatchNormalization()(x))
    for filters in (64, 96):
        for _ in range(2):
            x = kl.SeparableConv2D(filters, 3, padding="same")(kl.Activation("relu")(x))
            x = kl.BatchNormalization()(x)
        x = kl.MaxPooling2D(3, strides=2, padding="same")(x)
        before = x = kl.add([x, kl.Conv2D(filters, 1, strides=2, padding="same")(before)])
    for filters in (96, 64, 32):
        for _ in range(2):
            x = kl.Conv2DTranspose(filters, 3, padding="same")(kl.Activation("relu")(x))
            x = kl.BatchNormalization()(x)
        x = kl.UpSampling2D(2)(x)
        residual = kl.Conv2D(filters, 1, padding="same")(kl.UpSampling2D(2)(before))
        before = x = kl.add([x, residual])
    return keras.Model(inputs, kl.Conv2D(3, 3, activation="softmax", padding="same")(x))


def unet(keras: Keras) -> Any:
    """The first U-Net's shape: pooled down, transposed up, concatenated with what was there before."""
    kl = keras.layers

    def twice(x: Any, depth: int) -> Any:
        for _ in range(2):
            x = kl.Conv2D(depth, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
        return x

    x = inputs = keras.Input((32, 48, 1))
    kept = []
    for depth in (8, 16, 32):
        kept.append(twice(x, depth))
        x = kl.Dropout(0.1)(kl.MaxPooling2D((2, 2))(kept[-1]))
    x = twice(x, 64)
    for depth, skip in zip((32, 16, 8), kept[::-1], strict=True):
        x = kl.Conv2DTranspose(depth, (2, 2), strides=(2, 2), padding="same")(x)
        x = twice(kl.concatenate([x, skip], axis=3), depth)
    return keras.Model(inputs, kl.Conv2D(1, (1, 1), activation="sigmoid")(x))


def attention_unet(keras: Keras) -> Any:
    """A U-Net whose skips are weighed by a map of one channel."""
    kl = keras.layers

    def block(x: Any, depth: int) -> Any:
        return kl.Activation("relu")(kl.BatchNormalization()(kl.Conv2D(depth, 3, padding="same")(x)))

    x = inputs = keras.Input((32, 32, 3))
    kept = []
    for depth in (8, 16):
        kept.append(block(x, depth))
        x = kl.MaxPooling2D()(kept[-1])
    x = block(x, 32)
    for depth, skip in zip((16, 8), kept[::-1], strict=True):
        x = kl.Conv2D(depth, 2, padding="same")(kl.UpSampling2D(interpolation="bilinear")(x))
        joined = kl.Activation("relu")(kl.Add()([kl.Conv2D(depth, 1)(x), kl.Conv2D(depth, 1)(skip)]))
        weight = kl.Conv2D(1, 1, activation="sigmoid")(joined)
        x = block(kl.Concatenate()([x, kl.Multiply()([skip, weight])]), depth)
    return keras.Model(inputs, kl.Conv2D(2, 1, activation="softmax")(x))


def captcha_convnet(keras: Keras) -> Any:
    """The OCR example without its LSTM: columns of the maps become steps in time."""
    kl = keras.layers
    inputs = keras.Input((100, 24, 1), name="image")
    x = kl.Conv2D(32, (3, 3), activation="relu", kernel_initializer="he_normal", padding="same")(inputs)
    x = kl.MaxPooling2D((2, 2))(x)
    x = kl.Conv2D(64, (3, 3), activation="relu", kernel_initializer="he_normal", padding="same")(x)
    x = kl.MaxPooling2D((2, 2))(x)
    x = kl.Reshape(target_shape=(25, 6 * 64), name="reshape")(x)
    x = kl.Dropout(0.2)(kl.Dense(64, activation="relu", name="dense1")(x))
    return keras.Model(inputs, kl.Dense(21, activation="softmax", name="dense2")(x))


def siamese_tower(keras: Keras) -> Any:
    """What both pictures of a siamese network go through."""
    kl = keras.layers
    inputs = keras.Input((28, 28, 1))
    x = kl.BatchNormalization()(inputs)
    x = kl.AveragePooling2D(pool_size=(2, 2))(kl.Conv2D(4, (5, 5), activation="tanh")(x))
    x = kl.AveragePooling2D(pool_size=(2, 2))(kl.Conv2D(16, (5, 5), activation="tanh")(x))
    x = kl.BatchNormalization()(kl.Flatten()(x))
    return keras.Model(inputs, kl.Dense(10, activation="tanh")(x))


def keypoints(keras: Keras) -> Any:
    """Keypoint detection: MobileNetV2 as a layer, separable convolutions behind it."""
    kl = keras.layers
    backbone = keras.applications.MobileNetV2(
        weights=None, include_top=False, input_shape=(96, 96, 3), alpha=0.35
    )
    backbone.trainable = False
    inputs = keras.Input((96, 96, 3))
    x = kl.Rescaling(1 / 127.5, offset=-1)(inputs)
    x = kl.Dropout(0.3)(backbone(x))
    x = kl.SeparableConv2D(48, kernel_size=2, strides=1, activation="relu")(x)
    return keras.Model(inputs, kl.SeparableConv2D(48, kernel_size=2, strides=1, activation="sigmoid")(x))


def transfer(keras: Keras) -> Any:
    """The guide to transfer learning: a frozen network inside of another."""
    kl = keras.layers
    base = keras.applications.MobileNet(weights=None, include_top=False, input_shape=(64, 64, 3), alpha=0.25)
    base.trainable = False
    inputs = keras.Input((64, 64, 3))
    x = kl.RandomZoom(0.1)(kl.RandomFlip()(inputs))
    x = base(kl.Rescaling(1 / 127.5, offset=-1)(x), training=False)
    x = kl.Dropout(0.2)(kl.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, kl.Dense(1)(x))


def zero_dce(keras: Keras) -> Any:
    """Low-light enhancement: convolutions of images of any size, whose skips nest."""
    kl = keras.layers
    inputs = keras.Input((None, None, 3))
    made = [inputs]
    for _ in range(4):
        made.append(kl.Conv2D(8, 3, activation="relu", padding="same")(made[-1]))
    x = kl.Conv2D(8, 3, activation="relu", padding="same")(kl.Concatenate(axis=-1)([made[4], made[3]]))
    x = kl.Conv2D(8, 3, activation="relu", padding="same")(kl.Concatenate(axis=-1)([x, made[2]]))
    x = kl.Conv2D(24, 3, activation="tanh", padding="same")(kl.Concatenate(axis=-1)([x, made[1]]))
    return keras.Model(inputs, x)


def super_resolution(keras: Keras) -> Any:
    """The sub-pixel convolution, of images of any size; TensorFlow's function puts the pixels together."""
    tensorflow = importlib.import_module("tensorflow")
    kl = keras.layers
    x = inputs = keras.Input((None, None, 1))
    for depth, size in ((16, 5), (16, 3), (8, 3), (9, 3)):
        x = kl.Conv2D(depth, size, activation="relu", padding="same")(x)
    return keras.Model(inputs, tensorflow.nn.depth_to_space(x, 3))


def super_resolution_class(keras: Keras) -> Any:
    """The same with a class of the program's own, whose code no file holds."""
    kl = keras.layers

    @keras.saving.register_keras_serializable("example")
    class DepthToSpace(kl.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            _, height, width, depth = x.shape
            x = keras.ops.reshape(x, (-1, height, width, 3, 3, depth // 9))
            x = keras.ops.transpose(x, (0, 1, 3, 2, 4, 5))
            return keras.ops.reshape(x, (-1, height * 3, width * 3, depth // 9))

    x = inputs = keras.Input((16, 16, 1))
    for depth, size in ((16, 5), (8, 3), (9, 3)):
        x = kl.Conv2D(depth, size, activation="relu", padding="same")(x)
    return keras.Model(inputs, DepthToSpace()(x))


def srgan_generator(keras: Keras) -> Any:
    """SRGAN's: residuals with slopes for each channel, enlarged twice."""
    kl = keras.layers
    inputs = keras.Input((16, 16, 3))
    x = first = kl.PReLU(shared_axes=[1, 2])(kl.Conv2D(16, 9, padding="same")(inputs))
    for _ in range(2):
        y = kl.PReLU(shared_axes=[1, 2])(
            kl.BatchNormalization(momentum=0.5)(kl.Conv2D(16, 3, padding="same")(x))
        )
        y = kl.BatchNormalization(momentum=0.5)(kl.Conv2D(16, 3, padding="same")(y))
        x = kl.Add()([x, y])
    x = kl.Add()([kl.BatchNormalization()(kl.Conv2D(16, 3, padding="same")(x)), first])
    for _ in range(2):
        x = kl.PReLU(shared_axes=[1, 2])(kl.UpSampling2D(size=2)(kl.Conv2D(32, 3, padding="same")(x)))
    return keras.Model(inputs, kl.Conv2D(3, 9, padding="same", activation="tanh")(x))


def dcgan_generator(keras: Keras) -> Any:
    """DCGAN's generator: a vector becomes an image."""
    kl = keras.layers
    return keras.Sequential(
        [
            keras.Input((100,)),
            *(kl.Dense(7 * 7 * 32, use_bias=False), kl.BatchNormalization(), kl.LeakyReLU()),
            kl.Reshape((7, 7, 32)),
            kl.Conv2DTranspose(32, (5, 5), strides=(1, 1), padding="same", use_bias=False),
            *(kl.BatchNormalization(), kl.LeakyReLU()),
            kl.Conv2DTranspose(16, (5, 5), strides=(2, 2), padding="same", use_bias=False),
            *(kl.BatchNormalization(), kl.LeakyReLU()),
            kl.Conv2DTranspose(1, (5, 5), strides=(2, 2), padding="same", use_bias=False, activation="tanh"),
        ]
    )


def dcgan_discriminator(keras: Keras) -> Any:
    """And its discriminator."""
    kl = keras.layers
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            *(kl.GaussianNoise(0.1), kl.Conv2D(32, kernel_size=4, strides=2, padding="same")),
            *(kl.LeakyReLU(0.2), kl.Conv2D(64, kernel_size=4, strides=2, padding="same")),
            *(kl.LeakyReLU(0.2), kl.SpatialDropout2D(0.1)),
            *(kl.Flatten(), kl.Dropout(0.2), kl.Dense(1, activation="sigmoid")),
        ]
    )


def convmixer(keras: Keras) -> Any:
    """ConvMixer: patches, then depthwise residuals and convolutions of one pixel."""
    kl = keras.layers

    def active(x: Any) -> Any:
        return kl.BatchNormalization()(kl.Activation("gelu")(x))

    inputs = keras.Input((32, 32, 3))
    x = kl.Rescaling(scale=1.0 / 255)(inputs)
    x = active(kl.Conv2D(48, kernel_size=2, strides=2)(x))
    for _ in range(3):
        before = x
        x = kl.Add()([active(kl.DepthwiseConv2D(kernel_size=5, padding="same")(x)), before])
        x = active(kl.Conv2D(48, kernel_size=1)(x))
    return keras.Model(inputs, kl.Dense(10, activation="softmax")(kl.GlobalAvgPool2D()(x)))


def mlp_mixer(keras: Keras) -> Any:
    """MLP-Mixer: dense layers along the channels, and along the patches, turned before and behind."""
    kl = keras.layers
    inputs = keras.Input((32, 32, 3))
    x = kl.Conv2D(24, kernel_size=8, strides=8)(inputs)
    x = kl.Reshape((16, 24))(x)
    for _ in range(2):
        y = kl.Permute((2, 1))(kl.LayerNormalization(epsilon=1e-6)(x))
        y = kl.Permute((2, 1))(kl.Dense(16)(kl.Dense(32, activation="gelu")(y)))
        x = kl.Add()([x, y])
        y = kl.LayerNormalization(epsilon=1e-6)(x)
        x = kl.Add()([x, kl.Dense(24)(kl.Dense(48, activation="gelu")(y))])
    return keras.Model(inputs, kl.Dense(10)(kl.GlobalAveragePooling1D()(x)))


def deeplab(keras: Keras) -> Any:
    """DeepLabV3+: a ResNet50 that is left within a block, dilated convolutions side by side."""
    kl = keras.layers

    def block(x: Any, depth: int = 32, size: int = 3, rate: int = 1) -> Any:
        x = kl.Conv2D(depth, size, dilation_rate=rate, padding="same", use_bias=False)(x)
        return kl.Activation("relu")(kl.BatchNormalization()(x))

    inputs = keras.Input((64, 64, 3))
    backbone = keras.applications.ResNet50(weights=None, include_top=False, input_tensor=inputs)
    x = backbone.get_layer("conv4_block6_2_relu").output
    pooled = block(kl.AveragePooling2D(pool_size=(4, 4))(x), size=1)
    pooled = kl.UpSampling2D(size=(4, 4), interpolation="bilinear")(pooled)
    towers = [block(x, size=1), *(block(x, rate=rate) for rate in (6, 12, 18))]
    x = block(kl.Concatenate(axis=-1)([pooled, *towers]), size=1)
    x = kl.UpSampling2D(size=(4, 4), interpolation="bilinear")(x)
    low = block(backbone.get_layer("conv2_block3_2_relu").output, depth=16, size=1)
    x = block(block(kl.Concatenate(axis=-1)([x, low])))
    x = kl.UpSampling2D(size=(4, 4), interpolation="bilinear")(x)
    return keras.Model(inputs, kl.Conv2D(5, kernel_size=(1, 1), padding="same")(x))


def timeseries_convnet(keras: Keras) -> Any:
    """Time series classification from scratch."""
    kl = keras.layers
    x = inputs = keras.Input((120, 1))
    for _ in range(3):
        x = kl.ReLU()(kl.BatchNormalization()(kl.Conv1D(32, kernel_size=3, padding="same")(x)))
    return keras.Model(inputs, kl.Dense(2, activation="softmax")(kl.GlobalAveragePooling1D()(x)))


def timeseries_autoencoder(keras: Keras) -> Any:
    """Time series anomalies: strides down, transposed convolutions up again."""
    kl = keras.layers
    return keras.Sequential(
        [
            keras.Input((288, 1)),
            kl.Conv1D(filters=32, kernel_size=7, padding="same", strides=2, activation="relu"),
            kl.Dropout(rate=0.2),
            kl.Conv1D(filters=16, kernel_size=7, padding="same", strides=2, activation="relu"),
            kl.Conv1DTranspose(filters=16, kernel_size=7, padding="same", strides=2, activation="relu"),
            kl.Dropout(rate=0.2),
            kl.Conv1DTranspose(filters=32, kernel_size=7, padding="same", strides=2, activation="relu"),
            kl.Conv1DTranspose(filters=1, kernel_size=7, padding="same"),
        ]
    )


def speakers(keras: Keras) -> Any:
    """Speaker recognition: residuals of one dimension."""
    kl = keras.layers
    x = inputs = keras.Input((800, 1), name="input")
    for filters, count in ((16, 2), (32, 2), (64, 3)):
        shortcut = kl.Conv1D(filters, 1, padding="same")(x)
        for _ in range(count - 1):
            x = kl.Activation("relu")(kl.Conv1D(filters, 3, padding="same")(x))
        x = kl.Add()([kl.Conv1D(filters, 3, padding="same")(x), shortcut])
        x = kl.MaxPool1D(pool_size=2, strides=2)(kl.Activation("relu")(x))
    x = kl.Flatten()(kl.AveragePooling1D(pool_size=3, strides=3)(x))
    x = kl.Dense(64, activation="relu")(kl.Dense(128, activation="relu")(x))
    return keras.Model(inputs, kl.Dense(5, activation="softmax", name="output")(x))


def wavenet(keras: Keras) -> Any:
    """WaveNet's blocks: causal, dilated, the tanh of one times the sigmoid of another."""
    kl = keras.layers
    inputs = keras.Input((96, 2))
    x, skips = kl.Conv1D(16, 2, padding="causal")(inputs), []
    for rate in (1, 2, 4, 8):
        gated = kl.Multiply()(
            [
                kl.Conv1D(16, 2, padding="causal", dilation_rate=rate, activation=kind)(x)
                for kind in ("tanh", "sigmoid")
            ]
        )
        skips.append(kl.Conv1D(16, 1)(gated))
        x = kl.Add()([x, kl.Conv1D(16, 1)(gated)])
    x = kl.Activation("relu")(kl.Concatenate()([x, kl.Conv1D(16, 1)(x)]))
    return keras.Model(inputs, kl.Dense(3)(kl.Flatten()(kl.Conv1D(2, 1)(x))))


def spectrograms(keras: Keras) -> Any:
    """The tutorial on commands: a spectrogram made smaller, standardized by what was seen of it."""
    kl = keras.layers
    norm = kl.Normalization()
    norm.build((None, 64, 64, 1))
    return keras.Sequential(
        [
            keras.Input((64, 64, 1)),
            *(kl.Resizing(32, 32), norm),
            *(kl.Conv2D(32, 3, activation="relu"), kl.Conv2D(64, 3, activation="relu")),
            *(kl.MaxPooling2D(), kl.Dropout(0.25), kl.Flatten()),
            *(kl.Dense(128, activation="relu"), kl.Dropout(0.5), kl.Dense(8)),
        ]
    )


def audio_separable(keras: Keras) -> Any:
    """Separable convolutions of one dimension, cropped and enlarged."""
    kl = keras.layers
    x = inputs = keras.Input((90, 4))
    x = kl.ReLU()(kl.BatchNormalization()(kl.SeparableConv1D(16, 5, padding="same")(x)))
    x = kl.SeparableConv1D(16, 3, strides=2, depth_multiplier=2, activation="relu")(x)
    x = kl.UpSampling1D(2)(kl.Cropping1D((1, 2))(x))
    x = kl.SpatialDropout1D(0.2)(kl.DepthwiseConv1D(3)(kl.ZeroPadding1D(2)(x)))
    return keras.Model(inputs, kl.Dense(6)(kl.GlobalMaxPooling1D()(x)))
