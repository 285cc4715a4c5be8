"""Operators that take places, steps and regions, held to onnxruntime over random odd cases."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from onnx import helper

from helpers.onnx_models import graph, model, node, value

onnxruntime = pytest.importorskip("onnxruntime", reason="has no wheels for this system and Python")

SILENT = onnxruntime.SessionOptions()
SILENT.log_severity_level = 4


def both(operator, inputs, opset, outputs=1, **attributes):
    """The outputs of purecnn and of onnxruntime for the same inputs; None is one left out."""
    names = [f"i{place}" if given is not None else "" for place, given in enumerate(inputs)]
    made = [f"o{place}" for place in range(outputs)]
    feeds = {name: np.asarray(given) for name, given in zip(names, inputs, strict=True) if name}
    kinds = {name: helper.np_dtype_to_tensor_dtype(given.dtype) for name, given in feeds.items()}
    shape = {
        "inputs": [value(name, given.shape, kinds[name]) for name, given in feeds.items()],
        "outputs": [helper.make_empty_tensor_value_info(name) for name in made],
        "opset": opset,
    }
    nodes = [node(operator, names, made, **attributes)]
    session = onnxruntime.InferenceSession(
        model(nodes, **shape).SerializeToString(), SILENT, providers=["CPUExecutionProvider"]
    )
    wanted = session.run(None, feeds)
    shape["outputs"] = [
        value(name, [None] * one.ndim, helper.np_dtype_to_tensor_dtype(one.dtype))
        for name, one in zip(made, wanted, strict=True)
    ]
    found = graph(nodes, **shape).run(feeds)
    return [found[name] for name in made], wanted


def same(operator, inputs, opset, outputs=1, rtol=1e-5, atol=1e-6, **attributes):
    for found, wanted in zip(*both(operator, inputs, opset, outputs, **attributes), strict=True):
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=atol)


def numbers(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


# Sequences ----------------------------------------------------------------------------------------------

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
ODD = ["Affine", "Elu", "HardSigmoid", "LeakyRelu", "Relu", "ScaledTanh", "Sigmoid", "Softplus", "Softsign",
       "Tanh", "ThresholdedRelu"]  # fmt: skip


def recurrent(operator, rng, direction, steps=5, batch=3, size=4, hidden=6):
    """Inputs of a recurrent operator, all that it may have."""
    ways, gates = 1 + (direction == "bidirectional"), GATES[operator]
    given = [
        numbers(rng, steps, batch, size),
        numbers(rng, ways, gates * hidden, size),
        numbers(rng, ways, gates * hidden, hidden),
        numbers(rng, ways, 2 * gates * hidden),
        rng.integers(1, steps + 1, batch).astype(np.int32),
        numbers(rng, ways, batch, hidden),
    ]
    if operator == "LSTM":
        given += [numbers(rng, ways, batch, hidden), numbers(rng, ways, 3 * hidden)]
    return given


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("operator", GATES)
def test_sequences_of_any_length_in_both_directions(operator, direction):
    rng = np.random.default_rng(0)
    given, more = recurrent(operator, rng, direction), {"hidden_size": 6, "direction": direction}
    outputs = 3 if operator == "LSTM" else 2
    same(operator, given, 14, outputs, **more)
    same(operator, given[:3], 7, outputs, **more)
    for left_out in range(3, len(given)):
        same(
            operator,
            [one if place != left_out else None for place, one in enumerate(given)],
            14,
            outputs,
            **more,
        )
    same(operator, given, 14, outputs, clip=0.6, **more)
    same(operator, recurrent(operator, rng, direction, 1, 1, 1, 6), 14, outputs, **more)
    if operator == "GRU":
        same(operator, given, 14, outputs, linear_before_reset=1, **more)
        same(operator, given, 14, outputs, linear_before_reset=1, clip=0.4, **more)
    if operator == "LSTM":
        same(operator, given, 14, outputs, input_forget=1, **more)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("operator", GATES)
def test_activations_of_sequences_with_numbers_of_their_own(operator, seed):
    rng = np.random.default_rng(seed)
    direction = ("forward", "reverse", "bidirectional")[seed % 3]
    names = rng.choice(ODD, (1 + (seed % 3 == 2)) * {"RNN": 1, "GRU": 2, "LSTM": 3}[operator]).tolist()
    taking = {"alpha": {"Affine", "Elu", "HardSigmoid", "LeakyRelu", "ScaledTanh", "ThresholdedRelu"},
              "beta": {"Affine", "HardSigmoid", "ScaledTanh"}}  # fmt: skip
    numbers_of = {
        f"activation_{which}": rng.uniform(0.1, 0.9, count).round(2).tolist()
        for which, those in taking.items()
        if (count := sum(name in those for name in names))
    }
    given = [
        0.3 * one if one is not None and one.dtype.kind == "f" else one
        for one in recurrent(operator, rng, direction)
    ]
    outputs = 3 if operator == "LSTM" else 2
    same(operator, given, 14, outputs, rtol=1e-4, atol=1e-5, hidden_size=6, direction=direction,
         activations=names, **numbers_of)  # fmt: skip


@pytest.mark.parametrize("operator", GATES)
def test_sequences_with_the_batch_first(operator):
    """Which onnxruntime lacks: held to the same with the steps first."""
    rng = np.random.default_rng(1)
    given = recurrent(operator, rng, "bidirectional")
    more = {"hidden_size": 6, "direction": "bidirectional"}
    outputs = 3 if operator == "LSTM" else 2
    _, (wanted, *states) = both(operator, given, 14, outputs, **more)
    turned = [one.swapaxes(0, 1) if place in (0, 5, 6) else one for place, one in enumerate(given)]
    inputs = {f"i{place}": one for place, one in enumerate(turned)}
    made = [f"o{place}" for place in range(outputs)]
    found = graph(
        [node(operator, list(inputs), made, layout=1, **more)],
        inputs=[
            value(n, [None] * o.ndim, helper.np_dtype_to_tensor_dtype(o.dtype)) for n, o in inputs.items()
        ],
        outputs=[value(name, None) for name in made],
    ).run(inputs)
    np.testing.assert_allclose(found["o0"], wanted.transpose(2, 0, 1, 3), rtol=1e-5, atol=1e-6)
    for name, state in zip(made[1:], states, strict=True):
        np.testing.assert_allclose(found[name], state.swapaxes(0, 1), rtol=1e-5, atol=1e-6)


# Places -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(15))
def test_slices_by_places_along_several_axes(seed):
    rng = np.random.default_rng(seed)
    shape, batch = rng.integers(1, 5, rng.integers(1, 5)), 0
    if len(shape) > 1:
        batch = int(rng.integers(0, len(shape) - 1))
    depth = int(rng.integers(1, len(shape) - batch + 1))
    x = numbers(rng, *shape)
    lead = [*shape[:batch], *rng.integers(0, 4, rng.integers(0 if batch else 1, 3))]
    sizes = shape[batch : batch + depth]
    indices = np.stack([rng.integers(-size, size, lead) for size in sizes], axis=-1)
    same("GatherND", [x, indices], 13, batch_dims=batch)


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_slices_and_values_put_at_their_places(reduction, dtype):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        x = (10 * numbers(rng, *rng.integers(1, 6, 3))).astype(dtype)
        depth = int(rng.integers(1, 4))
        every = np.stack(np.meshgrid(*map(np.arange, x.shape[:depth]), indexing="ij"), -1).reshape(-1, depth)
        places = rng.permutation(every)[
            : rng.integers(0, len(every) + 1)
        ]  # none twice, where the last would win
        if reduction != "none":
            places = np.concatenate([places, places[:2], places[:1] - np.array(x.shape[:depth])])
        updates = (10 * numbers(rng, len(places), *x.shape[depth:])).astype(dtype)
        same("ScatterND", [x, places, updates], 18, reduction=reduction, rtol=1e-5)
        axis = int(rng.integers(-3, 3))
        size = x.shape[axis]
        count = rng.integers(1, size + 1)
        along = rng.permuted(np.broadcast_to(np.arange(size), (*np.delete(x.shape, axis), size)), axis=-1)
        indices = np.moveaxis(along[..., :count], -1, axis)
        if reduction != "none":
            indices = np.where(rng.random(indices.shape) < 0.5, indices[:1, :1, :1] - size, indices)
        updates = (10 * numbers(rng, *indices.shape)).astype(dtype)
        same("ScatterElements", [x, indices, updates], 18, axis=axis, reduction=reduction)


@pytest.mark.parametrize("opset", [9, 10, 11, 24])
def test_the_largest_and_smallest(opset):
    rng = np.random.default_rng(opset)
    for shape, k in itertools.product([(3, 40), (2, 50, 3), (7,), (4, 1)], [1, 2, 4, 7, 0]):
        axis = int(rng.integers(-len(shape), len(shape)))
        k = min(k, shape[axis]) if opset > 9 else max(1, min(k, shape[axis]))
        x = rng.integers(0, 9, shape).astype(np.float32)  # with many equal ones
        more = {"largest": int(rng.integers(2))} if opset >= 11 else {}
        if opset < 10:
            same("TopK", [x], opset, 2, axis=axis, k=k)
        else:
            same("TopK", [x, np.array([k])], opset, 2, axis=axis, **more)


@pytest.mark.parametrize("dtype", [np.int64, np.float64, np.int32])
def test_the_largest_of_other_numbers(dtype):
    x = np.random.default_rng(0).integers(-20, 20, (5, 90)).astype(dtype)
    for k, largest in itertools.product([1, 5, 60, 90], [0, 1]):
        same("TopK", [x, np.array([k])], 11, 2, largest=largest)


@pytest.mark.parametrize("seed", range(10))
def test_what_is_unique(seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 3, rng.integers(1, 4, rng.integers(1, 4))).astype([np.float32, np.int64][seed % 2])
    for axis, order in itertools.product([None, *range(-x.ndim, x.ndim)], [0, 1]):
        more = {} if axis is None else {"axis": axis}
        same("Unique", [x], 11, 4, sorted=order, **more)


def test_places_that_are_not_0_and_those_of_a_condition():
    rng = np.random.default_rng(0)
    for shape in [(4,), (3, 5), (2, 3, 4), (0, 3), (2, 0)]:
        x = rng.integers(0, 2, shape)
        for dtype in (np.float32, np.int64, bool):
            same("NonZero", [x.astype(dtype)], 13)
        for axis in [None, *range(-x.ndim, x.ndim)]:
            size = x.size if axis is None else x.shape[axis]
            more = {} if axis is None else {"axis": axis}
            condition = rng.random(rng.integers(0, size + 1)) < 0.6
            same("Compress", [x.astype(np.float32), condition], 11, **more)
    same("NonZero", [np.array(3.0, np.float32)], 13)


def test_one_at_a_place():
    rng = np.random.default_rng(0)
    for shape, axis in itertools.product([(4,), (2, 3)], [-1, 0, 1]):
        indices = rng.integers(-7, 8, shape)
        same("OneHot", [indices, np.array([5]), np.array([2.5, -1], np.float32)], 11, axis=axis)
    same("OneHot", [np.array([1, 0], np.int32), np.array(3, np.int32), np.array([0, 1], np.float32)], 11)


def test_triangles():
    x = np.arange(2 * 4 * 6, dtype=np.float32).reshape(2, 4, 6)
    for upper, k, part in itertools.product([0, 1], [-9, -3, 0, 2, 99], [x, x[0, :, :3]]):
        same("Trilu", [part, np.array(k)], 14, upper=upper)
    same("Trilu", [x], 14)
    same("Trilu", [x, np.array(2**62)], 14, upper=0)


def test_sequences_turned_round():
    x = np.random.default_rng(0).normal(size=(5, 4, 2)).astype(np.float32)
    same("ReverseSequence", [x, np.array([5, 1, 0, 3])], 10, time_axis=0, batch_axis=1)
    same("ReverseSequence", [x, np.array([4, 1, 0, 3, 2])], 10, time_axis=1, batch_axis=0)


EQUATIONS = [
    ("ij,jk->ik", [(3, 4), (4, 5)]),
    ("ij,jk", [(3, 4), (4, 5)]),
    ("bchw,bkc->bkhw", [(2, 3, 4, 5), (2, 6, 3)]),
    ("nctkv,kvw->nctw", [(2, 3, 4, 2, 5), (2, 5, 6)]),
    ("...ij,...jk->...ik", [(2, 1, 3, 4), (5, 4, 2)]),
    ("...ij->...ji", [(2, 3, 4)]),
    ("ii->i", [(4, 4)]),
    ("ii", [(4, 4)]),
    ("iij->j", [(3, 3, 2)]),
    ("ij->", [(3, 4)]),
    ("i,i", [(5,), (5,)]),
    ("i,j->ji", [(5,), (3,)]),
    ("ij,kj,lj->ikl", [(2, 3), (4, 3), (5, 3)]),
    ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)]),
    ("abc,cd,def->abef", [(2, 3, 4), (4, 5), (5, 2, 3)]),
    ("ij,ij->ij", [(3, 4), (3, 4)]),
    ("ij,ik->jk", [(3, 4), (3, 2)]),
    ("Ab, bA -> A", [(3, 4), (4, 3)]),
    ("bhwc,hkc->bhwk", [(2, 3, 4, 5), (3, 6, 5)]),
]


@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS)
def test_sums_of_products(equation, shapes):
    rng = np.random.default_rng(0)
    given = [numbers(rng, *shape) for shape in shapes]
    names = [f"i{place}" for place in range(len(given))]
    arrays = dict(zip(names, given, strict=True))
    found = graph([node("Einsum", names, ["y"], equation=equation)], arrays, inputs=[]).run({})["y"]
    np.testing.assert_allclose(found, np.einsum(equation, *given), rtol=1e-5, atol=1e-5)
    if "...ij," not in equation:  # of which onnxruntime wants as many axes at each place
        same("Einsum", given, 12, equation=equation, atol=1e-5)


def test_determinants():
    rng = np.random.default_rng(0)
    for shape in [(1, 1), (4, 4), (3, 2, 3, 3), (2, 0, 3, 3)]:
        same("Det", [numbers(rng, *shape)], 11, rtol=1e-4)


# Pixels -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("aligned", [0, 1])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_pixels_from_between(mode, padding, aligned):
    rng = np.random.default_rng(0)
    more = {"padding_mode": padding, "align_corners": aligned}
    for shape, places in [((2, 3, 5, 4), (3, 6)), ((1, 1, 1, 7), (4, 1)), ((3, 2, 8, 8), (1, 9))]:
        grid = rng.uniform(-1.0, 1.0, (shape[0], *places, 2)).astype(np.float32)
        if mode != "cubic" or padding == "zeros":
            grid *= 1.7
        same("GridSample", [numbers(rng, *shape), grid], 20, mode=mode, rtol=1e-4, atol=1e-5, **more)
        old = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
        same("GridSample", [numbers(rng, *shape), grid], 16, mode=old, rtol=1e-4, atol=1e-5, **more)
    halves = np.stack(np.meshgrid([-0.75, -0.25, 0.25], [0.75, -0.75, 0.25]), axis=-1)[None].astype(
        np.float32
    )
    same("GridSample", [numbers(rng, 1, 2, 5, 5), halves], 20, mode=mode, rtol=1e-4, atol=1e-5, **more)
    if mode != "cubic":
        grid = rng.uniform(-1.7, 1.7, (2, 3, 4, 2, 3)).astype(np.float32)
        same("GridSample", [numbers(rng, 2, 3, 4, 5, 6), grid], 20, mode=mode, rtol=1e-4, atol=1e-5, **more)


@pytest.mark.parametrize("aligned", [0, 1])
def test_grids_of_matrices(aligned):
    rng = np.random.default_rng(0)
    same("AffineGrid", [numbers(rng, 2, 2, 3), np.array([2, 3, 4, 5])], 20, align_corners=aligned)
    same("AffineGrid", [numbers(rng, 2, 3, 4), np.array([2, 3, 4, 5, 6])], 20, align_corners=aligned)


@pytest.mark.parametrize("seed", range(12))
def test_boxes_that_overlap(seed):
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 12, (2, 30, 4)).astype(np.float32)  # in any order, some of no size, some equal
    scores = (rng.integers(0, 15, (2, 3, 30)) / 15).astype(np.float32)
    most = np.array([[0, 1, 4, 100, 2**40, -3][seed % 6]])
    threshold = None if seed % 2 else np.float32(0.4)
    overlap = None if seed == 3 else np.float32([0.0, 0.3, 0.5, 1.0][seed % 4])
    for centred in (0, 1):
        same("NonMaxSuppression", [corners, scores, most, overlap, threshold], 11, center_point_box=centred)


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("ratio", [0, 1, 3])
def test_regions(mode, ratio):
    rng = np.random.default_rng(0)
    x = numbers(rng, 2, 3, 9, 7)
    corners = rng.uniform(-3, 20, (12, 4)).astype(np.float32)
    rois = np.concatenate(
        [np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])], 1
    )
    images = rng.integers(0, 2, 12)
    more = {
        "output_height": 3,
        "output_width": 2,
        "sampling_ratio": ratio,
        "spatial_scale": 0.5,
        "mode": mode,
    }
    same("RoiAlign", [x, rois, images], 16, **more)
    same("RoiAlign", [x, rois, images], 16, coordinate_transformation_mode="output_half_pixel", **more)
    same("RoiAlign", [x, rois[:0], images[:0]], 16, **more)
    same("RoiAlign", [x, rois, images], 10, **more)


def test_regions_with_the_borders_of_pixels():
    rng = np.random.default_rng(0)
    x = numbers(rng, 2, 3, 9, 7)
    corners = rng.uniform(-3, 20, (40, 4)).astype(np.float32)  # some turned round, some outside
    rois = np.concatenate([rng.integers(0, 2, (40, 1)), corners], axis=1).astype(np.float32)
    for shape, scale in (([3, 2], 0.5), ([1, 1], 1.0), ([12, 9], 0.25)):
        same("MaxRoiPool", [x, rois], 1, pooled_shape=shape, spatial_scale=scale)
    same("MaxRoiPool", [x, rois[:0]], 1, pooled_shape=[2, 2])


@pytest.mark.parametrize("masked", [False, True])
def test_convolutions_with_moved_cells(masked):
    rng = np.random.default_rng(0)
    for groups, parts, more, sizes in [
        (1, 1, {}, (5, 4)),
        (2, 1, {"pads": [1, 0, 2, 1], "strides": [2, 1]}, (4, 5)),
        (1, 2, {"dilations": [2, 3], "pads": [1, 3, 0, 0]}, (5, 5)),
        (2, 4, {"pads": [1, 1, 1, 1]}, (7, 6)),
    ]:
        x, w, b = numbers(rng, 2, 4, 6, 5), numbers(rng, 6, 4 // groups, 2, 2), numbers(rng, 6)
        offset = 2 * numbers(rng, 2, parts * 4 * 2, *sizes)
        mask = rng.random((2, parts * 4, *sizes)).astype(np.float32) if masked else None
        same(
            "DeformConv",
            [x, w, offset, b, mask],
            19,
            rtol=1e-4,
            atol=1e-5,
            group=groups,
            offset_group=parts,
            **more,
        )
        same("DeformConv", [x, w, 0 * offset, None, mask], 19, rtol=1e-4, atol=1e-5, group=groups,
             offset_group=parts, **more)  # fmt: skip


def test_columns_and_unpooled_pixels():
    rng = np.random.default_rng(0)
    for image, block, more in [
        ((5, 6), (2, 3), {}),
        ((5, 6), (2, 2), {"strides": [2, 3], "pads": [1, 0, 0, 2]}),
        ((7, 6), (2, 3), {"dilations": [3, 2], "pads": [1, 1, 1, 1]}),
        ((4, 5, 6), (2, 1, 3), {"strides": [1, 2, 1]}),
    ]:
        pads = more.get("pads", [0] * 2 * len(image))
        count = 1
        for axis, (size, cell) in enumerate(zip(image, block, strict=True)):
            reach = more.get("dilations", [1] * 9)[axis] * (cell - 1) + 1
            count *= (size + pads[axis] + pads[axis + len(image)] - reach) // more.get("strides", [1] * 9)[
                axis
            ] + 1
        x = numbers(rng, 2, 3 * int(np.prod(block)), count)
        same("Col2Im", [x, np.array(image), np.array(block)], 18, **more)
    indices = np.stack([rng.permutation(16)[:4].reshape(1, 2, 2) for _ in range(3)])
    same("MaxUnpool", [numbers(rng, 1, 1, 2, 2), indices[:1]], 11, kernel_shape=[2, 2], strides=[2, 2])


def test_the_middle_of_a_picture():
    x = np.arange(2 * 5 * 6, dtype=np.float32).reshape(2, 5, 6)
    for sizes in itertools.product([1, 2], [0, 2, 3, 5, 8], [3, 6, 9]):
        same("CenterCropPad", [x, np.array(sizes)], 18)
    same("CenterCropPad", [x, np.array([4, 9])], 18, axes=[-2, 2])


# Known before -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize("reverse", [0, 1])
def test_sums_up_to_each(exclusive, reverse):
    rng = np.random.default_rng(0)
    for shape, axis in [((5,), 0), ((2, 3, 4), -2), ((2, 0), 1), ((3, 1), 1)]:
        x = numbers(rng, *shape)
        same("CumSum", [x, np.array(axis)], 14, exclusive=exclusive, reverse=reverse)
        same("CumSum", [(9 * x).astype(np.int64), np.array(axis)], 14, exclusive=exclusive, reverse=reverse)


@pytest.mark.parametrize("size", [1, 3, 7, 21])
def test_responses_by_those_beside(size):
    x = np.random.default_rng(0).normal(size=(2, 5, 3, 4)).astype(np.float32)
    same("LRN", [x], 13, size=size, alpha=0.3, beta=0.6, bias=1.5)


def test_normalizations_of_odd_axes():
    x = np.random.default_rng(0).normal(size=(2, 6, 3, 4)).astype(np.float32)
    for axes in ([0, 2, 3], [1], [0, 1, 2, 3], [-1, -2]):
        same("MeanVarianceNormalization", [x], 13, rtol=1e-4, atol=1e-5, axes=axes)
    rng = np.random.default_rng(1)
    for groups in (1, 2, 6):
        of_groups, of_channels = [numbers(rng, groups) for _ in range(2)], [numbers(rng, 6) for _ in range(2)]
        same("GroupNormalization", [x, *of_groups], 18, rtol=1e-4, atol=1e-5, num_groups=groups, epsilon=0.1)
        same("GroupNormalization", [x, *of_channels], 21, rtol=1e-4, atol=1e-5, num_groups=groups)
    for axis in (-1, 1, -2, 0):
        scale = numbers(rng, *x.shape[axis:])
        same("RMSNormalization", [x, scale], 23, rtol=1e-4, atol=1e-5, axis=axis, epsilon=0.1)
        same("LayerNormalization", [x, scale, scale], 17, rtol=1e-4, atol=1e-5, axis=axis)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, np.float32, np.float64])
def test_remainders_of_either_sign(dtype):
    rng = np.random.default_rng(0)
    a, b = rng.integers(-60, 60, (4, 9)).astype(dtype), rng.integers(1, 9, 9).astype(dtype)
    b = np.where(rng.random(9) < 0.5, -b, b).astype(dtype) if np.dtype(dtype).kind != "u" else b
    for fmod in (0, 1):
        if np.dtype(dtype).kind != "f" or fmod:
            same("Mod", [a, b], 13, fmod=fmod)


TRANSFORMATIONS = ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"]
NEAREST = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]


@pytest.mark.parametrize("transformation", TRANSFORMATIONS)
def test_other_sizes(transformation):
    rng = np.random.default_rng(0)
    x, empty = numbers(rng, 2, 3, 5, 6), np.zeros(0, np.float32)
    more = {"coordinate_transformation_mode": transformation}
    for height, width in [(10, 3), (3, 13), (1, 1)]:
        to = [x, None, None, np.array([2, 3, height, width])]
        for rounding in NEAREST:
            if (transformation, rounding) == ("half_pixel_symmetric", "floor"):
                continue  # 1.0, of which onnxruntime makes 0.99999994
            same("Resize", to, 19, nearest_mode=rounding, **more)
        same("Resize", to, 19, mode="linear", rtol=1e-4, atol=1e-5, **more)
        same("Resize", to, 19, mode="cubic", rtol=1e-4, atol=1e-4, **more)
        same(
            "Resize",
            to,
            19,
            mode="cubic",
            exclude_outside=1,
            cubic_coeff_a=-0.5,
            rtol=1e-4,
            atol=1e-4,
            **more,
        )
        for mode in ("linear", "cubic"):
            same("Resize", to, 19, mode=mode, antialias=1, rtol=1e-3, atol=1e-4, **more)
    fraction = 0.4 if transformation == "align_corners" else 0.6  # where onnxruntime takes the width's floor
    for scales in ([1, 1, 2, 2], [1, 1, fraction, 1.5], [1, 1, 3, 0.5]):
        by = [x, empty, np.array(scales, np.float32)]
        same("Resize", by, 13, mode="linear", rtol=1e-4, atol=1e-5, **more)
        rounding = "round_prefer_ceil" if transformation == "half_pixel_symmetric" else "floor"
        same("Resize", by, 13, nearest_mode=rounding, **more)


@pytest.mark.parametrize("transformation", ["half_pixel", "align_corners", "asymmetric"])
def test_bytes_of_other_sizes(transformation):
    """Of sums a hair below an integer onnxruntime makes one less, and rounds smoothed ones by each axis."""
    x = np.random.default_rng(0).integers(0, 256, (1, 3, 7, 9)).astype(np.uint8)
    for sizes, smoothed in itertools.product([(14, 18), (5, 4), (20, 30)], [0, 1]):
        more = {"coordinate_transformation_mode": transformation, "antialias": smoothed}
        to = [x, None, None, np.array([1, 3, *sizes])]
        (found,), (wanted,) = both("Resize", to, 19, mode="linear", **more)
        apart = found.astype(int) - wanted
        assert np.abs(apart).max() <= 1
        assert (apart != 0).mean() < 0.3


def test_images_of_other_sizes_by_axes_and_policies():
    rng = np.random.default_rng(0)
    x = numbers(rng, 1, 2, 5, 8)
    for policy, sizes in itertools.product(
        ["not_larger", "not_smaller", "stretch"], [(7, 7), (10, 9), (3, 4)]
    ):
        same("Resize", [x, None, None, np.array(sizes)], 19, mode="linear", axes=[2, 3], rtol=1e-4, atol=1e-5,
             keep_aspect_ratio_policy=policy)  # fmt: skip
    crop = {"coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 7.0}
    roi = np.array([0, 0, 0.2, -0.3, 1, 1, 0.7, 1.2], np.float32)
    for mode in ("linear", "nearest"):
        same("Resize", [x, roi, None, np.array([1, 2, 6, 9])], 13, mode=mode, rtol=1e-4, atol=1e-5, **crop)
    same("Upsample", [x, np.array([1, 1, 2, 3], np.float32)], 9, mode="nearest")
    same("Upsample", [x, np.array([1, 1, 2.5, 1.4], np.float32)], 9, mode="linear", rtol=1e-4, atol=1e-5)
    same("Upsample", [x], 7, mode="nearest", scales=[1.0, 1.0, 2.0, 3.0])
