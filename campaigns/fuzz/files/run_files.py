"""What a run leaves behind, and what a page sends to the playground: records, logs and requests."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import purecnn as p
from campaigns.fuzz.containers import zipped
from campaigns.fuzz.files.data_files import npz_members
from campaigns.fuzz.mutations import TEXTS, as_json, blind, hostile, twisted
from purecnn import CSVLog, JSONLog
from purecnn.datasets.catalog import Sets
from purecnn.playground import application
from purecnn.plots.report.answers import learning
from purecnn.runs import RECIPES, Run, comparison, report, reproduction
from purecnn.runs.model_path import DIGITS
from purecnn.runs.record import RECORD, VERSION

# Run records --------------------------------------------------------------------------------------------


def record_seeds() -> list[bytes]:
    """Return the record of a run of two epochs."""
    curve = {"samples": 12, "loss": [0.5, 0.25], "accuracy": [0.5, 0.75]}
    record = {
        "version": VERSION,
        "arguments": asdict(Run("tiny", RECIPES["tiny"], seed=3)),
        "commit": "0" * 40,
        "machines": [{"numpy": "2.0.0", "features": ["AVX2"], "cores": 2}],
        "data": {"train": "0" * 64, "test": "1" * 64},
        "result": {
            "epochs": 2,
            "loss": [0.5, 0.25],
            "seconds": [1.0, 1.0],
            "curves": {"training": curve, "test": curve},
            "task": "classification",
            "test_accuracy": 0.99,
            "test_loss": 0.1,
            "parameters": "2" * 64,
        },
    }
    return [json.dumps(record).encode()]


def record_folder(data: bytes, path: Path) -> Path:
    path.mkdir()
    (path / RECORD).write_bytes(data)
    (path.parent / "data.npz").write_bytes(zipped(npz_members()))
    return path


def reproduced(path: Path) -> None:
    """Repeat a run whose data are others: all that its record says is looked at, and nothing is trained."""
    reproduction.reproduce(path, data=str(path.parent / "data.npz"), threads=1)


def reported(path: Path) -> None:
    """Make what a report has of a run's record, alone and beside another run."""
    network, sets = answering()
    try:
        one = report.done(path, sets=sets, network=network, threads=1)
    except ValueError as error:
        if "this run is not complete" not in str(error):
            raise
        raise p.errors.FileFormatError(str(error)) from None
    learning(one.history, "test set", report.note_of(one.record))
    report.repeat(one)
    runs, names = [one, one], comparison.named([one, one])
    for section in (comparison.at_a_glance, comparison.settings, comparison.commands):
        section(runs, names)


@cache
def answering() -> tuple[p.Network, Sets]:
    """Return a network that knows nothing, and data for it."""
    x, y = np.random.default_rng(0).integers(0, 256, (12, 6, 6), np.uint8), np.arange(12) % 3
    network = p.Network([p.Flatten(), p.Dense(output_size=3), p.Softmax()], input_shape=(1, 6, 6))
    network.preprocessing = p.Preprocessing(1 / 255, 0, "bytes", ("a", "b", "c"))
    return network, Sets((x, y), (x, y), ("a", "b", "c"))


def lying_json(rng: Random, seeds: list[bytes]) -> bytes:
    """Return JSON with values replaced, removed, doubled, exchanged or renamed."""
    return as_json(rng, twisted(rng, json.loads(rng.choice(seeds)))).encode("utf-8", "surrogatepass")


# Logs ---------------------------------------------------------------------------------------------------


def log_seeds() -> list[bytes]:
    """Return a log of each kind."""
    lines = [{"epoch": n + 1, "loss": 0.5, "seconds": 1.5, "images_per_second": 8.0} for n in range(3)]
    names = ",".join(lines[0])
    rows = "\n".join(",".join(map(str, line.values())) for line in lines)
    return ["".join(f"{json.dumps(line)}\n" for line in lines).encode(), f"{names}\n{rows}\n".encode()]


def lying_log(rng: Random, seeds: list[bytes]) -> bytes:
    """Return a log, a value in a line of it another."""
    lines = rng.choice(seeds).split(b"\n")
    for _ in range(rng.choice([1, 2, 5])):
        at = rng.randrange(len(lines))
        if lines[at].startswith(b"{"):
            value = {**json.loads(seeds[0].split(b"\n")[0]), "epoch": hostile(rng)}
            lines[at] = as_json(rng, value).encode("utf-8", "surrogatepass")
        else:
            cells = lines[at].split(b",")
            cells[rng.randrange(len(cells))] = str(hostile(rng)).encode("utf-8", "surrogatepass")
            lines[at] = b",".join(cells)
    return b"\n".join(lines)


def read_log(path: Path) -> None:
    """Look how much of a log is kept where its run goes on."""
    kind = JSONLog if path.read_bytes().startswith(b"{") else CSVLog
    for epochs in (0, 1, 2, 10**6):
        with path.open("rb") as file:
            kind(path).kept(file, epochs)


# Requests to the playground -----------------------------------------------------------------------------

HOST = "127.0.0.1:8642"
LESSON = {
    "data": "xor",
    "layers": [{"kind": "Dense", "output_size": 4}, {"kind": "Tanh"}],
    "optimizer": "Adam",
    "learning_rate": 0.02,
    "batch_size": 8,
    "seed": 0,
}


def request_seeds() -> list[bytes]:
    """Return what a page asks, one question after the other."""
    playground()  # so that the time and memory of its start are no case's
    pixels = "AAAA" * 533 + "//8="
    blank = "A" * 1044 + "AA=="
    images = {**LESSON, "data": "digits", "layers": [{"kind": "Convolutional", "kernel_size": 3, "depth": 2}]}
    drawing = [
        ["network", {}],
        ["draw", {"side": 40, "pixels": pixels}],
        ["example", {"number": 3}],
        ["cell", {"layer": 0, "place": [0, 1, 1], "sample": blank}],
    ]
    learning = [
        ["lessons/begin", LESSON],
        ["lessons/advance", {"lesson": "TOKEN", "steps": 3}],
        ["lessons/backward", {"lesson": "TOKEN", "sample": 5}],
    ]
    keeping = [
        ["lessons/begin", LESSON],
        ["networks/keep", {"lesson": "TOKEN"}],
        ["networks/save", {"lesson": "TOKEN"}],
        ["networks/open", {"file": blank, "name": "a.onnx"}],
        ["draw", {"network": "NETWORK", "values": [0, 200]}],
        ["cell", {"network": "NETWORK", "layer": 0, "place": [1], "sample": "AAA="}],
    ]
    every = (drawing, learning, keeping, [["lessons/begin", images]])
    return [json.dumps(asked).encode() for asked in every]


@cache
def playground() -> Any:
    """Return the application, made once."""
    return application(p.load(DIGITS), [HOST])


def answered(path: Path) -> None:
    """Ask the playground what a file says, each question with a body of its own."""
    data = path.read_bytes()
    try:
        asked = json.loads(data)
        questions = [(str(name), json.dumps(body).encode("utf-8", "replace")) for name, body in asked]
    except (ValueError, TypeError, RecursionError):
        questions = [("draw", data), ("lessons/begin", data)]
    token, network, refused = "", "", ""
    for name, body in questions[:8]:
        held = body.replace(b"TOKEN", token.encode()).replace(b"NETWORK", network.encode())
        status, told = ask(f"/api/{name}", held)
        if status not in (200, 400, 404, 413, 422, 503) or "JSON compliant" in str(told):
            raise AssertionError(f"{name} {body[:200]!r} was answered by {status} {told!r:.200}")
        if status == 200 and name == "lessons/begin":
            token = told["lesson"]
        elif status == 200 and name in ("networks/keep", "networks/open"):
            network = told["network"]
        elif status != 200:
            refused = str(told)
    if token:
        ask("/api/lessons/end", json.dumps({"lesson": token}).encode())
    if network:
        ask("/api/networks/end", json.dumps({"network": network}).encode())
    if refused:
        raise p.errors.FileFormatError(refused)


def opened(path: Path) -> None:
    """Open a file in the page, and have its network answer."""
    status, told = ask(
        "/api/networks/open", json.dumps({"name": "a", "file": coded(path.read_bytes())}).encode()
    )
    if status != 200:
        raise (p.errors.FileFormatError if status in (413, 422) else AssertionError)(str(told))
    asked = {"network": told["network"], "height": 3, "width": 4, "pixels": coded(bytes(range(36)))}
    asked["values"] = [200] * told["shape"][0]
    status, answer = ask("/api/picture" if told["image"] else "/api/draw", json.dumps(asked).encode())
    ask("/api/networks/end", json.dumps({"network": told["network"]}).encode())
    if status != 200:
        raise (p.errors.FileFormatError if status == 422 else AssertionError)(str(answer))


def before_page(seeds: Callable[[], list[bytes]]) -> Callable[[], list[bytes]]:
    """Have the playground begin before its first file, whose time and memory that would be."""
    return lambda: (playground(), ask("/api/network", b"{}"), seeds())[-1]


def coded(raw: bytes) -> str:
    """Return bytes as JSON can hold them."""
    return base64.b64encode(raw).decode()


def ask(path: str, body: bytes) -> tuple[int, Any]:
    """Return the status and the JSON of the playground's answer."""
    said: list[Any] = []
    headers = [(b"host", HOST.encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
    scope |= {
        "scheme": "http",
        "root_path": "",
        "http_version": "1.1",
        "raw_path": path.encode("utf-8", "replace"),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        said.append(message)

    asyncio.run(playground()(scope, receive, send))
    text = b"".join(message.get("body", b"") for message in said[1:])
    return said[0]["status"], json.loads(text) if text.startswith(b"{") else text


def lying_requests(rng: Random, seeds: list[bytes]) -> bytes:
    """Return requests, something in their bodies another."""
    asked = json.loads(rng.choice(seeds))
    for _ in range(rng.choice([1, 1, 2])):
        question = rng.choice(asked)
        if isinstance(question[1], dict):
            question[1] = twisted(rng, question[1])
        if rng.random() < 0.05:
            question[0] = rng.choice(["network", "draw", "lessons/end", *(t for t in TEXTS if t.isascii())])
    text = json.dumps(asked)
    return blind(rng, [text.encode()]) if rng.random() < 0.1 else text.encode()
