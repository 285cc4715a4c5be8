"""Downloads from a server on this machine that stalls, truncates, lies and fails: nothing damaged is kept."""

import hashlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.waiting import PATIENCE
from purecnn.errors import DownloadError
from purecnn.formats.downloads import download, fits

BODY = np.random.default_rng(0).bytes(300_000)
RIGHT = {"size": len(BODY), "sha256": hashlib.sha256(BODY).hexdigest()}

Answer = Callable[[BaseHTTPRequestHandler], None]


class Server(ThreadingHTTPServer):
    """Gives its answers one after another, the last one again and again, and keeps what was asked."""

    daemon_threads = True

    def __init__(self, *answers: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked = list(answers), []
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/data.gz"

    def handle_error(self, *_: Any) -> None:
        """Say nothing of clients that went away."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.headers.get("Range"))
        answers = self.server.answers
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what a machine may have set from standing in between."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@contextmanager
def serving(*answers: Answer) -> Iterator[Server]:
    server = Server(*answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def reply(
    handler: BaseHTTPRequestHandler, body: bytes, code: int = 200, length: int | None = None, **more: Any
) -> None:
    handler.send_response(code)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    for name, value in more.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)
    handler.wfile.flush()


def whole(handler: Any) -> None:
    reply(handler, BODY)


def ranged(handler: Any) -> None:
    """Send the rest that is asked for."""
    asked = handler.headers.get("Range")
    start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
    if not asked:
        return whole(handler)
    reply(handler, BODY[start:], 206, Content_Range=f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
    return None


def short(handler: Any) -> None:
    """Close after a third of what was promised."""
    reply(handler, BODY[:100_000], length=len(BODY))


def honestly_short(handler: Any) -> None:
    reply(handler, BODY[:100_000])


def lies_short(handler: Any) -> None:
    """Promise less than there is."""
    reply(handler, BODY, length=200_000)


def too_long(handler: Any) -> None:
    reply(handler, BODY + b"more")


def wrong(handler: Any) -> None:
    reply(handler, BODY[:-1] + bytes([BODY[-1] ^ 1]))


def stalls(handler: Any) -> None:
    reply(handler, BODY[:100_000], length=len(BODY))
    handler.server.over.wait()


def never_answers(handler: Any) -> None:
    handler.server.over.wait()


def resets(handler: Any) -> None:
    reply(handler, BODY[:100_000], length=len(BODY))
    # a linger of no time makes closing a reset
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def garbage(handler: Any) -> None:
    handler.wfile.write(b"who is there?\r\n\r\n")


def fails(code: int) -> Answer:
    return lambda handler: reply(handler, b"sorry", code)


def redirects(place: str) -> Answer:
    return lambda handler: reply(handler, b"", 302, Location=place)


def other_part(handler: Any) -> None:
    reply(handler, BODY[:-5], 206, Content_Range=f"bytes 5-{len(BODY) - 1}/{len(BODY)}")


QUICK = {"timeout": PATIENCE, "tries": 2, "pause": 0.001}
FAULTS = {
    "stalls": (stalls, "not a byte came for {timeout:g} s"),
    "never answers": (never_answers, "came for {timeout:g} s"),
    "truncates": (short, "100,000 of 300,000|IncompleteRead"),
    "is short": (honestly_short, "it ends after 100,000 of 300,000 bytes"),
    "lies about the length": (lies_short, "it ends after 200,000 of 300,000 bytes"),
    "sends too much": (too_long, "it sends more than the 300,000 bytes wanted"),
    "sends wrong bytes": (wrong, "its SHA-256 is [0-9a-f]{64}, and [0-9a-f]{64} is wanted"),
    "resets": (resets, "the connection broke off|ends after"),
    "is no server": (garbage, "the connection broke off"),
    "answers 500": (fails(500), "the server answers 500 Internal Server Error"),
    "answers 503": (fails(503), "the server answers 503 Service Unavailable"),
    "answers 416": (fails(416), "the server answers 416 "),
}


def timeouts(fault: str) -> list[float]:
    """Return the time limits to try with: a short one waits for nothing, but a busy server may miss it."""
    return [0.3, 3, 30] if fault in ("stalls", "never answers") else [PATIENCE]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_stays_leaves_nothing(fault: str, tmp_path: Path) -> None:
    answer, words = FAULTS[fault]
    for timeout in timeouts(fault):
        limits = {**QUICK, "timeout": timeout}
        with serving(answer) as server:
            with pytest.raises(DownloadError, match=words.replace("{timeout:g}", f"{timeout:g}")) as caught:
                download(server.url, tmp_path / "data.gz", **RIGHT, **limits)
            assert str(caught.value).startswith(f"{server.url}: ")
            assert str(caught.value).endswith(", the last of 2 tries; nothing of it was kept")
            asked = len(server.asked)
        assert list(tmp_path.iterdir()) == []
        if asked == 2:
            break
    assert asked == 2


@pytest.mark.parametrize("then", [whole, ranged], ids=["whole", "the rest"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes_is_tried_again(fault: str, then: Answer, tmp_path: Path) -> None:
    for timeout in timeouts(fault):
        told: list[tuple[int, int]] = []
        limits = {**QUICK, "timeout": timeout, "report": lambda *at, told=told: told.append(at)}
        with serving(FAULTS[fault][0], then) as server:
            asked = server.asked
            try:
                download(server.url, tmp_path / "data.gz", **RIGHT, **limits)
            except DownloadError as error:
                if timeout < 30 and f"came for {timeout:g} s" in str(error):
                    continue
                raise
        if fault != "stalls" or asked[1:] != [None]:
            break
    assert (tmp_path / "data.gz").read_bytes() == BODY
    assert [path.name for path in tmp_path.iterdir()] == ["data.gz"]
    assert told[-1] == (300_000, 300_000)
    # what came before the fault is not asked for again, unless it was wrong
    if fault in ("truncates", "is short", "stalls"):
        assert asked[1] is not None
    if fault in ("sends wrong bytes", "sends too much", "answers 416", "answers 500"):
        assert asked == [None, None]


def test_what_is_left_of_an_earlier_try_is_cut_off(tmp_path: Path) -> None:
    """Twice a whole is promised and only its beginning comes, first more of it and then less."""

    def shorter(handler: Any) -> None:
        reply(handler, BODY[:50_000])

    with serving(honestly_short, shorter, ranged) as server:
        download(server.url, tmp_path / "data.gz", **RIGHT, timeout=PATIENCE, tries=3, pause=0)
        assert server.asked == [None, "bytes=100000-", "bytes=50000-"]
    assert (tmp_path / "data.gz").read_bytes() == BODY


def test_a_part_that_was_not_asked_for_is_not_taken(tmp_path: Path) -> None:
    with serving(short, other_part, whole) as server:
        download(server.url, tmp_path / "data.gz", **RIGHT, timeout=PATIENCE, tries=3, pause=0)
        assert server.asked[2] is None
    assert (tmp_path / "data.gz").read_bytes() == BODY


def test_a_file_of_another_name_is_left_alone_and_the_old_one_until_the_new_one_is_whole(
    tmp_path: Path,
) -> None:
    (tmp_path / "data.gz").write_text("old", encoding="utf-8")
    (tmp_path / "data.gz.part").write_text("another's", encoding="utf-8")
    with serving(wrong) as server, pytest.raises(DownloadError):
        download(server.url, tmp_path / "data.gz", **RIGHT, **QUICK)
    assert (tmp_path / "data.gz").read_text(encoding="utf-8") == "old"
    with serving(whole) as server:
        download(server.url, tmp_path / "data.gz", **RIGHT, **QUICK)
    assert (tmp_path / "data.gz").read_bytes() == BODY
    assert (tmp_path / "data.gz.part").read_text(encoding="utf-8") == "another's"


@pytest.mark.parametrize("code", [400, 403, 404, 410])
def test_a_refusal_is_final(code: int, tmp_path: Path) -> None:
    with serving(fails(code)) as server:
        with pytest.raises(DownloadError, match=rf"^http://127.*/data.gz: the server answers {code} \w+"):
            download(server.url, tmp_path / "data.gz", **RIGHT, **QUICK)
        assert len(server.asked) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "place", ["http://example.invalid/data.gz", "ftp://127.0.0.1/data.gz", "file:///etc/hostname"]
)
def test_a_redirection_to_a_place_that_is_not_safe_is_refused(place: str, tmp_path: Path) -> None:
    with serving(redirects(place)) as server:
        # urllib refuses some by itself, as an answer that is no file
        with pytest.raises(DownloadError, match=r"begins with https:// is wanted|answers 302"):
            download(server.url, tmp_path / "data.gz", **RIGHT, **QUICK)
        assert len(server.asked) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_redirection_on_this_machine_is_followed_and_a_circle_is_not(tmp_path: Path) -> None:
    with serving(whole) as second, serving(redirects(second.url)) as first:
        download(first.url, tmp_path / "data.gz", **RIGHT, **QUICK)
    with serving(redirects("/data.gz")) as circle, pytest.raises(DownloadError, match="answers 302"):
        download(circle.url, tmp_path / "other.gz", **RIGHT, **QUICK)
    assert [path.name for path in tmp_path.iterdir()] == ["data.gz"]


@pytest.mark.parametrize(
    "url", ["http://example.invalid/a", "ftp://127.0.0.1/a", "file:///etc/hostname", "data.gz", ""]
)
def test_plain_http_is_for_this_machine_alone(url: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        download(url, tmp_path / "data.gz", **RIGHT)
    assert str(caught.value) == f"{url}: an address that begins with https:// is wanted"


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with socket.socket() as held:  # bound and not listening: whoever connects is refused
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/data.gz"
        with pytest.raises(
            DownloadError, match=r"the server can't be reached \(.*refused.*\), the last of 2"
        ):
            download(url, tmp_path / "data.gz", **RIGHT, **QUICK)
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(done: int, size: int) -> None:
        raise KeyboardInterrupt

    with serving(whole) as server, pytest.raises(KeyboardInterrupt):
        download(server.url, tmp_path / "data.gz", **RIGHT, report=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with serving(whole) as server, pytest.raises(FileNotFoundError):
        download(server.url, tmp_path / "absent" / "data.gz", **RIGHT)


def test_fits(tmp_path: Path) -> None:
    path = tmp_path / "data.gz"
    assert not fits(path, RIGHT["size"], RIGHT["sha256"])
    path.write_bytes(BODY[:-1])
    assert not fits(path, RIGHT["size"], RIGHT["sha256"])
    path.write_bytes(BODY[:-1] + b"?")
    assert not fits(path, RIGHT["size"], RIGHT["sha256"])
    path.write_bytes(BODY)
    assert fits(path, RIGHT["size"], RIGHT["sha256"])
