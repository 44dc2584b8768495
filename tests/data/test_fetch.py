"""Finding and downloading data sets, against a local server that misbehaves on request."""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import http.server
import io
import os
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from chainrule.data import CATALOG, MNIST, RemoteFile, catalog, describe, download, load, locate
from chainrule.data import fetch as fetch_module
from chainrule.data.idx import write_idx
from chainrule.errors import ConfigError, DataError, DownloadError, StorageError

BODY = np.random.default_rng(0).bytes(300_000)


class Handler(http.server.BaseHTTPRequestHandler):
    """`/ok`, and one path for each way in which a server can fail."""

    log: ClassVar[list[tuple[str, str]]] = []
    body: ClassVar[bytes] = BODY

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        span = self.headers.get("Range", "")
        self.log.append((self.path, span))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            getattr(self, f"send_{self.path.strip('/')}")(int(span[6:-1]) if span else 0)

    def answer(self, status: int, body: bytes, length: int, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def send_ok(self, start: int, body: bytes | None = None) -> None:
        size, rest = len(self.body), self.body[start:]
        span = {"Content_Range": f"bytes {start}-{size - 1}/{size}"} if start else {}
        self.answer(206 if start else 200, rest if body is None else body, len(rest), **span)

    def send_breaks_off(self, start: int) -> None:
        self.send_ok(start, self.body[start : start + 120_000])
        self.close_connection = True

    def send_ignores_range(self, start: int) -> None:
        body = self.body if start else self.body[:100_000]
        self.answer(200, body, len(self.body))
        self.close_connection = True

    def send_wrong_range(self, start: int) -> None:
        self.answer(206, b"x" * 10, 10, Content_Range="bytes 7-16/300000")

    def send_refuses_range(self, start: int) -> None:
        self.answer(416, b"", 0) if start else self.send_ok(0)

    def send_damaged(self, start: int) -> None:
        self.answer(200, b"x" * len(self.body), len(self.body))

    def send_endless(self, start: int) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(100):
            self.wfile.write(self.body)

    def send_missing(self, start: int) -> None:
        self.answer(404, b"no", 2)

    def send_moved(self, start: int) -> None:
        self.answer(302, b"", 0, Location="/ok")

    def send_stalls(self, start: int) -> None:
        self.send_ok(start, b"")
        threading.Event().wait(0.6)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}/"
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CHAINRULE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    Handler.log.clear()


def remote(server: str, *paths: str, body: bytes = BODY) -> RemoteFile:
    urls = tuple(server + path for path in paths)
    sha = hashlib.sha256(body).hexdigest()
    return RemoteFile("file.bin", len(body), hashlib.md5(body).hexdigest(), urls, sha)


def leftovers(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir() if not each.name.endswith(".lock")}


@pytest.mark.parametrize(
    "paths",
    [
        ("ok",),
        ("moved",),
        ("breaks_off",),
        ("ignores_range",),
        ("missing", "ok"),
        ("damaged", "ok"),
        ("endless", "ok"),
        ("stalls", "ok"),
        ("breaks_off", "wrong_range", "ok"),
    ],
)
def test_the_file_arrives_whole(server: str, tmp_path: Path, paths: tuple[str, ...]) -> None:
    seen: list[tuple[str, int, int]] = []
    path = download(
        remote(server, *paths), tmp_path, progress=lambda *at: seen.append(at), timeout=0.3
    )
    assert path.read_bytes() == BODY
    assert leftovers(tmp_path) == {"file.bin"}
    assert seen[-1] == ("file.bin", len(BODY), len(BODY))


def test_a_file_that_is_there_is_not_fetched_again(server: str, tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(b"mine")
    assert download(remote(server, "ok"), tmp_path).read_bytes() == b"mine"
    assert Handler.log == []


@pytest.mark.parametrize("path", ["ok", "ignores_range", "refuses_range", "wrong_range"])
def test_a_partial_file_is_continued(server: str, tmp_path: Path, path: str) -> None:
    (tmp_path / "file.bin.part").write_bytes(BODY[:200_000])
    got = download(remote(server, path, "ok"), tmp_path)
    assert got.read_bytes() == BODY
    assert Handler.log[0] == (f"/{path}", "bytes=200000-")


def test_a_partial_file_of_something_else_is_thrown_away(server: str, tmp_path: Path) -> None:
    for stale in (b"y" * 200_000, b"y" * 300_000, b"y" * 400_000):
        (tmp_path / "file.bin.part").write_bytes(stale)
        assert download(remote(server, "ok", "ok"), tmp_path).read_bytes() == BODY
        (tmp_path / "file.bin").unlink()


def test_each_failure_is_told_and_nothing_false_is_left(server: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        download(remote(server, "missing", "damaged", "endless"), tmp_path)
    text = str(caught.value)
    assert "404" in text
    assert "MD5" in text
    assert "more than the expected" in text
    assert leftovers(tmp_path) == set()


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"file\.bin could not be downloaded"):
        download(remote("http://127.0.0.1:9/", "ok"), tmp_path, timeout=1)


def test_two_at_once_fetch_it_once(server: str, tmp_path: Path) -> None:
    results: list[bytes] = []
    threads = [
        threading.Thread(
            target=lambda: results.append(download(remote(server, "ok"), tmp_path).read_bytes())
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [BODY] * 4
    assert len(Handler.log) == 1


def test_a_full_disk_keeps_what_has_arrived(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open = Path.open

    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            if self.tell() > 100_000:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data)

    def full_open(self: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        return Full(self, "ab") if mode == "ab" else real_open(self, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", full_open)
    with pytest.raises(StorageError, match="No space left") as caught:
        download(remote(server, "ok"), tmp_path)
    assert "free some space" in str(caught.value)
    kept = (tmp_path / "file.bin.part").read_bytes()
    assert len(kept) > 50_000
    assert BODY.startswith(kept)
    monkeypatch.undo()
    assert download(remote(server, "ok"), tmp_path).read_bytes() == BODY


def test_a_folder_that_cannot_be_made(server: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        download(remote(server, "ok"), tmp_path / "file" / "below")


# -- locating -------------------------------------------------------------------------------------


def write_set(folder: Path, name: str = "mnist", suffix: str = ".gz", count: int = 4) -> None:
    info = describe(name)
    folder.mkdir(parents=True, exist_ok=True)
    for stem in info.files:
        labels = "labels" in stem
        shape = (count,) if labels else (count, 28, 28)
        array = np.arange(np.prod(shape)).reshape(shape) % 10
        write_idx(folder / f"{stem}{suffix}", array.astype(np.uint8))


def test_the_places_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named, environment, cache = tmp_path / "n", tmp_path / "e", tmp_path / "c"
    write_set(cache / "mnist")
    named.mkdir()
    assert locate("mnist", named, cache_dir=cache).origin == "cache"
    monkeypatch.setenv("CHAINRULE_DATA", str(environment))
    write_set(environment / "mnist", suffix="")
    assert locate("mnist", named, cache_dir=cache).origin == "environment"
    write_set(named / "mnist")
    files = locate("mnist", named, cache_dir=cache)
    assert files.origin == "data_dir"
    assert files.test_labels == named / "mnist" / "t10k-labels-idx1-ubyte.gz"
    (named / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()  # three of four are not a set
    assert locate("mnist", named, cache_dir=cache).origin == "environment"


def test_without_network_the_steps_by_hand_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = CATALOG["mnist"]
    dead = tuple(
        replace(file, urls=("http://127.0.0.1:9/" + file.name,)) for file in info.published
    )
    monkeypatch.setitem(catalog.CATALOG, "mnist", replace(info, published=dead))
    with pytest.raises(DownloadError) as caught:
        locate("mnist", cache_dir=tmp_path, timeout=1)
    text = str(caught.value)
    for part in (*(file.name for file in dead), str(tmp_path / "mnist"), "--data", "drawn"):
        assert part in text
    with pytest.raises(DataError, match="not found"):
        locate("mnist", cache_dir=tmp_path, allow_download=False)
    with pytest.raises(DataError, match="nothing"):
        locate("mnist", tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="kmnist"):
        locate("mnits")


def test_a_set_is_downloaded_into_the_cache(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_set(tmp_path / "source")
    info = CATALOG["mnist"]
    published: list[RemoteFile] = []
    for file in info.published:
        body = (tmp_path / "source" / file.name).read_bytes()
        path = file.name.replace("-", "_").replace(".", "_")

        def send(self: Handler, start: int, body: bytes = body) -> None:
            self.answer(200, body, len(body))

        monkeypatch.setattr(Handler, f"send_{path}", send, raising=False)
        published.append(replace(remote(server, path, body=body), name=file.name))
    monkeypatch.setitem(catalog.CATALOG, "mnist", replace(info, published=tuple(published)))
    cache = tmp_path / "cache"
    assert locate("mnist", cache_dir=cache).origin == "download"
    assert locate("mnist", cache_dir=cache).origin == "cache"
    assert load("mnist", cache_dir=cache).train_images.shape == (4, 28, 28)


def emnist_archive(source: Path, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as packed:
        for stem in describe("emnist-digits").files:
            packed.write(source / f"{stem}.gz", f"gzip/{stem}.gz")
        packed.writestr("../evil", b"outside")


def test_emnist_comes_out_of_its_archive_upright(tmp_path: Path) -> None:
    write_set(tmp_path / "source", "emnist-digits")
    folder = tmp_path / "data" / "emnist"
    folder.mkdir(parents=True)
    emnist_archive(tmp_path / "source", folder / "gzip.zip")
    arrays = load("emnist-digits", tmp_path / "data")
    stored = (np.arange(4 * 784).reshape(4, 28, 28) % 10).astype(np.uint8)
    assert (arrays.train_images == stored.swapaxes(1, 2)).all()
    assert not (tmp_path / "data" / "evil").exists()
    assert len(leftovers(folder)) == 5
    for content in (b"not a zip", (folder / "gzip.zip").read_bytes()[:-50]):
        (folder / "gzip.zip").write_bytes(content)
        with pytest.raises(DataError, match=r"gzip\.zip"):
            load("emnist-balanced", tmp_path / "data")


def test_a_lying_archive_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "emnist"
    folder.mkdir()
    with zipfile.ZipFile(folder / "gzip.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(f"gzip/{describe('emnist-digits').files[0]}.gz", bytes(50_000_000))
    with pytest.raises(DataError, match="claims"):
        load("emnist-digits", tmp_path)


def test_catalog_addresses_are_secure_and_digests_whole() -> None:
    for info in CATALOG.values():
        for file in info.published:
            assert all(url.startswith("https://") for url in file.urls)
            assert len(file.md5) == 32
            assert len(file.sha256) in (0, 64)
            assert file.size > 4000
    assert [len(describe(f"emnist-{s}").classes) for s in ("balanced", "byclass", "letters")] == [
        47,
        62,
        27,
    ]


# -- the real files -------------------------------------------------------------------------------

REAL = os.environ.get("CHAINRULE_DATA", "")
needs_data = pytest.mark.skipif(
    not (Path(REAL) / "mnist").is_dir(), reason="CHAINRULE_DATA has no mnist/"
)


@needs_data
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_real_files_are_as_published(name: str) -> None:
    arrays = load(name, REAL, allow_download=False)
    assert arrays.train_images.shape == (60000, 28, 28)
    assert arrays.test_images.shape == (10000, 28, 28)
    if name == "mnist":
        # The counts of each digit in the test set, as published with it.
        published = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
        assert np.bincount(arrays.test_labels).tolist() == published
    for file in describe(name).published:
        content = (Path(REAL) / name / file.name).read_bytes()
        assert len(content) == file.size
        assert hashlib.md5(content).hexdigest() == file.md5


@needs_data
def test_mnist_as_a_data_set() -> None:
    digits = MNIST(REAL, train=False, download=False)
    image, label = digits[0]
    assert image.shape == (1, 28, 28)
    assert int(label) == 7
    assert digits.classes[7] == "7 - seven"
    assert 0.98 < float(image.numpy().max()) <= 1
    assert digits.data.shape == (10000, 28, 28)
    assert digits.class_to_idx["0 - zero"] == 0


def test_a_truncated_set_is_named(tmp_path: Path) -> None:
    write_set(tmp_path / "mnist")
    broken = tmp_path / "mnist" / "train-images-idx3-ubyte.gz"
    broken.write_bytes(gzip.compress(gzip.decompress(broken.read_bytes())[:-5]))
    with pytest.raises(DataError, match="train-images"):
        load("mnist", tmp_path)


def test_the_cache_folder_follows_the_platform(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert fetch_module.cache_folder() == tmp_path / "xdg" / "chainrule"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert fetch_module.cache_folder().parts[-3:] == ("Library", "Caches", "chainrule")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert fetch_module.cache_folder() == tmp_path / "local" / "chainrule"
    monkeypatch.delenv("LOCALAPPDATA")
    assert fetch_module.cache_folder().parts[-3:] == ("AppData", "Local", "chainrule")


def test_an_archive_without_the_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "emnist").mkdir()
    with zipfile.ZipFile(tmp_path / "emnist" / "gzip.zip", "w") as packed:
        packed.writestr("gzip/readme", b"")
    with pytest.raises(DataError, match=r"expected the file gzip/emnist-digits.*found none"):
        load("emnist-digits", tmp_path)


def test_pictures_of_another_size_are_refused(tmp_path: Path) -> None:
    write_set(tmp_path / "mnist", suffix="")
    for sizes in ((4, 27, 28), (0, 28, 28)):
        for stem in describe("mnist").files:
            shape = sizes if "images" in stem else sizes[:1]
            write_idx(tmp_path / "mnist" / stem, np.zeros(shape, np.uint8))
        with pytest.raises(DataError, match="28 x 28"):
            load("mnist", tmp_path)


def test_a_redirection_out_of_the_secure_web_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import urllib.request

    class Insecure(io.BytesIO):
        url, status, headers = "http://elsewhere/file.bin", 200, {}

    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: Insecure(BODY))
    with pytest.raises(DownloadError, match="insecure address, http://elsewhere"):
        download(remote("https://somewhere", "ok"), tmp_path)
    assert "file.bin" not in leftovers(tmp_path)


@pytest.mark.parametrize("step", ["lock", "open", "close", "rename", "throw away"])
def test_each_step_that_the_disk_refuses_is_a_storage_error(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    real_open = Path.open

    class Lazy(io.FileIO):
        def close(self) -> None:
            super().close()
            refuse()

    def open_part(self: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if mode != "ab":
            return real_open(self, mode, *args, **kwargs)
        return Lazy(self, "ab") if step == "close" else refuse()

    path = "ok"
    if step == "lock":
        pytest.importorskip("fcntl")
        monkeypatch.setattr(os, "open", refuse)
    elif step in ("open", "close"):
        monkeypatch.setattr(Path, "open", open_part)
    elif step == "rename":
        monkeypatch.setattr(os, "replace", refuse)
    else:
        path = "damaged"
        monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StorageError, match="No space left"):
        download(remote(server, path), tmp_path)
    monkeypatch.undo()
    assert not (tmp_path / "file.bin").exists()


def test_drawn_digits_print_how_many_they_are() -> None:
    from chainrule.data import DrawnDigits

    assert repr(DrawnDigits(3)) == "DrawnDigits(3 pictures)"


def test_a_set_prints_its_size_and_classes(tmp_path: Path) -> None:
    write_set(tmp_path / "mnist", suffix="")
    assert repr(MNIST(tmp_path, download=False)) == "MNIST(4 pictures, 10 classes)"
