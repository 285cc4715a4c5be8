"""Augmentation: plain loops give the same images, each sample's draws are its own, the bits stay the same."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from purecnn import (
    SGD,
    Augmentation,
    Convolutional,
    Dense,
    Flatten,
    Layer,
    MaxPooling,
    Network,
    ReLU,
    ShapeError,
    Softmax,
)
from purecnn.backend.memory import Workspace
from purecnn.backend.random import AUGMENTATION, stream, uniforms
from purecnn.datasets.augmentation import (
    ANGLE,
    DOWN,
    DRAWS,
    ERASE_DOWN,
    ERASE_RIGHT,
    FLIP,
    RIGHT,
    SCALE,
    SHEAR,
)

SEED, STEP = 3, 11


def pixel(image, y, x, fill):
    """Return one pixel, or `fill` outside."""
    height, width = image.shape
    return image[y, x] if 0 <= y < height and 0 <= x < width else fill


def between(image, y, x, fill):
    """Return the bilinear mean of the four pixels around a place."""
    top, left = math.floor(y), math.floor(x)
    low, across = y - top, x - left
    above = pixel(image, top, left, fill) * (1 - across) + pixel(image, top, left + 1, fill) * across
    below = pixel(image, top + 1, left, fill) * (1 - across) + pixel(image, top + 1, left + 1, fill) * across
    return above * (1 - low) + below * low


def naive(a, images, samples):
    """Change images in plain loops, by the formula of the docstring."""
    channels, height, width, _ = images.shape
    result = np.empty(images.shape)
    for n, sample in enumerate(samples):
        u = uniforms(SEED, AUGMENTATION, STEP, [sample], DRAWS)[:, 0]
        theta, lean = math.radians(a.rotate * (2 * u[ANGLE] - 1)), math.radians(a.shear * (2 * u[SHEAR] - 1))
        s = 1 + a.scale * (2 * u[SCALE] - 1)
        turn = np.array([[math.cos(theta), math.sin(theta)], [-math.sin(theta), math.cos(theta)]]) / s
        matrix = np.array([[1, 0], [math.tan(lean), 1]]) @ turn
        mirror = -1 if a.flip and u[FLIP] < 0.5 else 1
        if a.rotate or a.scale or a.shear:
            t = np.array([a.shift * (2 * u[DOWN] - 1), a.shift * (2 * u[RIGHT] - 1)])
        else:
            most = int(a.shift)
            t = np.floor(u[[DOWN, RIGHT]] * (2 * most + 1)) - most
        c = np.array([(height - 1) / 2, (width - 1) / 2])
        square = [int(u[ERASE_DOWN] * height) - a.erase // 2, int(u[ERASE_RIGHT] * width) - a.erase // 2]
        for d in range(channels):
            for i in range(height):
                for j in range(width):
                    y, x = matrix @ (np.array([i, j]) - c - t)
                    found = between(images[d, :, :, n], c[0] + y, c[1] + mirror * x, a.fill)
                    if square[0] <= i < square[0] + a.erase and square[1] <= j < square[1] + a.erase:
                        found = a.fill
                    result[d, i, j, n] = found
    return result


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "settings",
    [
        {"shift": 2},
        {"flip": True},
        {"shift": 1, "flip": True, "fill": 7},
        {"shift": 30, "fill": -1},
        {"erase": 3, "fill": 5},
        {"rotate": 15},
        {"rotate": 179, "fill": 9},
        {"scale": 0.5},
        {"shear": 30},
        {"rotate": 30, "shift": 1.5, "scale": 0.2, "shear": 10, "flip": True, "erase": 4, "fill": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(1, 6, 6, 5), (3, 5, 8, 3), (2, 1, 7, 1)], ids=str)
def test_like_plain_loops(settings, shape, dtype):
    a, samples = Augmentation(**settings), np.arange(shape[-1]) * 5 + 2
    images = np.random.default_rng(0).integers(0, 256, shape).astype(dtype)
    wanted = naive(a, images.astype(np.float64), samples)
    found = images.copy()
    a.apply(found, samples, SEED, STEP, Workspace())
    np.testing.assert_allclose(found, wanted, atol=2e-3 if dtype == np.float32 else 1e-9)


def test_a_quarter_turn_by_hand():
    """Turned by exactly 90 degrees, to either side, an image of whole pixels is `np.rot90` of it."""
    images = np.arange(18.0).reshape(2, 3, 3, 1)
    drawn = np.full((DRAWS, 1), 0.5)
    for u, k in ((1.0, -1), (0.0, 1)):
        drawn[ANGLE] = u
        found = images.copy()
        Augmentation(rotate=90).warp(found, drawn, Workspace(), 0.0)
        # positive angles turn clockwise as one looks at the picture, its rows going down
        wanted = np.rot90(images, -k, axes=(1, 2))
        np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_no_change_changes_nothing():
    images = np.random.default_rng(0).random((1, 4, 4, 3))
    found = images.copy()
    Augmentation().apply(found, np.arange(3), SEED, STEP, Workspace())
    assert np.array_equal(found, images)


@pytest.mark.parametrize("settings", [{"shift": 2}, {"rotate": 20, "scale": 0.1, "erase": 2}], ids=str)
def test_a_sample_s_change_is_its_own(settings):
    """Not its place in the batch, nor who stands beside it, only seed, step and number decide."""
    a, images = Augmentation(**settings), np.random.default_rng(0).random((1, 6, 6, 40)).astype(np.float32)
    samples = np.random.default_rng(1).permutation(1000)[:40]

    def changed(order, seed=SEED, step=STEP):
        found = images[..., order].copy()
        a.apply(found, samples[order], seed, step, Workspace())
        return found

    everything, order = changed(np.arange(40)), np.random.default_rng(2).permutation(40)[:17]
    assert np.array_equal(changed(order), everything[..., order])
    assert not np.array_equal(changed(order, step=STEP + 1), everything[..., order])
    assert not np.array_equal(changed(order, seed=SEED + 1), everything[..., order])


def test_the_draws_fill_their_ranges_evenly():
    u = uniforms(0, AUGMENTATION, 1, np.arange(20_000), DRAWS)
    assert u.shape == (DRAWS, 20_000)
    assert u.min() >= 0
    assert u.max() < 1
    # of 20,000 numbers, each tenth of the range holds 2,000, give or take six standard deviations
    for row in u:
        counts = np.histogram(row, 10, (0, 1))[0]
        assert np.abs(counts - 2000).max() < 6 * math.sqrt(1800)
    between_rows = np.corrcoef(u)[~np.eye(DRAWS, dtype=bool)]
    neighbours = [np.corrcoef(row[:-1], row[1:])[0, 1] for row in u]
    assert max(np.abs(between_rows).max(), np.abs(neighbours).max()) < 6 / math.sqrt(20_000)


def test_the_numbers_are_those_of_splitmix64():
    """Its reference in plain integers, held to the first numbers known for the seed 1234567."""

    def sequence(start, count):
        for k in range(1, count + 1):
            z = (start + k * 0x9E3779B97F4A7C15) % 2**64
            z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
            z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
            yield z ^ z >> 31

    assert list(sequence(1234567, 3)) == [6457827717110365317, 3203168211198807973, 9817491932198370423]
    start = int(stream(4, AUGMENTATION, 9).bit_generator.random_raw())
    wanted = np.array([(z >> 11) / 2**53 for z in sequence(start, 60)]).reshape(20, 3)
    assert np.array_equal(uniforms(4, AUGMENTATION, 9, range(20), 3), wanted.T)


def test_half_of_the_images_are_mirrored():
    image = np.zeros((1, 1, 2, 5000), np.float32)
    image[0, 0, 0] = 1
    Augmentation(flip=True).apply(image, np.arange(5000), 0, 1, Workspace())
    assert abs(image[0, 0, 1].sum() - 2500) < 6 * math.sqrt(1250)


def test_whole_shifts_are_all_drawn_alike():
    image = np.zeros((1, 5, 5, 5000), np.float32)
    image[0, 2, 2] = 1
    Augmentation(shift=2).apply(image, np.arange(5000), 0, 1, Workspace())
    counts = image[0].sum(axis=-1)
    assert counts.sum() == 5000  # none left the frame
    assert np.abs(counts - 200).max() < 6 * math.sqrt(192)


def digits(samples, size=12):
    """Return random bytes that look like images, and labels that a network can learn."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, samples)
    images = rng.integers(0, 60, (samples, size, size))
    for image, label in zip(images, labels, strict=True):
        image[2 * label : 2 * label + 3] += 150
    return images.astype(np.uint8), labels


def small(seed=0):
    return Network(
        [
            Convolutional(kernel_size=3, depth=4),
            ReLU(),
            MaxPooling(2),
            Flatten(),
            Dense(output_size=4),
            Softmax(),
        ],
        seed=seed,
    )


CHANGE = Augmentation(shift=2, rotate=10, scale=0.1, erase=3, flip=True)


@pytest.mark.parametrize("batch_size", [16, 100])
def test_same_bits_at_any_number_of_threads(batch_size):
    x, y = digits(230)
    found = []
    for threads in (1, 2, 4):
        network = small()
        network.fit(x, y, epochs=2, batch_size=batch_size, threads=threads, augmentation=CHANGE)
        found.append(network.parameters.tobytes())
    assert found[0] == found[1] == found[2]
    plain = small()
    plain.fit(x, y, epochs=2, batch_size=batch_size)
    assert plain.parameters.tobytes() != found[0]


def test_the_second_fit_goes_on_with_the_next_draws():
    x, y = digits(100)
    once, twice = small(), small()
    once.fit(x, y, epochs=2, augmentation=CHANGE)
    for _ in range(2):
        twice.fit(x, y, augmentation=CHANGE)
    assert once.parameters.tobytes() == twice.parameters.tobytes()


def test_raw_values_are_changed_before_they_are_scaled():
    """A fill of 255 is white paper: after scaling it is 1."""
    x, y = np.full((32, 6, 6), 255, np.uint8), np.arange(32) % 2
    seen = []

    class Spy(Flatten):
        def forward(self, input):
            seen.append(input.copy())
            return super().forward(input)

    network = Network([Spy(), Dense(output_size=2), Softmax()], input_shape=(1, 6, 6))
    network.fit(x, y, batch_size=32, augmentation=Augmentation(shift=3, erase=2, fill=255))
    assert all(np.array_equal(values, np.ones_like(values)) for values in seen)
    assert seen


def test_each_step_has_changes_of_its_own():
    x, y = digits(16)
    seen = []

    class Spy(Flatten):
        def forward(self, input):
            seen.append(input.copy())
            return super().forward(input)

    network = Network([Spy(), Dense(output_size=4), Softmax()], input_shape=(1, 12, 12))
    network.fit(x, y, epochs=3, batch_size=16, shuffle=False, augmentation=CHANGE)
    assert len(seen) == 3
    for first, second in itertools.combinations(seen, 2):
        assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"shift": -1}, "shift must be a number of at least 0 and below 1e+09, got -1"),
        ({"shift": np.inf}, "shift must be a number of at least 0 and below 1e+09, got inf"),
        ({"rotate": 180}, "rotate must be a number of at least 0 and below 180, got 180"),
        ({"scale": 1}, "scale must be a number of at least 0 and below 1, got 1"),
        ({"shear": "5"}, "shear must be a number of at least 0 and below 90, got '5'"),
        ({"flip": 1}, "flip must be True or False, got 1"),
        ({"shift": 1e30}, "shift must be a number of at least 0 and below 1e+09, got 1e+30"),
        ({"erase": 1.5}, "erase must be an integer of at least 0 and below 1e+09, in pixels, got 1.5"),
        ({"erase": -1}, "erase must be an integer of at least 0 and below 1e+09, in pixels, got -1"),
        (
            {"erase": 10**19},
            "erase must be an integer of at least 0 and below 1e+09, in pixels, got 10000000000000000000",
        ),
        ({"fill": np.nan}, "fill must be a finite number, got nan"),
    ],
)
def test_refusals(settings, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        Augmentation(**settings)
    assert str(caught.value) == words


def test_fit_refuses_what_is_no_augmentation_and_samples_that_are_no_images():
    x, y = digits(40)
    with pytest.raises(TypeError, match=r"^augmentation must be an Augmentation, got True$"):
        small().fit(x, y, augmentation=True)
    network = Network([Dense(144, 4), Softmax()])
    with pytest.raises(ShapeError, match=r"^augmentation wants images \(channels, height, width\), got sam"):
        network.fit(x.reshape(40, -1), y, augmentation=CHANGE)


def test_it_is_made_anew_from_what_it_prints():
    assert eval(repr(CHANGE)) == CHANGE == Augmentation(**CHANGE.configuration())


MOVES = [
    Augmentation(shift=2, flip=True),
    Augmentation(shift=1.5, rotate=40, scale=0.3, shear=20, flip=True),
    Augmentation(rotate=180 - 1e-9, erase=3),
]


@pytest.mark.parametrize("augmentation", MOVES)
def test_label_maps_take_the_nearest_pixel_of_the_place_that_an_image_takes(augmentation):
    """Coordinates moved as images say where each label of a map must come from."""
    samples, (height, width) = np.array([4, 0, 9, 2]), (7, 5)
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    far = -1e3  # so that whatever lies partly beyond the border is told by its size
    places = np.repeat(np.stack([rows, columns])[..., None], 4, axis=3).astype(np.float64)
    given = {"samples": samples, "seed": SEED, "step": STEP, "workspace": Workspace()}
    augmentation.apply_to_targets(places, **given, fill=far)
    labels = np.random.default_rng(0).integers(0, 9, (1, height, width, 4)).astype(np.float32)
    moved = labels.copy()
    augmentation.apply_to_targets(moved, **given, fill=-1, nearest=True)
    inner = 0
    for i, j, n in np.ndindex(height, width, 4):
        y, x = places[:, i, j, n]
        if y < 0 or x < 0:
            continue  # on or beyond the border
        if min(abs(y % 1 - 0.5), abs(x % 1 - 0.5)) > 1e-4:
            assert moved[0, i, j, n] == labels[0, round(y), round(x), n]
            inner += 1
    assert inner > 40
    assert (moved == -1).any()
    assert set(np.unique(moved)) <= {-1, *range(9)}


@pytest.mark.parametrize("augmentation", MOVES)
def test_targets_move_with_their_images(augmentation):
    """What a loss is told of targets equal to the images is what the network is shown."""
    rng, seen = np.random.default_rng(1), []
    x = rng.random((6, 1, 7, 5)).astype(np.float32)

    class Same(Layer):
        def forward(self, input):
            seen.append(np.array(input))
            return input

        def backward(self, output_gradient):
            return output_gradient

    def compare(y_true, y_pred):
        seen.append(np.array(y_true))
        return 0.0

    def slope(y_true, y_pred):
        return np.zeros_like(y_pred)

    moves = replace(augmentation, erase=0)
    made = Network([Same(), Convolutional(kernel_size=1, depth=1)], input_shape=(1, 7, 5))
    made.fit(x, x, loss=compare, loss_prime=slope, augmentation=moves, batch_size=6, shuffle=False, threads=1)
    np.testing.assert_allclose(seen[0], seen[1], rtol=1e-6, atol=1e-6)
    assert not np.allclose(seen[1], np.moveaxis(x, 0, -1))


def test_pixels_from_beyond_the_border_count_nothing_and_the_bits_are_those_of_one_worker():
    rng = np.random.default_rng(2)
    x = rng.random((32, 1, 6, 6)).astype(np.float32)
    y = (x[:, 0] > 0.5).astype(np.uint8)
    y[:5, :2] = 9
    found = []
    for threads, shards in ((1, 4), (2, 4), (1, 1)):
        made = Network(
            [Convolutional(kernel_size=1, depth=2), Softmax()], input_shape=(1, 6, 6), dtype="float64"
        )
        history = made.fit(
            x,
            y,
            ignore_label=9,
            epochs=2,
            batch_size=16,
            augmentation=MOVES[1],
            threads=threads,
            shards=shards,
        )
        found.append((made.parameters.copy(), history.loss))
    assert found[0][1] == found[1][1]
    assert np.array_equal(found[0][0], found[1][0])
    np.testing.assert_allclose(found[2][0], found[0][0], rtol=1e-9)  # the loss is that of the whole batch
    with pytest.raises(ShapeError, match="of their height and width, 6 x 6, got 3 x 3"):
        Network([MaxPooling(2), Convolutional(kernel_size=1, depth=2), Softmax()], input_shape=(1, 6, 6)).fit(
            x, y[:, :3, :3], ignore_label=9, augmentation=MOVES[0]
        )
    alone = []
    for momentum in (0.0, 1e-30):  # which takes the trainer of single samples away
        made = Network([Convolutional(kernel_size=1, depth=2), Softmax()], input_shape=(1, 6, 6))
        history = made.fit(
            x, y, ignore_label=9, batch_size=1, optimizer=SGD(0.1, momentum=momentum), augmentation=MOVES[1]
        )
        alone.append([*made.parameters, *history.loss])
    np.testing.assert_allclose(alone[0], alone[1], rtol=1e-4)
