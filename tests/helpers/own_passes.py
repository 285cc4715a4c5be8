"""The engine beside the layers' own passes: small images, a step by hand, and the comparison of both."""

import copy

import numpy as np

from helpers.workers import COMPANIES, use
from purecnn import SGD, load, save


def data(samples=100, size=8):
    """Return square images and three classes."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (samples, size, size)).astype(np.uint8), rng.integers(0, 3, samples)


def whole(network, x, y, rate):
    """Take a step of gradient descent with the layers' own passes alone, each layer's input kept safe."""
    values = np.moveaxis(x[:, None] / 255.0, 0, -1)
    for layer in network:
        layer.training = True
        values = layer.forward(values)
    gradient = -np.eye(3)[:, y] / values / len(x)
    for layer in reversed(network.layers):
        gradient = layer.backward(gradient)
    for layer in network:
        for name, parameter in layer.parameters.items():
            parameter -= rate * layer.gradients[name]


def hold_to_own_passes(build):
    """Train two networks that `build` makes, by the engine and by hand; hold parameters and answers equal."""
    x, y = data()
    engine, readable = build(), build()
    engine.bind((1, 8, 8))
    readable.bind((1, 8, 8))
    for rows, threads in ((slice(100), 2), (slice(40), 1), (slice(100), 1)):
        engine.fit(x[rows], y[rows], batch_size=100, shuffle=False, optimizer=SGD(0.2), threads=threads)
        whole(readable, x[rows], y[rows], 0.2)
    np.testing.assert_allclose(engine.parameters, readable.parameters, rtol=1e-8, atol=1e-11)
    # prediction, fused and not
    answers = engine.predict(x)
    unfused = engine.replica(engine.layers, training=False)
    values = unfused.forward(unfused.take(x.reshape(100, -1), slice(None)))
    np.testing.assert_allclose(answers, values.T, rtol=1e-9)


def hold_to_the_same_bits(monkeypatch, build):
    """Train what `build` makes with every company of workers: all end in the same parameters."""
    x, y = data(150)
    found = set()
    for kind, threads in COMPANIES:
        use(monkeypatch, kind)
        network = build()
        network.fit(x, y, epochs=2, batch_size=128, threads=threads)
        found.add(network.parameters.tobytes())
    assert len(found) == 1


def hold_threads_to_the_same_bits(build, x, y):
    """Train what `build` makes in 1, 2 and 4 threads: all end in the same parameters."""
    found = set()
    for threads in (1, 2, 4):
        network = build()
        network.fit(x, y, epochs=2, batch_size=64, threads=threads)  # the last batch is short
        found.add(network.parameters.tobytes())
    assert len(found) == 1


def hold_to_the_same_in_any_order(layer, shape):
    """Give a layer arrays whose axes lie the other way round in memory: it computes the same as of others."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5, *shape[::-1])).T
    g = rng.standard_normal((5, *layer.bind(shape)[::-1])).T
    found, back = layer.forward(x), layer.backward(g)
    np.testing.assert_array_equal(found, layer.forward(np.ascontiguousarray(x)))
    np.testing.assert_array_equal(back, layer.backward(np.ascontiguousarray(g)))


def hold_to_copies_and_files(build, folder):
    """Train what `build` makes; its copy and its file answer alike, and train on by themselves."""
    x, y = data(80)
    network = build()
    network.fit(x, y, threads=1)
    save(network, folder / "model.safetensors")
    for twin in (load(folder / "model.safetensors"), copy.deepcopy(network)):
        assert repr(twin) == repr(network)
        assert twin.predict(x).tobytes() == network.predict(x).tobytes()
        twin.fit(x, y, threads=1)
        assert twin.parameters.tobytes() != network.parameters.tobytes()
