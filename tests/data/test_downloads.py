"""Downloads from a server on this machine that breaks off, sends something else, or leads away."""

import hashlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from data.downloads import fetch, has_digest
from data.errors import InputError
from tests.support.promises import tally

pytestmark = pytest.mark.promise("downloads")

CONTENT = bytes(range(256)) * 40
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


class Server(ThreadingHTTPServer):
    """Serves `CONTENT`, at will only its first bytes, or a redirection."""

    breaks_after = len(CONTENT)
    sends_to = ""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests = 0
        self.url = f"http://127.0.0.1:{self.server_port}/big.zip"


class Handler(BaseHTTPRequestHandler):
    """Answers one request of the server above."""

    server: Server

    def do_GET(self) -> None:
        self.server.requests += 1
        if self.server.sends_to and self.path != "/moved":
            self.send_response(302)
            self.send_header("Location", self.server.sends_to)
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: self.server.breaks_after])

    def log_message(self, format: str, *args: object) -> None:
        """Keep the output of the tests clean."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    with Server() as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "raw" / "big.zip"


def files(path: Path) -> list[str]:
    return sorted(p.name for p in path.parent.iterdir())


def test_file_is_there_whole_and_alone(server: Server, path: Path) -> None:
    fetch(server.url, path, SHA256)
    assert path.read_bytes() == CONTENT and files(path) == ["big.zip"]


def test_download_that_breaks_off_leaves_nothing_and_says_what_to_do(
    server: Server, path: Path
) -> None:
    server.breaks_after = 1000
    with pytest.raises(InputError, match=r"big\.zip: the download failed.*put it into .*raw/$"):
        fetch(server.url, path, SHA256)
    assert files(path) == []
    server.breaks_after = len(CONTENT)
    fetch(server.url, path, SHA256)
    assert path.read_bytes() == CONTENT and files(path) == ["big.zip"]
    tally("wrong downloads refused")


def test_redirection_to_another_page_is_followed(server: Server, path: Path) -> None:
    server.sends_to = server.url.replace("big.zip", "moved")
    fetch(server.url, path, SHA256)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("scheme", ["file", "ftp", "data", "gopher"])
def test_redirection_out_of_the_web_is_refused(server: Server, path: Path, scheme: str) -> None:
    secret = path.parent.parent / "secret"
    secret.write_bytes(CONTENT)
    server.sends_to = {
        "file": secret.as_uri(),
        "ftp": "ftp://127.0.0.1/secret",
        "data": "data:text/plain,secret",
        "gopher": "gopher://127.0.0.1/secret",
    }[scheme]
    with pytest.raises(InputError, match=rf"failed \(No connection adapters .* '{scheme}:"):
        fetch(server.url, path, SHA256)
    assert files(path) == []
    tally("hostile redirections refused")


def test_what_is_not_the_file_is_refused_and_removed(server: Server, path: Path) -> None:
    md5 = hashlib.md5(CONTENT).hexdigest()
    with pytest.raises(InputError, match=rf"big\.zip: not the official file .*:0{{32}} .*{md5}\)$"):
        fetch(server.url, path, f"md5:{'0' * 32}")
    assert files(path) == []
    tally("wrong downloads refused")


def test_file_that_is_there_is_checked_and_kept(server: Server, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    fetch(server.url, path, SHA256)
    path.write_bytes(b"mine")
    with pytest.raises(InputError, match=r"raw/big\.zip: SHA-256 is"):
        fetch(server.url, path, SHA256)
    assert path.read_bytes() == b"mine" and server.requests == 0


def test_absent_page_and_absent_server_are_errors(
    server: Server, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Handler, "do_GET", lambda self: self.send_error(404))
    with pytest.raises(InputError, match=r"failed \(404 .*fetch http://127.*raw/$"):
        fetch(server.url, path, SHA256)
    with Server() as gone:
        url = gone.url
    with pytest.raises(InputError, match=r"failed \(.*refused"):
        fetch(url, path, SHA256)
    assert files(path) == []


def test_digests_are_told_apart(path: Path) -> None:
    assert not has_digest(path, SHA256)
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    assert has_digest(path, SHA256)
    assert has_digest(path, f"md5:{hashlib.md5(CONTENT).hexdigest()}")
    assert not has_digest(path, f"sha256:{'0' * 64}")
