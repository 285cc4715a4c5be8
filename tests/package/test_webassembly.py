"""The package on WebAssembly, as a browser has it: each part of it once, in Pyodide under Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from docs.tools.static_server import PYODIDE
from helpers.waiting import PATIENCE
from purecnn import losses
from purecnn.layers.registry import LAYERS

HERE, ROOT = Path(__file__).parent / "webassembly", Path(__file__).parents[2]
#: What the extras bring, which is not there.
EXTRAS = {"click", "rich", "sklearn", "uvicorn", "starlette"}

pytestmark = [
    pytest.mark.skipif(
        not (PYODIDE / "pyodide.mjs").is_file(),
        reason=f"no Pyodide in {PYODIDE}: PURECNN_PYODIDE says where its files lie",
    ),
    pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed"),
]


def run(*parts: str) -> dict[str, Any]:
    """Start Python in Pyodide, have it run parts of the program, and return what it tells."""
    program = str(HERE / "program.py")
    command = ["node", str(HERE / "run.mjs"), str(PYODIDE), program, json.dumps(parts)]
    done = subprocess.run(
        [*command, str(ROOT / "src"), str(ROOT / "tests")],
        capture_output=True,
        text=True,
        timeout=20 * PATIENCE,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """What all parts of the program tell."""
    return run()


@pytest.fixture
def found(request: pytest.FixtureRequest, told: dict[str, Any]) -> Any:
    """What the part told that a test is called after."""
    part = told[request.function.__name__.removeprefix("test_")]
    assert "failed" not in part, part["failed"]
    return part["found"]


def test_imports(found):
    assert {name.partition(".")[0] for name in found.values()} <= EXTRAS
    assert not any(name.startswith(("purecnn.layers", "purecnn.playground.lesson")) for name in found)


def test_every_layer(found):
    assert set(found) == {*LAYERS, "Activation"}


def test_kernels(found):
    assert len(found) == 4


def test_every_loss(found):
    assert found == sorted(losses.LOSSES)


def test_every_optimizer(found):
    assert found == dict.fromkeys(found, True)
    assert len(found) == 5


def test_workers(found):
    assert found == {
        "number": 1,
        "kind": "threads",
        "blas is kept to one thread": True,
        "same bits": True,
        "blas": "none",
    }


def test_training(found):
    assert found["losses"][-1] < found["losses"][0] / 2
    assert found["last line"] == "epoch 3/3"
    assert found["accuracy"] > 0.6
    assert found["files"] == [
        "model.onnx",
        "model.safetensors",
        "run.csv",
        "run.safetensors",
        "torch.safetensors",
    ]
    assert found["loaded"]
    assert found["state dict"]
    assert max(found["onnx"], found["onnx as layers"], found["trace"]) < 1e-5


def test_resumed(found):
    assert found


def test_playground(found):
    assert found == {"steps": 2, "reads": found["is"], "is": 5}


def test_large_arrays(found):
    assert found < 1.5


def test_bits(found):
    assert run("bits")["bits"]["found"] == found
