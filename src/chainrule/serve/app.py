"""The web application: the page, its files, and three questions.

    GET  /                      the page
    GET  /static/NAME           its files
    GET  /api/network           the network, its classes, how a drawing is to be sent
    POST /api/look              a drawing -> what the network makes of it
    POST /api/teach?label=&rate=  a drawing and its class -> what one training step does to a copy
    POST /api/forget?pupil=     gives that copy up

A drawing is SIDE x SIDE bytes of ink and nothing else, so its size is checked before it is read.
What goes wrong is told as {"error": ..., "cure": ...} with a status of 4xx.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Set
from importlib import resources
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chainrule.data import ink_as_mnist
from chainrule.errors import ChainruleError
from chainrule.explain.thumbnails import data_uri, grey, signed
from chainrule.serve.guard import Guard, host_names
from chainrule.serve.lessons import ForgottenError, Lesson, Pupils
from chainrule.serve.looking import Look, look
from chainrule.train import SavedRun

__all__ = ["SIDE", "create_app"]

SIDE = 140
"""Pixels of a drawing along one side: five to a pixel of the network's."""

PATIENCE = 10.0
"""Seconds that a body may take to arrive."""

_FILES = {
    "page.js": ("chainrule.serve", "pages/page.js", "text/javascript"),
    "drawing.js": ("chainrule.serve", "pages/drawing.js", "text/javascript"),
    "page.css": ("chainrule.serve", "pages/page.css", "text/css"),
    "colors.css": ("chainrule.explain", "pages/colors.css", "text/css"),
}

T = TypeVar("T")


def create_app(saved: SavedRun, name: str, host: str = "127.0.0.1") -> Guard:
    """The application for one trained network.

    Args:
        saved: the network, its classes, its scaling.
        name: what the run is called on the page.
        host: where it will listen: the names that it answers to follow from that.
    """
    page = _Page(saved, name)
    app = Starlette(
        routes=[
            Route("/", page.page),
            Route("/static/{name}", page.file),
            Route("/api/network", page.network),
            Route("/api/look", page.look, methods=["POST"]),
            Route("/api/teach", page.teach, methods=["POST"]),
            Route("/api/forget", page.forget, methods=["POST"]),
        ],
        exception_handlers={HTTPException: _told, ChainruleError: _told},
    )
    return Guard(app, host_names(host))  # outermost: what fails inside has its headers, too


class _Page:
    """What the routes lead to. The network is asked by one thread at a time."""

    def __init__(self, saved: SavedRun, name: str) -> None:
        self._saved, self._name = saved, name
        self._pupils = Pupils(saved.model, saved.mean, saved.std)
        self._turn = threading.Lock()
        blank = np.zeros((28, 28), np.uint8)
        look(saved.model, blank, saved.mean, saved.std)  # what is slow once is slow before it opens
        self._html = _read("chainrule.serve", "pages/page.html")
        self._files = {
            name: (_read(package, path), kind) for name, (package, path, kind) in _FILES.items()
        }

    async def page(self, request: Request) -> Response:
        return Response(self._html, media_type="text/html")

    async def file(self, request: Request) -> Response:
        """One of the few files there are: no path is ever looked up."""
        found = self._files.get(request.path_params["name"])
        if found is None:
            raise HTTPException(404, "there is no such file")
        return Response(found[0], media_type=found[1])

    async def network(self, request: Request) -> Response:
        config = self._saved.config
        return JSONResponse(
            {
                "run": self._name,
                "model": config.model,
                "dataset": config.dataset,
                "step": self._saved.step,
                "parameters": sum(p.numel() for p in self._saved.model.parameters()),
                "classes": list(self._saved.classes),
                "side": SIDE,
            }
        )

    async def look(self, request: Request) -> Response:
        asked = _query(request, optional={"pupil"})
        drawing = await _drawing(request)

        def work() -> dict[str, Any]:
            begin = perf_counter()
            model = self._pupils.model(asked.get("pupil"))
            picture = ink_as_mnist(drawing)
            found = look(model, picture, self._saved.mean, self._saved.std)
            answer = _as_json(found, picture)
            return answer | {"milliseconds": (perf_counter() - begin) * 1e3}

        return JSONResponse(await self._in_turn(work))

    async def teach(self, request: Request) -> Response:
        asked = _query(request, required={"label", "rate"}, optional={"pupil"})
        classes = len(self._saved.classes)
        label = _number(asked["label"], "label", int, 0, classes - 1)
        rate = _number(asked["rate"], "rate", float, 1e-6, 1.0)
        drawing = await _drawing(request)

        def work() -> tuple[str, Lesson]:
            return self._pupils.teach(asked.get("pupil"), ink_as_mnist(drawing), label, rate)

        token, lesson = await self._in_turn(work)
        return JSONResponse(
            {
                "pupil": token,
                "before": lesson.before,
                "after": lesson.after,
                "loss": [lesson.loss_before, lesson.loss_after],
                "moved": lesson.moved,
                "lessons": lesson.lessons,
            }
        )

    async def forget(self, request: Request) -> Response:
        asked = _query(request, required={"pupil"})
        await self._in_turn(lambda: self._pupils.forget(asked["pupil"]))
        return Response(status_code=204)

    async def _in_turn(self, work: Callable[[], T]) -> T:
        def alone() -> T:
            with self._turn:
                return work()

        return await run_in_threadpool(alone)


# -- what comes in ---------------------------------------------------------------------------------


async def _drawing(request: Request) -> NDArray[np.uint8]:
    """The body: SIDE x SIDE bytes, 0 paper, 255 ink."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/octet-stream":
        raise HTTPException(415, "a drawing is sent as application/octet-stream")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:12]) > SIDE * SIDE:
        raise HTTPException(413, _size_is(length))
    body = bytearray()
    try:
        async with asyncio.timeout(PATIENCE):
            async for chunk in request.stream():
                body += chunk
                if len(body) > SIDE * SIDE:
                    raise HTTPException(413, _size_is(f"more than {SIDE * SIDE}"))
    except TimeoutError:
        raise HTTPException(408, f"the drawing took longer than {PATIENCE:g} s") from None
    except ClientDisconnect:
        raise HTTPException(400, "the connection ended before the drawing did") from None
    if len(body) != SIDE * SIDE:
        raise HTTPException(400, _size_is(str(len(body))))
    return np.frombuffer(bytes(body), np.uint8).reshape(SIDE, SIDE)


def _size_is(length: str) -> str:
    return f"a drawing is {SIDE} x {SIDE} = {SIDE * SIDE} bytes, not {length[:24]}"


def _query(
    request: Request, *, required: Set[str] = frozenset(), optional: Set[str] = frozenset()
) -> dict[str, str]:
    """The parameters after the question mark: those that there are, each once."""
    pairs = request.query_params.multi_items()
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names) or not required <= set(names) <= required | optional:
        wanted = ", ".join(sorted(required)) or "nothing"
        more = f"; may take {', '.join(sorted(optional))}" if optional else ""
        raise HTTPException(400, f"this takes {wanted}{more}, each once")
    return dict(pairs)


def _number(given: str, name: str, kind: Callable[[str], Any], low: float, high: float) -> Any:
    try:
        value = kind(given[:40])
    except ValueError:
        value = math.nan
    if not low <= value <= high:  # false of NaN, too
        raise HTTPException(400, f"{name} is {given[:40]!r}, not a number from {low:g} to {high:g}")
    return value


# -- what goes out ---------------------------------------------------------------------------------


def _as_json(found: Look, picture: NDArray[np.uint8]) -> dict[str, Any]:
    push = found.push
    return {
        "seen": data_uri(grey(picture)),
        "probabilities": found.probabilities,
        "answer": found.answer,
        "push": data_uri(signed(push, float(np.abs(push).max(initial=0.0)))),
        "layers": [
            {
                "name": layer.name,
                "kind": layer.kind,
                "shape": layer.shape,
                "shown": layer.shown,
                "rows": layer.picture.rows,
                "columns": layer.picture.columns,
                "scale": layer.picture.scale,
                "picture": data_uri(layer.picture),
            }
            for layer in found.layers
        ],
    }


async def _told(request: Request, error: Exception) -> Response:
    """A refusal in words, never a traceback."""
    if isinstance(error, HTTPException):
        said = {"error": str(error.detail)}
        return JSONResponse(said, status_code=error.status_code, headers=error.headers)
    problem = error.problem if isinstance(error, ChainruleError) else str(error)
    cure = error.cure if isinstance(error, ChainruleError) else None
    status = 410 if isinstance(error, ForgottenError) else 422
    return JSONResponse({"error": problem, "cure": cure}, status_code=status)


def _read(package: str, path: str) -> bytes:
    return resources.files(package).joinpath(path).read_bytes()
