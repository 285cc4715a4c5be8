"""The playground's server, over real connections on this machine."""

from __future__ import annotations

import base64
import http.client
import io
import json
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress

import numpy as np
import pytest

import purecnn
from helpers.waiting import PATIENCE
from purecnn import Dense, Flatten, Network, Softmax
from purecnn.cli.model import playground
from purecnn.datasets import mnist
from purecnn.datasets.sources import SOURCES
from purecnn.networks.pictures import prepared
from purecnn.playground import serve
from purecnn.playground.page import PAGE
from purecnn.playground.reader import Reader, decoded
from purecnn.playground.replies import Replies, knows_digits
from purecnn.playground.security import HEADERS
from purecnn.playground.server import listen, server
from purecnn.runs.model_path import DIGITS

pytest.importorskip("uvicorn")
PLAN = {
    "data": "xor",
    "layers": [{"kind": "Dense", "output_size": 4}, {"kind": "Tanh"}],
    "optimizer": "Adam",
    "learning_rate": 0.03,
    "batch_size": 32,
}


@contextmanager
def serving(network, buffer=None):
    """Serve a network in a thread; give the port. The system holds `buffer` bytes of answers, if given."""
    with listen(0) as listener:
        if buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        port = listener.getsockname()[1]
        running = server(network, port)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield port
        finally:
            running.should_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive()


def test_answers_are_sent_at_once() -> None:
    """asyncio sets TCP_NODELAY only where a socket names its protocol, which accepted ones inherit."""
    with listen(0) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        with client, accepted:
            assert accepted.proto == socket.IPPROTO_TCP


@pytest.fixture(scope="module")
def port():
    with serving(purecnn.load(DIGITS)) as port:
        yield port


def any_network():
    """Return a network for tests in which none is asked about: that of digits takes seconds to be ready."""
    return Network([Dense(5, 2), Softmax()])


def get(port, path, method="GET", body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def ask(port, path, asked=None):
    body = asked if isinstance(asked, bytes) else json.dumps(asked or {}).encode()
    status, _, told = get(port, f"/api/{path}", "POST", body, {"content-type": "application/json"})
    return status, json.loads(told)


def drawing(digit):
    pixels = np.kron(digit, np.ones((4, 4), np.uint8)).astype(np.uint8)
    return {"side": 112, "pixels": base64.b64encode(pixels.tobytes()).decode()}


def test_the_page_and_its_files_are_sent(port):
    for name, kind in PAGE.items():
        status, headers, body = get(port, "/" if name == "index.html" else f"/{name}")
        assert status == 200
        assert headers["content-type"].startswith(kind)
        assert headers.items() >= HEADERS.items()
        assert body
    assert b"http://" not in get(port, "/")[2].replace(b"http://www.w3.org", b"")


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/../pyproject.toml",
        "/..%2f..%2fpyproject.toml",
        "/page/draw.js",
        "//etc/passwd",
        "/%00",
        "/api/draw",
    ],
)
def test_nothing_else_is_sent(port, path):
    status, headers, _ = get(port, path)
    assert status in (404, 405)
    assert headers.items() >= HEADERS.items()


def test_a_drawing_is_read(port):
    (images, labels), _ = mnist.load_data()
    status, about = ask(port, "network")
    assert status == 200
    assert about["examples"] == 10_000
    for number in range(5):
        status, told = ask(port, "draw", drawing(images[number]))
        assert status == 200
        assert told["label"] == labels[number]
        assert len(told["layers"]) == len(about["layers"])
        status, cell = ask(port, "cell", {"sample": told["sample"], "layer": 0, "place": [1, 12, 12]})
        assert status == 200
        assert cell["total"] == pytest.approx(cell["output"], abs=1e-5)
    assert ask(port, "draw", drawing(np.zeros((28, 28), np.uint8))) == (200, {"blank": True, "why": ""})


def test_a_dot_is_no_digit_and_says_why(port):
    digit = np.zeros((28, 28), np.uint8)
    digit[10:13, 10:13] = 255
    why = "the picture shows a dot or a filled shape, wanted the strokes of a digit"
    assert ask(port, "draw", drawing(digit)) == (200, {"blank": True, "why": why})


def shown(network, **preprocessing):
    for name, value in preprocessing.items():
        setattr(network.preprocessing, name, value)
    return serving(network)


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_of_a_browser_are_prepared_as_the_file_is(channels):
    """Where no server reads files, the page sends pixels, which become grey by Pillow's weights."""
    pillow = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(channels).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    file = io.BytesIO()
    pillow.fromarray(pixels).save(file, "png")
    network = Network([Flatten(), Dense(output_size=3), Softmax()], input_shape=(channels, 8, 8))
    for name, value in {"preparation": "stretch", "kind": "bytes", "scale": 1 / 255}.items():
        setattr(network.preprocessing, name, value)
    replies = Replies(network)
    found = []
    for asked in ({"file": file.getvalue()}, {"pixels": pixels.tobytes(), "height": 8, "width": 8}):
        body = {k: base64.b64encode(v).decode() if isinstance(v, bytes) else v for k, v in asked.items()}
        status, told = replies("picture", json.dumps(body))
        assert status == 200
        found.append(decoded(json.loads(told)["sample"], 64 * channels).astype(int))
    assert np.abs(found[0] - found[1]).max() <= (0 if channels == 3 else 1)  # grey is rounded otherwise


def test_a_picture_is_prepared_as_for_predict(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    path = tmp_path / "colours.png"
    pixels = np.random.default_rng(0).integers(0, 256, (20, 31, 3)).astype(np.uint8)
    pillow.fromarray(pixels).save(path)
    network = Network([Flatten(), Dense(output_size=3), Softmax()], input_shape=(3, 8, 8))
    sent = {"file": base64.b64encode(path.read_bytes()).decode()}
    with shown(network, preparation="crop", kind="bytes", scale=1 / 255) as port:
        about = ask(port, "network")[1]
        assert (about["title"], about["drawable"], about["examples"]) == ("Open a picture", False, 0)
        told = ask(port, "picture", sent)[1]
        wanted = prepared(network, path)
        assert decoded(told["sample"], 192).tolist() == wanted.reshape(-1).tolist()
        np.testing.assert_allclose(told["probabilities"], network.predict(wanted[np.newaxis])[0], atol=1e-6)
        refused = [{"file": 5}, {"file": "ä"}, {"file": base64.b64encode(b"no picture").decode()}]
        words = [ask(port, "picture", one) for one in refused]
        assert [status for status, _ in words] == [422] * 3
        assert "this picture: not a picture that Pillow knows" in words[2][1]["error"]
        assert ask(port, "picture", {"file": "A" * 200_000})[0] == 422
        assert ask(port, "picture", {"file": "A" * 1_000_000})[0] == 413


@pytest.mark.parametrize(
    ("shape", "preparation", "classes", "title"),
    [
        ((1, 28, 28), "character", tuple("0123456789"), "Draw a digit"),
        ((1, 28, 28), "character", tuple("abcdefghij"), "Draw a character"),
        ((1, 28, 28), "object", SOURCES["fashion-mnist"].classes, "Draw a piece of clothing"),
        ((1, 28, 28), "object", (), "Draw an object"),
        ((1, 28, 28), "unknown", (), "Draw something"),
        ((1, 28, 28), "crop", (), "Draw something"),
        ((3, 28, 28), "crop", (), "Open a picture"),
        ((5,), "unknown", (), "Set the inputs"),
    ],
)
def test_a_page_asks_for_what_the_network_knows(shape, preparation, classes, title):
    network = Network([Flatten(), Dense(output_size=10), Softmax()], input_shape=shape)
    network.preprocessing.preparation, network.preprocessing.classes = preparation, classes
    assert Reader(network).words()["title"] == title
    assert knows_digits(network) is (title == "Draw a digit")


def test_a_network_of_pictures_sees_a_drawing_dark_on_white():
    network = Network([Flatten(), Dense(output_size=2), Softmax()], input_shape=(1, 4, 4))
    pad = np.zeros((8, 8), np.uint8)
    pad[2:6, 2:4] = 255
    network.preprocessing.preparation = "crop"
    assert Reader(network).prepare(pad)[0].tolist() == [
        [255] * 4,
        [255, 0, 255, 255],
        [255, 0, 255, 255],
        [255] * 4,
    ]
    network.preprocessing.preparation = "unknown"
    assert Reader(network).prepare(pad)[0].tolist() == [[0] * 4, [0, 255, 0, 0], [0, 255, 0, 0], [0] * 4]


def test_an_example_is_a_test_digit(port):
    _, (images, labels) = mnist.load_data()
    status, told = ask(port, "example", {"number": 17})
    assert (status, told["label"]) == (200, labels[17])
    np.testing.assert_array_equal(decoded(told["sample"], 784), images[17].reshape(-1))


def test_a_lesson_from_begin_to_end(port, monkeypatch):
    monkeypatch.setattr("purecnn.playground.lesson.MOST_SECONDS", PATIENCE)
    status, told = ask(port, "lessons/begin", PLAN)
    assert status == 200
    token = told["lesson"]
    status, told = ask(port, "lessons/advance", {"lesson": token, "steps": 5})
    assert (status, told["step"]) == (200, 5)
    assert ask(port, "lessons/backward", {"lesson": token, "sample": 3})[0] == 200
    assert ask(port, "lessons/end", {"lesson": token}) == (200, {})
    status, told = ask(port, "lessons/advance", {"lesson": token, "steps": 5})
    assert (status, told) == (404, {"error": "this training has ended; start another"})


@pytest.mark.parametrize(
    ("path", "asked", "status", "words"),
    [
        ("draw", b"{", 400, "the body must be JSON"),
        ("draw", b"\xff", 400, "the body must be JSON"),
        ("draw", b"[" * 90_000, 400, "the body must be JSON"),
        ("draw", b"[1]", 400, "the body must be an object, got list"),
        ("draw", {}, 422, "side must be an integer from 8 to 200, got None"),
        ("draw", {"side": 1e9, "pixels": ""}, 422, "side must be an integer"),
        ("draw", {"side": 10, "pixels": "AAAA"}, 422, "pixels must be 100 bytes, got 3"),
        ("draw", {"side": 10, "pixels": 5}, 422, "pixels must be text in base64, got int"),
        ("example", {"number": 10_000}, 422, "number must be an integer from 0 to 9999, got 10000"),
        ("example", {"number": True}, 422, "number must be an integer"),
        ("cell", {"sample": "AAAA"}, 422, "a layer, an integer, and a place"),
        ("cell", {"sample": "AAAA", "layer": 0, "place": [0, 0, 0]}, 422, "pixels must be 784 bytes"),
        ("cell", {"layer": 0, "place": [0.5]}, 422, "a place, a list of one to 3 integers"),
        ("cell", {"layer": 0, "place": [0] * 9000}, 422, "a place, a list of one to 3 integers"),
        ("lessons/begin", {}, 422, "data must be one of"),
        ("lessons/advance", {"lesson": "../../x", "steps": 1}, 404, "this training has ended"),
    ],
)
def test_bad_questions_get_a_sentence(port, path, asked, status, words):
    found, told = ask(port, path, asked)
    assert found == status
    assert words in told["error"]


def test_a_networks_file_may_be_large_and_no_larger(port):
    status, told = ask(port, "networks/open", {"file": "A" * 5_000_000, "name": "zeros"})
    assert (status, told["error"][:28]) == (422, "zeros: neither a model's fil")
    status, told = ask(port, "networks/open", {"file": "A" * 5_340_000, "name": "zeros"})
    assert (status, told) == (413, {"error": "a body has at most 5,334,332 bytes"})


def test_pages_elsewhere_are_refused(port):
    headers = {"content-type": "application/json", "origin": "http://evil.example"}
    assert get(port, "/api/network", "POST", b"{}", headers)[0] == 403
    assert get(port, "/", headers={"host": "evil.example"})[0] == 421


def test_who_asks_for_nothing_is_not_waited_for(monkeypatch):
    from purecnn.playground.timeouts import TimedProtocol

    monkeypatch.setattr(TimedProtocol, "seconds", 0.3)
    with serving(any_network()) as port:
        for begun in (b"", b"GET / HTTP/1.1\r\nHost: x"):
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as slow:
                slow.sendall(begun)
                assert slow.recv(1000) == b""  # closed by the server
        monkeypatch.setattr(TimedProtocol, "seconds", PATIENCE)  # what follows comes whole, but perhaps late
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as slow:
            slow.sendall(f"GET /icon.svg HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            answered = b""
            while not answered.endswith(b"</svg>\n"):
                came = slow.recv(65536)
                assert came, answered
                answered += came
            assert answered.startswith(b"HTTP/1.1 200")
            monkeypatch.setattr(TimedProtocol, "seconds", 0.3)
            slow.sendall(b"GET")
            assert slow.recv(1000) == b""
        monkeypatch.setattr(TimedProtocol, "seconds", PATIENCE)
        assert get(port, "/icon.svg")[0] == 200


def test_who_takes_no_answer_is_not_waited_for(monkeypatch):
    from purecnn.playground.timeouts import TimedProtocol

    monkeypatch.setattr(TimedProtocol, "sending", 0.2)
    monkeypatch.setattr("purecnn.playground.server.MOST_CONNECTIONS", 5)
    with serving(any_network(), buffer=4096) as port, ExitStack() as stack:
        wanted = f"GET /train.js HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode() * 20
        for _ in range(4):
            silent = stack.enter_context(socket.socket())
            silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            silent.connect(("127.0.0.1", port))
            silent.sendall(wanted)
        end = time.monotonic() + PATIENCE
        while (status := get(port, "/icon.svg")[0]) != 200:
            assert (status, time.monotonic() < end) == (503, True)
            time.sleep(0.05)


def test_malformed_requests_leave_it_answering(port):
    rng = random.Random(0)
    head = [f"Host: 127.0.0.1:{port}", "Content-Type: application/json", "Content-Length: 2"]
    good = "\r\n".join(["POST /api/draw HTTP/1.1", *head, "", "{}"]).encode()
    for _ in range(60):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            connection.sendall(bytes(data[: rng.randrange(1, len(data) + 1)]))
            if rng.random() < 0.5:
                connection.settimeout(0.05)
                with suppress(OSError):  # it may be closed already
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(1000)
    assert ask(port, "network")[0] == 200


def test_fifty_at_once_are_all_answered(port):
    (images, labels), _ = mnist.load_data()

    def draws(number):
        return [ask(port, "draw", drawing(images[number + 50 * turn]))[1]["label"] for turn in range(3)]

    with ThreadPoolExecutor(50) as pool:
        found = list(pool.map(draws, range(50)))
    right = np.array(found).T.reshape(-1) == labels[:150]
    assert right.mean() > 0.97


def test_numbers_are_taken_for_a_vector():
    with serving(Network([Dense(5, 2), Softmax()])) as port:
        status, told = ask(port, "draw", {"values": [0, 255, 3, 4, 5]})
        assert (status, told["blank"]) == (200, False)
        for values in ([1, 2], [0, 0, 0, 0, 256], [0, 0, 0, 0, True], [0, 0, 0, 0, 0.5], "abcde"):
            status, told = ask(port, "draw", {"values": values})
            assert (status, told["error"][:11]) == (422, "values must")
        status, told = ask(port, "example", {"number": 1})
        assert (status, told["error"][:12]) == (422, "examples are")


def test_a_port_that_is_taken_is_told(port):
    with pytest.raises(OSError, match=f"port {port} of this machine is taken; name another, or 0"):
        serve(port=port)
    with pytest.raises(ValueError, match="port must be a number at least 0 and below 65536, got 70000"):
        serve(port=70_000)


def test_the_command_says_where_the_page_is(monkeypatch, tmp_path):
    from click.testing import CliRunner

    seen = []
    monkeypatch.setattr("webbrowser.open", seen.append)

    def run(self, sockets):
        with socket.create_connection(("127.0.0.1", sockets[0].getsockname()[1]), timeout=PATIENCE):
            pass  # the page's address is told once it can be reached

    monkeypatch.setattr("uvicorn.Server.run", run)
    result = CliRunner().invoke(playground, ["--port", "0"])
    assert result.exit_code == 0
    assert result.output.startswith("http://127.0.0.1:")
    assert seen == [result.output.split()[0]]
    path = tmp_path / "m.safetensors"
    purecnn.save(Network([Dense(5, 2), Softmax()]), path)
    result = CliRunner().invoke(playground, [str(path), "--port", "0", "--no-browser"])
    assert (result.exit_code, len(seen)) == (0, 1)
    assert isinstance(CliRunner().invoke(playground, ["nowhere"]).exception, FileNotFoundError)


def test_lessons_left_behind_are_swept(monkeypatch):
    swept = threading.Event()
    monkeypatch.setattr("purecnn.playground.server.SWEEP", 0.05)
    monkeypatch.setattr("purecnn.playground.sessions.Lessons.sweep", lambda self: swept.set())
    with serving(any_network()):
        assert swept.wait(PATIENCE)
