"""A trained lenet, and a server of its page, for all tests here."""

import os
import threading

import pytest

pytest.importorskip("starlette", reason="the extra `serve` is not installed")
pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")

from chainrule.serve.app import create_app
from chainrule.serve.running import address_of, build_server, listen, run
from chainrule.train import RunFolder, TrainConfig, Trainer, load_pictures, load_run


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The folder of a run: a lenet that has seen 12,000 digits, twice."""
    data = os.environ.get("CHAINRULE_DATA")
    name = "mnist" if data else "drawn"
    config = TrainConfig.of(name, "lenet", engine="compiled", limit=13_000, epochs=2, seed=0)
    folder = RunFolder.create(tmp_path_factory.mktemp("runs") / "lenet", config, overwrite=False)
    Trainer(config, load_pictures(config, data), folder, observe=False).run()
    return folder.path


@pytest.fixture(scope="session")
def address(trained):
    """Where its page is."""
    opened = listen("127.0.0.1", 0)
    server = build_server(create_app(load_run(trained), "lenet"))
    thread = threading.Thread(target=run, args=(server, opened))
    thread.start()
    yield address_of(opened)
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()
