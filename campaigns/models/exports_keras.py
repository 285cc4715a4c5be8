"""ONNX files as Keras writes them, by tf2onnx or by torch's exporter: channels last outside.

A program for an environment with keras, and tensorflow and tf2onnx, or torch: ``python
campaigns/models/exports_keras.py FOLDER BACKEND [NAME...]`` writes `FOLDER/NAME-BACKEND.onnx`. Weights are
drawn from one seed; no file is fetched.
"""

import contextlib
import io
import os
import sys
import warnings
from pathlib import Path

os.environ["KERAS_BACKEND"] = sys.argv[2]
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
from keras import layers as kl

#: Keras's own networks, each with the side of its pictures; torch's exporter gets the first six.
APPLICATIONS = {
    "MobileNet": 64,
    "MobileNetV2": 64,
    "ResNet50": 64,
    "EfficientNetB0": 64,
    "DenseNet121": 64,
    "Xception": 96,
    "ResNet50V2": 64,
    "EfficientNetV2B0": 64,
    "InceptionV3": 96,
    "MobileNetV3Small": 64,
    "NASNetMobile": 64,
    "VGG16": 48,
}


def example():
    """Keras's MNIST example."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            kl.Conv2D(32, 3, activation="relu"),
            kl.MaxPooling2D(2),
            kl.Conv2D(64, 3, activation="relu"),
            kl.MaxPooling2D(2),
            kl.Flatten(),
            kl.Dropout(0.5),
            kl.Dense(10, activation="softmax"),
        ]
    )


def mini_xception():
    """Keras's image classification example: a small Xception."""
    inputs = x = keras.Input((48, 48, 3))
    x = kl.Rescaling(1 / 255)(x)
    x = before = kl.Activation("relu")(
        kl.BatchNormalization()(kl.Conv2D(16, 3, strides=2, padding="same")(x))
    )
    for size in (32, 64):
        x = kl.BatchNormalization()(kl.SeparableConv2D(size, 3, padding="same")(kl.Activation("relu")(x)))
        x = kl.BatchNormalization()(kl.SeparableConv2D(size, 3, padding="same")(kl.Activation("relu")(x)))
        x = kl.MaxPooling2D(3, strides=2, padding="same")(x)
        x = before = kl.add([x, kl.Conv2D(size, 1, strides=2, padding="same")(before)])
    x = kl.Dropout(0.25)(kl.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, kl.Dense(1)(x))


def unet():
    """Keras's segmentation example, shortened."""
    inputs = x = keras.Input((48, 48, 3))
    kept = []
    for size in (8, 16):
        x = kl.Conv2D(size, 3, padding="same", activation="relu")(x)
        kept.append(x)
        x = kl.MaxPooling2D()(x)
    x = kl.Conv2D(32, 3, padding="same", activation="relu")(x)
    for size, beside in ((16, kept[1]), (8, kept[0])):
        x = kl.Conv2DTranspose(size, 3, strides=2, padding="same")(x)
        x = kl.Conv2D(size, 3, padding="same", activation="relu")(kl.Concatenate()([x, beside]))
    return keras.Model(inputs, kl.Conv2D(3, 1, activation="softmax")(x))


def upsampled():
    """A convolutional autoencoder with UpSampling2D."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            kl.Conv2D(8, 3, activation="relu", padding="same"),
            kl.MaxPooling2D(2, padding="same"),
            kl.Conv2D(8, 3, activation="relu", padding="same"),
            kl.UpSampling2D(2),
            kl.Conv2D(1, 3, activation="sigmoid", padding="same"),
        ]
    )


def squeezed():
    """Squeeze-and-excitation by GlobalAveragePooling, Dense, Reshape and Multiply."""
    inputs = keras.Input((32, 32, 3))
    x = kl.Conv2D(16, 3, padding="same", activation="swish")(inputs)
    s = kl.Reshape((1, 1, 16))(kl.GlobalAveragePooling2D()(x))
    s = kl.Dense(16, activation="sigmoid")(kl.Dense(4, activation="relu")(s))
    x = kl.GlobalMaxPooling2D()(kl.Multiply()([x, s]))
    return keras.Model(inputs, kl.Dense(5, activation="softmax")(x))


def convmixer():
    """Keras's ConvMixer example, shortened."""
    inputs = keras.Input((32, 32, 3))
    x = kl.BatchNormalization()(
        kl.Activation("silu")(kl.Conv2D(32, 2, strides=2)(kl.Rescaling(1 / 255)(inputs)))
    )
    for _ in range(2):
        before = x
        x = kl.BatchNormalization()(kl.Activation("silu")(kl.DepthwiseConv2D(5, padding="same")(x)))
        x = kl.Add()([x, before])
        x = kl.BatchNormalization()(kl.Activation("silu")(kl.Conv2D(32, 1)(x)))
    return keras.Model(inputs, kl.Dense(10, activation="softmax")(kl.GlobalAvgPool2D()(x)))


def dense():
    """A network of vectors."""
    return keras.Sequential(
        [
            keras.Input((28, 28)),
            kl.Flatten(),
            kl.Dense(64, activation="elu"),
            kl.LayerNormalization(),
            kl.Dense(10, activation="log_softmax"),
        ]
    )


def signals():
    """Keras's timeseries classification example."""
    inputs = x = keras.Input((120, 1))
    for _ in range(3):
        x = kl.ReLU()(kl.BatchNormalization()(kl.Conv1D(16, 3, padding="same")(x)))
    return keras.Model(inputs, kl.Dense(2, activation="softmax")(kl.GlobalAveragePooling1D()(x)))


def captcha():
    """Keras's OCR example, with a recurrent layer."""
    inputs = x = keras.Input((100, 32, 1))
    for size in (16, 32):
        x = kl.MaxPooling2D()(kl.Conv2D(size, 3, padding="same", activation="relu")(x))
    x = kl.Dense(32, activation="relu")(kl.Reshape((25, 8 * 32))(x))
    x = kl.Bidirectional(kl.LSTM(16, return_sequences=True))(x)
    return keras.Model(inputs, kl.Dense(20, activation="softmax")(x))


def normalized():
    """Several activations, GroupNormalization, LayerNormalization over channels, zero padding, cropping."""
    return keras.Sequential(
        [
            keras.Input((24, 24, 3)),
            kl.ZeroPadding2D(((0, 1), (0, 1))),
            kl.Conv2D(16, 3, strides=2),
            kl.GroupNormalization(4),
            kl.LeakyReLU(),
            kl.Conv2D(16, 3, padding="same"),
            kl.LayerNormalization(),
            kl.PReLU(shared_axes=[1, 2]),
            kl.Cropping2D(1),
            kl.AveragePooling2D(3, strides=2, padding="same"),
            kl.GlobalMaxPooling2D(),
            kl.Dense(4),
        ]
    )


OWN = [example, mini_xception, unet, upsampled, squeezed, convmixer, dense, signals, captcha, normalized]


def models(names, backend):
    """Yield the name and the model of those named, or all."""
    for made in OWN:
        name = made.__name__.replace("_", "-")
        if not names or name in names:
            yield name, made
    few = 6 if backend == "torch" else len(APPLICATIONS)
    for name, side in [*APPLICATIONS.items()][:few]:
        if not names or name in names:
            kind = getattr(keras.applications, name)
            yield name, lambda: kind(weights=None, input_shape=(side, side, 3), classes=20)  # noqa: B023


def randomized(model):
    """Give normalizations statistics and parameters as after training: a fresh network's say little."""
    rng = np.random.default_rng(0)
    ranges = {
        "gamma": (0.8, 1.2),
        "beta": (-0.2, 0.2),
        "moving_mean": (-0.2, 0.2),
        "moving_variance": (0.7, 1.4),
    }
    model(np.zeros((2, *model.input_shape[1:]), np.float32))  # the exporter wants a model that was called
    for weight in model.weights:
        name = weight.path.rpartition("/")[2]
        if name in ranges:
            weight.assign(rng.uniform(*ranges[name], weight.shape))
    return model


def main():
    folder, backend, names = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    for name, make in models(names, backend):
        path = folder / f"{name}-{backend}.onnx"
        if path.exists():
            continue
        keras.utils.clear_session()
        keras.utils.set_random_seed(0)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                randomized(make()).export(path, format="onnx", verbose=False)
        except Exception as error:
            path.unlink(missing_ok=True)
            print(f"{path.name}: {type(error).__name__}: {(str(error) or '?').splitlines()[0][:200]}")


if __name__ == "__main__":
    main()
