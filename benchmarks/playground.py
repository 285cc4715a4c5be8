"""How long the playground takes to answer while many draw at once: python -m benchmarks.playground.

Each of the clients sends a drawing as soon as the one before was answered, as the page does, over one
connection. Writes what it finds to benchmarks/results/DATE-COMMIT-playground.json.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import subprocess
import sys
import threading
import time

import numpy as np

from benchmarks.harness import machine
from benchmarks.harness.rows import keep
from purecnn.datasets import mnist


def draw(port: int, number: int, seconds: float, spent: list[float]) -> None:
    """Draw test digits, one after the other."""
    (images, _) = mnist.load_data()[1]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pixels = np.kron(images[number % len(images)], np.ones((5, 5), np.uint8))
        body = json.dumps({"side": 140, "pixels": base64.b64encode(pixels.tobytes()).decode()})
        begin = time.perf_counter()
        connection.request("POST", "/api/draw", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        told = json.loads(answer.read())
        if answer.status != 200 or told["blank"]:
            raise RuntimeError(f"status {answer.status}: {told}")
        spent.append(time.perf_counter() - begin)
        number += 1


def measure(port: int, clients: int, seconds: float) -> dict[str, float]:
    """Return how many answers there were a second, and how long they took, in milliseconds."""
    spent: list[list[float]] = [[] for _ in range(clients)]
    threads = [
        threading.Thread(target=draw, args=(port, 100 * number, seconds, own))
        for number, own in enumerate(spent)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    every = 1000 * np.array([one for own in spent for one in own])
    p50, p99 = np.percentile(every, [50, 99])
    return {"clients": clients, "answers_a_second": len(every) / seconds, "median_ms": p50, "p99_ms": p99}


def main() -> None:
    """Measure, print, and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 10, 50])
    given = parser.parse_args()
    command = [sys.executable, "-m", "purecnn", "playground", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline().split()[0].rstrip("/").rpartition(":")[2])
            measure(port, 1, 1)  # the first answer waits for the page to be built
            found = [measure(port, clients, given.seconds) for clients in given.clients]
        finally:
            server.terminate()
    print("| clients that draw at once | answers a second | median | 99th percentile |")
    print("| --- | --- | --- | --- |")
    for one in found:
        print(
            f"| {one['clients']} | {one['answers_a_second']:.0f} | {one['median_ms']:.0f} ms "
            f"| {one['p99_ms']:.0f} ms |"
        )
    about = {**machine.describe(), "command": " ".join(sys.argv[1:])}
    keep(about, {**about, "playground": found}, "playground")


if __name__ == "__main__":
    main()
