"""`chainrule serve` as a process: it says where, answers, and ends at Ctrl-C."""

import http.client
import re
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from chainrule.cli.app import app


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for a child there")
def test_it_says_where_it_is_and_ends_at_ctrl_c(trained):
    command = [sys.executable, "-u", "-m", "chainrule", "serve", str(trained), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        try:
            line = server.stdout.readline().decode()
            place = re.search(r"http://(127\.0\.0\.1:\d+)/", line)[1]
            connection = http.client.HTTPConnection(place, timeout=20)
            connection.request("GET", "/api/network")
            assert connection.getresponse().status == 200
            connection.close()
            server.send_signal(signal.SIGINT)
            _, errors = server.communicate(timeout=20)
        finally:
            server.kill()  # whatever went wrong, nothing waits for it
    assert server.returncode == 0
    assert errors == b""


@pytest.mark.parametrize("module", ["starlette", "uvicorn"])
def test_what_is_not_installed_is_named_with_the_cure(trained, monkeypatch, module):
    from importlib import util

    real = util.find_spec
    monkeypatch.setattr(
        "chainrule.cli.serve.find_spec", lambda name: None if name == module else real(name)
    )
    result = CliRunner().invoke(app, ["serve", str(trained)])
    assert result.exit_code == 1
    assert "chainrule[serve]" in result.output


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    result = CliRunner().invoke(app, ["serve", str(tmp_path)])
    assert result.exit_code == 1
    assert "error" in result.output
