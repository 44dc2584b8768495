"""Who asks what: good questions are answered, bad ones refused, and the server lives on."""

import http.client
import json
import socket
import threading
from collections import Counter
from urllib.parse import urlsplit

import numpy as np
import pytest

from chainrule.serve.app import SIDE

KIND = {"content-type": "application/octet-stream"}


def seven():
    """A drawing of a 7, as the page sends it."""
    ink = np.zeros((SIDE, SIDE), np.uint8)
    ink[30:41, 35:100] = 255
    for row in range(41, 115):
        left = 92 - (row - 41) // 2
        ink[row, left : left + 11] = 255
    return ink.tobytes()


@pytest.fixture
def ask(address):
    """Asks the server; status, headers, and what it said."""

    def asked(path, method="GET", body=None, headers=None):
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        kind = answer.headers.get("content-type", "")
        return answer.status, answer.headers, json.loads(text) if "json" in kind else text

    return asked


@pytest.fixture
def lives(ask):
    """After whatever a test did, a good question is answered."""
    yield
    assert ask("/api/look", "POST", seven(), KIND)[0] == 200


def test_a_drawing_is_answered(ask):
    status, _, said = ask("/api/look", "POST", seven(), KIND)
    assert status == 200
    assert abs(sum(said["probabilities"]) - 1) < 1e-6
    assert said["answer"] == 7
    names = [layer["name"] for layer in said["layers"]]
    assert names == [
        *("conv1", "relu1", "pool1", "conv2", "relu2", "pool2"),
        *("fc1", "relu3", "fc2", "relu4", "fc3"),
    ]
    assert said["seen"].startswith("data:image/png;base64,")


def test_the_network_tells_its_classes(ask):
    status, _, said = ask("/api/network")
    assert (status, said["model"], said["side"], len(said["classes"])) == (200, "lenet", SIDE, 10)


@pytest.mark.parametrize("path", ["/", "/static/page.js", "/static/drawing.js", "/static/page.css"])
def test_every_answer_has_a_strict_policy(ask, path):
    status, headers, text = ask(path)
    assert status == 200
    assert text
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


@pytest.mark.usefixtures("lives")
@pytest.mark.parametrize(
    ("status", "method", "path", "body", "headers"),
    [
        (413, "POST", "/api/look", b"x" * (SIDE * SIDE + 1), KIND),
        (413, "POST", "/api/look", None, {**KIND, "content-length": "99999999999999"}),
        (400, "POST", "/api/look", b"x" * 10, KIND),
        (400, "POST", "/api/look", b"", KIND),
        (415, "POST", "/api/look", seven(), {"content-type": "application/json"}),
        (415, "POST", "/api/look", seven(), {}),
        (422, "POST", "/api/look", bytes(SIDE * SIDE), KIND),
        (422, "POST", "/api/look", b"\x01" * (SIDE * SIDE), KIND),
        (405, "GET", "/api/look", None, {}),
        (405, "PUT", "/api/look", seven(), KIND),
        (405, "POST", "/", b"", {}),
        (405, "DELETE", "/api/network", None, {}),
        (400, "POST", "/api/look?size=3", seven(), KIND),
        (400, "POST", "/api/look?pupil=a&pupil=b", seven(), KIND),
        (410, "POST", "/api/look?pupil=unknown", seven(), KIND),
        (400, "POST", "/api/teach", seven(), KIND),
        (400, "POST", "/api/teach?label=10&rate=0.01", seven(), KIND),
        (400, "POST", "/api/teach?label=-1&rate=0.01", seven(), KIND),
        (400, "POST", "/api/teach?label=1.5&rate=0.01", seven(), KIND),
        (400, "POST", "/api/teach?label=1&rate=nan", seven(), KIND),
        (400, "POST", "/api/teach?label=1&rate=inf", seven(), KIND),
        (400, "POST", "/api/teach?label=1&rate=0", seven(), KIND),
        (400, "POST", "/api/teach?label=" + "9" * 5000 + "&rate=0.1", seven(), KIND),
        (400, "POST", "/api/forget", b"", {}),
        (404, "GET", "/static/page.py", None, {}),
        (404, "GET", "/static/../app.py", None, {}),
        (404, "GET", "/static/..%2fapp.py", None, {}),
        (404, "GET", "/static/%2e%2e/%2e%2e/etc/passwd", None, {}),
        (404, "GET", "//etc/passwd", None, {}),
        (404, "GET", "/config.json", None, {}),
        (403, "GET", "/", None, {"host": "evil.example"}),
        (403, "GET", "/", None, {"host": "localhost.evil.example"}),
        (403, "GET", "/", None, {"host": "["}),
        (403, "POST", "/api/look", seven(), {**KIND, "origin": "https://evil.example"}),
        (403, "POST", "/api/look", seven(), {**KIND, "origin": "null"}),
        (403, "POST", "/api/look", seven(), {**KIND, "sec-fetch-site": "cross-site"}),
    ],
)
def test_a_bad_question_is_refused(ask, status, method, path, body, headers):
    answered, sent, _ = ask(path, method, body, headers)
    assert answered == status
    assert "default-src 'none'" in sent["content-security-policy"]


@pytest.mark.usefixtures("lives")
@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"POST /api/look HTTP/1.1\r\nhost: localhost\r\ncontent-length: -5\r\n\r\n",
    ],
    ids=["noise", "no host", "endless", "negative"],
)
def test_what_is_no_http_is_refused(address, sent):
    with socket.create_connection((urlsplit(address).hostname, urlsplit(address).port), 10) as raw:
        raw.sendall(sent)
        answer = raw.recv(4096)
    assert answer.startswith((b"HTTP/1.1 4", b"")), answer
    assert not answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 5"))


@pytest.mark.usefixtures("lives")
def test_a_drawing_that_breaks_off_harms_nobody(address):
    where = (urlsplit(address).hostname, urlsplit(address).port)
    for _ in range(5):
        with socket.create_connection(where, 10) as raw:
            raw.sendall(
                b"POST /api/look HTTP/1.1\r\nhost: localhost\r\n"
                b"content-type: application/octet-stream\r\ncontent-length: 19600\r\n\r\nabc"
            )


def test_a_body_in_pieces_is_bounded_too(address):
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
    pieces = (b"x" * 1000 for _ in range(SIDE * SIDE // 1000 + 1))
    connection.request("POST", "/api/look", pieces, KIND, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_of_two_hundred_questions_from_twenty_connections_none_is_lost(address):
    body, answers = seven(), Counter()

    def visitor():
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        for _ in range(10):
            connection.request("POST", "/api/look", body, KIND)
            answer = connection.getresponse()
            said = json.loads(answer.read())
            answers[answer.status, said["answer"]] += 1
        connection.close()

    visitors = [threading.Thread(target=visitor) for _ in range(20)]
    for each in visitors:
        each.start()
    for each in visitors:
        each.join()
    assert answers == {(200, 7): 200}


class TestTeaching:
    def test_a_step_helps_a_copy_and_leaves_the_network(self, ask):
        before = ask("/api/look", "POST", seven(), KIND)[2]["probabilities"]
        status, _, lesson = ask("/api/teach?label=3&rate=0.003", "POST", seven(), KIND)
        assert status == 200
        assert lesson["lessons"] == 1
        assert lesson["before"] == pytest.approx(before, abs=1e-6)
        assert lesson["after"][3] > lesson["before"][3]
        assert lesson["loss"][1] < lesson["loss"][0] == pytest.approx(-np.log(before[3]), rel=1e-3)
        assert set(lesson["moved"]) == {"conv1", "conv2", "fc1", "fc2", "fc3"}
        taught = ask(f"/api/look?pupil={lesson['pupil']}", "POST", seven(), KIND)[2]
        assert taught["probabilities"] == pytest.approx(lesson["after"], abs=1e-6)
        assert ask("/api/look", "POST", seven(), KIND)[2]["probabilities"] == before

    def test_lessons_add_up_until_they_are_forgotten(self, ask):
        pupil = ask("/api/teach?label=3&rate=0.001", "POST", seven(), KIND)[2]["pupil"]
        again = f"/api/teach?label=3&rate=0.001&pupil={pupil}"
        assert ask(again, "POST", seven(), KIND)[2]["lessons"] == 2
        assert ask(f"/api/forget?pupil={pupil}", "POST", b"", {})[0] == 204
        assert ask(again, "POST", seven(), KIND)[0] == 410
