"""What a sample takes on its way is known before: no more is taken, and files that ask for more refused."""

from __future__ import annotations

import copy
import tracemalloc

import numpy as np
import pytest

from purecnn import (
    ELU,
    GELU,
    AdaptiveAveragePooling,
    AdaptiveMaxPooling,
    AveragePooling,
    BatchNormalization,
    ChannelShuffle,
    Convolutional,
    Convolutional1D,
    Cropping,
    Dense,
    DepthToSpace,
    DepthwiseConvolutional,
    Flatten,
    GlobalAveragePooling,
    GlobalMaxPooling,
    GlobalMaxPooling1D,
    GroupNormalization,
    LayerNormalization,
    MaxPooling,
    MaxPooling1D,
    Network,
    ReflectionPadding,
    ReLU,
    ReplicationPadding,
    Reshape,
    Residual,
    SeparableConvolutional,
    ShapeError,
    Softmax,
    TransposedConvolutional,
    UpSampling,
    ZeroPadding,
    load,
    save,
)
from purecnn.backend import memory
from purecnn.backend.memory import Workspace
from purecnn.errors import FileFormatError
from purecnn.kernels.cpu import lay_out
from purecnn.kernels.geometry import Window
from purecnn.layers.footprint import footprint
from purecnn.layers.registry import LAYERS
from purecnn.training import runnable

IMAGES = (4, 33, 47)
PLAIN = ("HardSwish", "Identity", "LeakyReLU", "Mish", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softplus", "Tanh")


def one(depth):
    return Convolutional(kernel_size=1, depth=depth)


MANY = {
    "plain": [Convolutional(kernel_size=3, depth=8), ReLU(), MaxPooling(2)],
    "strided": [Convolutional(kernel_size=(5, 2), depth=8, stride=(3, 1), padding="same"), ELU()],
    "holes": [Convolutional(kernel_size=3, depth=8, dilation=(9, 4), padding=(9, 4))],
    "groups": [DepthwiseConvolutional(kernel_size=3, depth_multiplier=3)],
    "tall": [Convolutional(kernel_size=(20, 1), depth=1)],
    "transposed": [TransposedConvolutional(kernel_size=4, depth=3, stride=2, padding=1)],
    "transposed, plain": [TransposedConvolutional(kernel_size=3, depth=8), ReLU()],
    "transposed, groups": [
        TransposedConvolutional(kernel_size=3, depth=4, groups=2, stride=(3, 2), dilation=(2, 1))
    ],
    "separable": [SeparableConvolutional(kernel_size=3, depth=6, depth_multiplier=2), ReLU()],
    "signals": [
        Reshape(IMAGES, (4, 33 * 47)),
        Convolutional1D(kernel_size=5, depth=8),
        ReLU(),
        MaxPooling1D(2),
        GlobalMaxPooling1D(),
    ],
    "pooled": [MaxPooling(7, 1)],
    "adaptive": [AdaptiveMaxPooling(20), AdaptiveAveragePooling((30, 5)), GlobalMaxPooling()],
    "adaptive, larger": [AdaptiveAveragePooling((40, 90)), AdaptiveMaxPooling((100, 60))],
    "pooled, padded": [MaxPooling(7, 1, "same"), AveragePooling(5, 1, 4), AveragePooling(3, 2, 1, False)],
    "averaged": [AveragePooling(3, 1), GlobalAveragePooling(), Softmax()],
    "normal": [BatchNormalization(), GELU()],
    "normal in itself": [GroupNormalization(1), LayerNormalization(), LayerNormalization("sample")],
    "padded": [ZeroPadding(5), Flatten()],
    "reflected": [ReflectionPadding(5), ReplicationPadding((40, 3)), Flatten()],
    "cropped": [Cropping((5, 2)), Flatten()],
    "shuffled": [ChannelShuffle(2), Flatten()],
    "upsampled": [UpSampling(2), UpSampling((1, 3), "bilinear"), UpSampling((3, 1), "bilinear")],
    "corners": [UpSampling((2, 3), "bilinear", align_corners=True)],
    "depth to space": [DepthToSpace(2), Flatten()],
    "residual": [
        Residual([Convolutional(kernel_size=3, depth=4, padding=1), BatchNormalization(), GELU()]),
        Residual([ReLU(), Residual([one(6)], [one(6)])], [one(6)]),
    ],
    "dense": [Flatten(), Dense(output_size=5)],
    **{name: [LAYERS[name]()] for name in PLAIN},
}  # fmt: skip


def held_to_its_footprint(layers, shape, samples, dtype, kernels=0):
    """Ask a network once more and hold what that takes to what was said, `kernels` bytes aside."""
    asked = Network(copy.deepcopy(layers), input_shape=shape, dtype=dtype)
    x = np.ones((samples, *shape), dtype)
    asked.predict(x, threads=1)
    asked._idle.clear()
    tracemalloc.start()
    try:
        answers = asked.predict(x, threads=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    said = samples * footprint(asked, shape).memory(asked.dtype.itemsize)
    assert peak <= said + answers.nbytes + kernels + 2**18
    assert said <= 10 * peak + 2**18


@pytest.mark.no_cover
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("samples", [1, 20])
@pytest.mark.parametrize("name", MANY)
def test_a_prediction_takes_no_more_than_is_said_before(name, samples, dtype, monkeypatch):
    monkeypatch.setattr(memory, "LARGE", 2**60)  # so that all is seen
    held_to_its_footprint(MANY[name], IMAGES, samples, dtype)


@pytest.mark.no_cover
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("depth", "size", "kind"), [(64, 8, "WinogradSquare"), (16, 12, "Winograd")])
def test_tiles_take_no_more_than_is_said_before(monkeypatch, depth, size, kind, dtype):
    monkeypatch.setattr(memory, "LARGE", 2**60)
    window = Window((3, 3), padding=((1, 1), (1, 1)))
    work = lay_out(np.zeros((depth, size, size, 20), dtype), depth, window, workspace := Workspace())
    assert type(work).__name__ == kind
    assert workspace is not None
    layers = [Convolutional(kernel_size=3, depth=depth, padding=1) for _ in range(3)]
    turned = 3 * work.flat(np.zeros((depth, depth, 3, 3), dtype)).nbytes
    held_to_its_footprint([*layers, GlobalAveragePooling()], (depth, size, size), 20, dtype, turned)


#: Files of some hundred bytes, and what one sample would take.
HUGE = {
    "border": ([ZeroPadding(7000), GlobalAveragePooling()], (1, 4, 4)),
    "pixels": ([ReplicationPadding(10000), Cropping(10001), Flatten()], (1, 4, 4)),
    "upsampling": ([UpSampling(7000), GlobalAveragePooling()], (1, 4, 4)),
    "upsamplings": ([UpSampling(10, "bilinear")] * 3 + [GlobalAveragePooling()], (8, 4, 4)),
    "borders": ([ZeroPadding(1500)] * 3 + [GlobalAveragePooling()], (8, 4, 4)),
    "adaptive": ([AdaptiveAveragePooling(20000), GlobalMaxPooling()], (1, 4, 4)),
    "winners": ([MaxPooling(120, 1), GlobalAveragePooling()], (4, 300, 300)),
    "windows": (
        [Convolutional(kernel_size=(1, 400), depth=1, padding=(0, 200)), GlobalAveragePooling()],
        (1, 1000, 1000),
    ),
}


@pytest.mark.parametrize("name", HUGE)
def test_a_small_file_that_asks_for_much_memory_is_refused(name, tmp_path):
    kinds, shape = HUGE[name]
    layers = [type(layer)(**layer.configuration()) for layer in kinds]
    path = tmp_path / "model.safetensors"
    save(Network(layers, input_shape=shape), path)
    assert path.stat().st_size < 4000
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match=r"one sample takes \d+ bytes .*: max_bytes of load"):
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()
    assert load(path, max_bytes=None).max_bytes is None
    assert load(path, max_bytes=2**40).max_bytes == 2**40


def test_a_small_file_that_asks_for_much_time_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    save(Network([AveragePooling(200, 1), GlobalAveragePooling()], input_shape=(1, 400, 400)), path)
    with pytest.raises(FileFormatError, match=r"one sample goes over \d+ bytes, wanted at most 4294967296"):
        load(path, max_bytes=2**22)


def test_the_bound_of_a_file_is_its_networks_from_then_on(tmp_path):
    made = Network([Convolutional(kernel_size=3, depth=2), ReLU(), Flatten()], input_shape=(1, 30, 30))
    each = footprint(made, (1, 30, 30)).memory(4)
    path = tmp_path / "model.safetensors"
    save(made, path)
    found = load(path, max_bytes=20 * each)
    x = np.random.default_rng(0).normal(size=(70, 1, 30, 30)).astype(np.float32)
    assert (made.chunk(), found.chunk()) == (runnable.CHUNK, 16)
    np.testing.assert_allclose(found.predict(x), made.predict(x), rtol=1e-5, atol=1e-6)
    found.max_bytes = each - 1
    with pytest.raises(ShapeError, match=rf"one sample takes {each} bytes .*; max_bytes allows {each - 1}"):
        found.predict(x)


def test_as_many_large_samples_are_predicted_at_a_time_as_fit(monkeypatch):
    made = Network([Reshape((1, 30, 30), (900,))], input_shape=(1, 30, 30))
    each = footprint(made, (1, 30, 30)).memory(4)
    monkeypatch.setattr(runnable, "CHUNK_BYTES", 100 * each)
    assert made.chunk() == 64
    monkeypatch.setattr(runnable, "CHUNK_BYTES", 1)
    assert made.chunk() == 1  # the user's own network is asked, whatever it takes
