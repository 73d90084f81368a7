"""Cheap reads beside Gradio's events: the canvas itself, frames as pictures, the clip to play, hover previews.

They lie under ``/gradio_api``, the one prefix that every way of serving a Gradio page lets through, and know a visitor
by the session's unguessable token alone. What works the GPU for long goes through Gradio's queue instead.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.proxies import Proxies
from app.results import find_file
from sam2_core.errors import ProtocolError, Sam2Error, SessionNotFound
from sam2_core.media import encode_jpeg
from sam2_core.session import Session, SessionManager
from widgets.conversation import Conversation
from widgets.protocol import to_json

PREFIX = "/gradio_api/masklet"
"""Of all routes."""
_STATIC = Path(__file__).parents[1] / "widgets" / "static"
_FILES = {"mask_canvas.js": "text/javascript", "mask_canvas.css": "text/css"}
_SAFE = {"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}
_PRIVATE = {"Cache-Control": "private, max-age=3600", **_SAFE}
_NOT_KEPT = {"Cache-Control": "no-store", **_SAFE}
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable", **_SAFE}
_LARGEST_QUESTION = 4096
"""Bytes of a hover question; an honest one has a hundred."""


def static_url(name: str) -> str:
    """The address of one of the canvas's files; another one whenever the file has changed."""
    digest = hashlib.sha256((_STATIC / name).read_bytes()).hexdigest()[:12]
    return f"{PREFIX}/static/{digest}/{name}"


def export_url(session: Session, name: str) -> str:
    """The address of a file that was made for a session, seen from the page."""
    return f"{PREFIX}/{session.token}/export/{quote(name)}".removeprefix("/")


def routes(manager: SessionManager, proxies: Proxies) -> list[Route]:
    """All of them, to be passed to Gradio's ``launch(app_kwargs={"routes": ...})``."""

    async def clip(_request: Request, session: Session) -> Response:
        return FileResponse(await proxies.of(session), media_type="video/mp4", headers=_PRIVATE)  # answers ranges

    def of_session(answer: _Answer) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                return await answer(request, await run_in_threadpool(manager.get, request.path_params["token"]))
            except SessionNotFound as error:
                return PlainTextResponse(str(error), 404, _NOT_KEPT)
            except Sam2Error as error:
                return PlainTextResponse(str(error), 422, _NOT_KEPT)

        return endpoint

    return [
        Route(PREFIX + "/static/{digest}/{name}", _static),
        Route(PREFIX + "/{token}/frame/{index:int}.jpg", of_session(_frame)),
        Route(PREFIX + "/{token}/clip.mp4", of_session(clip)),
        Route(PREFIX + "/{token}/export/{name}", of_session(_export)),
        Route(PREFIX + "/{token}/hover", of_session(_hover), methods=["POST"]),
    ]


_Answer: TypeAlias = Callable[[Request, Session], Awaitable[Response]]


def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _FILES:
        return PlainTextResponse("there is no such file", 404)
    return FileResponse(_STATIC / name, media_type=_FILES[name], headers=_FOR_EVER)


async def _frame(request: Request, session: Session) -> Response:
    jpeg = await run_in_threadpool(_jpeg, session, request.path_params["index"])
    return Response(jpeg, media_type="image/jpeg", headers=_PRIVATE)


async def _export(request: Request, session: Session) -> Response:
    path = find_file(session, request.path_params["name"])
    if path is None:
        return PlainTextResponse("this file is gone; export it again", 404, _NOT_KEPT)
    return FileResponse(path, filename=path.name, media_type="application/octet-stream", headers=_NOT_KEPT)


async def _hover(request: Request, session: Session) -> Response:
    question = b""
    async for part in request.stream():
        question += part
        if len(question) > _LARGEST_QUESTION:
            return PlainTextResponse("a hover question is shorter", 413, _NOT_KEPT)
    answer = await run_in_threadpool(_hover_answer, session, question)
    return Response(answer, media_type="application/json", headers=_NOT_KEPT)


def _jpeg(session: Session, index: int) -> bytes:
    return encode_jpeg(session.video[index], quality=88)


def _hover_answer(session: Session, question: bytes) -> str:
    try:
        message = json.loads(question)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict) or message.get("op") != "hover":  # all else has its turn in Gradio's queue
        raise ProtocolError("what is asked here is what a click would give; reload the page.")
    return to_json(list(Conversation(session).answer(message))[-1])
