"""What is measured and the bar of each: one table, programs and comparisons in plain data."""

from __future__ import annotations

from dataclasses import dataclass, replace

from benchmarks.harness.environments import HERE, PEERS
from benchmarks.harness.machine import cores

OURS = "purecnn"
TORCH, TORCH_LAST, TORCH_POOL = (
    "PyTorch, NCHW",
    "PyTorch, channels_last",
    "PyTorch, pooling moved before ReLU",
)
TORCH_ONE, TORCH_PLAIN = "PyTorch, NCHW, 1 thread", "PyTorch, channels_last, malloc's defaults"
KERAS, KERAS_XLA, JAX = "Keras on TensorFlow", "Keras on TensorFlow, compiled by XLA", "JAX"
ONNX, ORIGINAL, ONE_THREAD = "onnxruntime", "original algorithm", "purecnn, 1 thread"

# glibc by default gives freed blocks of some megabytes back to the system, and PyTorch's step then spends up
# to a third of its time on page faults, more or less by what the process allocated before. These settings
# keep them.
KEEP_MEMORY = (("MALLOC_MMAP_THRESHOLD_", "33554432"), ("MALLOC_TRIM_THRESHOLD_", "33554432"))


@dataclass(frozen=True)
class Variant:
    """A program to start: a module of this package, its arguments, and environment variables.

    `needs` are packages that it imports, `python` is that of the environment which may have them.
    """

    label: str
    module: str
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    needs: tuple[str, ...] = ()
    python: str = HERE


@dataclass(frozen=True)
class Comparison:
    """The fastest of some peers in each round against ours; without a bar it is shown and not judged."""

    name: str
    title: str
    peers: tuple[str, ...]
    bar: float | None = None
    reach: float | None = None


@dataclass(frozen=True)
class Work:
    """One thing to measure side by side: `count` steps a turn, or `repeats` predictions of `count` images."""

    name: str
    network: str
    what: str  # "train" or "predict"
    count: int
    variants: tuple[Variant, ...]
    comparisons: tuple[Comparison, ...]
    repeats: int = 1
    avx2: bool = False


def ours(label: str = OURS, threads: int | None = None) -> Variant:
    """purecnn on all cores, or on so many threads."""
    return Variant(label, "benchmarks.peers.purecnn_program", ("--threads", str(threads or cores())))


def torch(label: str, layout: str, *more: str, threads: int | None = None) -> Variant:
    """PyTorch on all cores, or on so many threads."""
    arguments = ("--threads", str(threads or cores()), "--layout", layout, *more)
    return Variant(label, "benchmarks.peers.torch_program", arguments, KEEP_MEMORY, ("torch",))


def keras(label: str, *more: str) -> Variant:
    """Keras on TensorFlow on all cores."""
    arguments = ("--threads", str(cores()), *more)
    settings = (("KERAS_BACKEND", "tensorflow"), ("TF_CPP_MIN_LOG_LEVEL", "2"), *KEEP_MEMORY)
    return Variant(
        label, "benchmarks.peers.keras_program", arguments, settings, ("keras", "tensorflow"), PEERS
    )


NCHW, NHWC = torch(TORCH, "contiguous"), torch(TORCH_LAST, "channels_last")
NHWC_POOL = torch(TORCH_POOL, "channels_last", "--pool-first")
NCHW_ONE = torch(TORCH_ONE, "contiguous", threads=1)
NHWC_PLAIN = replace(NHWC, label=TORCH_PLAIN, environment=())
KERAS_PLAIN, KERAS_JIT = keras(KERAS), keras(KERAS_XLA, "--jit")
JAX_JIT = Variant(
    JAX, "benchmarks.peers.jax_program", ("--threads", str(cores())), KEEP_MEMORY, ("jax",), PEERS
)
ONNX_ALL = Variant(
    ONNX,
    "benchmarks.peers.onnx_program",
    ("--threads", str(cores())),
    needs=("onnx", "onnxruntime"),
)
LAYOUTS = (TORCH, TORCH_LAST)
ALL_TORCH, ALL_KERAS = (*LAYOUTS, TORCH_PLAIN), (KERAS, KERAS_XLA)


def training(name: str, network: str, title: str, steps: int, bar: float, reach: float) -> Work:
    """A training step against the best peer, then against each of them."""
    compared = (
        Comparison(name, title, (*ALL_TORCH, *ALL_KERAS, JAX), bar, reach),
        Comparison(f"{name}-torch", "the same, against PyTorch", ALL_TORCH),
        Comparison(f"{name}-pool-first", "the same, PyTorch's pooling moved by hand", (TORCH_POOL,)),
        Comparison(f"{name}-malloc", "the same, PyTorch with malloc's defaults", (TORCH_PLAIN,)),
        Comparison(f"{name}-keras", "the same, against Keras on TensorFlow", ALL_KERAS),
        Comparison(f"{name}-jax", "the same, against JAX", (JAX,)),
    )
    torchs = (NCHW, NHWC, NHWC_POOL, NHWC_PLAIN)
    return Work(name, network, "train", steps, (ours(), *torchs, KERAS_PLAIN, KERAS_JIT, JAX_JIT), compared)


def layers(name: str, title: str) -> Work:
    """A training step of a network that has no bar, beside PyTorch, to show what its layers cost."""
    compared = (Comparison(name, title, ALL_TORCH),)
    return Work(name, name, "train", 40, (ours(), NCHW, NHWC, NHWC_PLAIN), compared)


def inference(
    name: str, network: str, title: str, images: int, repeats: int, bar: float, reach: float
) -> Work:
    """Predictions of so many images against onnxruntime."""
    compared = (Comparison(name, f"{title}, against onnxruntime", (ONNX,), bar, reach),)
    return Work(name, network, "predict", images, (ours(), ONNX_ALL), compared, repeats=repeats)


LENET_128 = training("lenet-128", "lenet", "LeNet 8-16, batch 128, training step", 150, 3.0, 3.5)
WORKS: tuple[Work, ...] = (
    LENET_128,
    training("lenet-512", "lenet-512", "LeNet 8-16, batch 512, training step", 50, 1.5, 2.5),
    training("lenet-32", "lenet-32", "LeNet 8-16, batch 32, training step", 400, 1.2, 1.8),
    replace(
        LENET_128,
        name="lenet-128-avx2",
        variants=LENET_128.variants[:3],
        comparisons=(
            Comparison("lenet-128-avx2", "LeNet 8-16, batch 128, AVX2 forced on both sides", LAYOUTS),
        ),
        avx2=True,
    ),
    training("lenet-5", "lenet-5", "LeNet-5, batch 128, training step", 150, 3.2, 4.0),
    training("keras", "keras", "Keras's MNIST convnet, batch 128, training step", 40, 2.0, 2.5),
    training(
        "torch-example", "torch-example", "PyTorch's MNIST example, batch 64, training step", 25, 1.6, 2.0
    ),
    training("cifar", "cifar", "CIFAR-10-sized, batch 128, training step", 10, 1.7, 2.0),
    training("vgg", "vgg", "VGG with batch normalization, batch 128, training step", 10, 1.5, 2.0),
    training("resnet-20", "resnet-20", "ResNet-20, batch 128, training step", 6, 1.5, 2.0),
    layers(
        "normalized", "Convolutions of 16, 32, 32 maps with batch normalization, batch 128, training step"
    ),
    layers("separable", "Depthwise and 1x1 convolutions, 16 to 64 maps, batch 128, training step"),
    Work(
        "original",
        "original",
        "train",
        400,
        (ours(), Variant(ORIGINAL, "benchmarks.peers.original"), NCHW, NHWC, NCHW_ONE),
        (
            Comparison(
                "original", "The original experiment, single-image SGD, one image", (ORIGINAL,), 10.0, 14.0
            ),
            Comparison(
                "original-torch", "the same, against PyTorch at batch 1", (*LAYOUTS, TORCH_ONE), 1.7, 2.5
            ),
        ),
    ),
    Work(
        "xor",
        "xor",
        "train",
        8000,
        (ours(), Variant(ORIGINAL, "benchmarks.peers.original")),
        (Comparison("xor", "The original's XOR, single-sample SGD, one sample", (ORIGINAL,), 1.0, 2.0),),
    ),
    Work(
        "inference",
        "lenet",
        "predict",
        1000,
        (ours(), NCHW, NHWC, NHWC_POOL, ONNX_ALL),
        (
            Comparison("inference", "LeNet inference, batch 1,000", (*LAYOUTS, TORCH_POOL), 1.0, 1.5),
            Comparison("inference-onnx", "the same, against onnxruntime", (ONNX,), 1.2, 1.5),
        ),
        repeats=40,
    ),
    inference("inference-32", "lenet", "LeNet inference, batch 32", 32, 500, 0.9, 1.2),
    Work(
        "latency",
        "lenet",
        "predict",
        1,
        (ours(), NCHW, NHWC, NCHW_ONE, ONNX_ALL),
        (
            Comparison("latency", "LeNet inference, one image, latency", (*LAYOUTS, TORCH_ONE), 1.0, 3.0),
            Comparison("latency-onnx", "the same, against onnxruntime", (ONNX,), 0.6, 1.0),
        ),
        repeats=1000,
    ),
    inference("resnet-inference", "resnet-20", "ResNet-20 inference, batch 512", 512, 8, 1.0, 1.2),
    inference("resnet-inference-32", "resnet-20", "ResNet-20 inference, batch 32", 32, 64, 0.8, 1.0),
    inference("resnet-latency", "resnet-20", "ResNet-20 inference, one image", 1, 400, 0.4, 0.7),
    Work(
        "threads",
        "lenet",
        "train",
        150,
        (ours(), ours(ONE_THREAD, threads=1)),
        (Comparison("threads", f"LeNet, batch 128, {cores()} threads against 1", (ONE_THREAD,), 1.7, 1.9),),
    ),
)


def avx2_only() -> dict[str, str]:
    """Environment variables under which the programs use no AVX-512.

    onnxruntime has no such switch, nor have TensorFlow's own loops.
    """
    from numpy._core._multiarray_umath import __cpu_dispatch__ as dispatched

    wide = [feature for feature in dispatched if feature.startswith(("AVX512", "X86_V4"))]
    return {
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": " ".join(wide),
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    }
