"""Cheap reads beside Gradio's events: the canvas itself, frames as pictures, the clip to play, hover previews.

They lie under ``/gradio_api``, the one prefix that every way of serving a Gradio page lets through, and know a visitor
by the session's unguessable token alone. What works the GPU for long goes through Gradio's queue instead.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.proxies import Proxies
from sam2_core.errors import Sam2Error, SessionNotFound
from sam2_core.media import encode_jpeg
from sam2_core.session import Session, SessionManager
from widgets.conversation import Conversation

PREFIX = "/gradio_api/masklet"
"""Of all routes."""
_STATIC = Path(__file__).parents[1] / "widgets" / "static"
_FILES = {"mask_canvas.js": "text/javascript", "mask_canvas.css": "text/css"}
_PRIVATE = {"Cache-Control": "private, max-age=3600", "Referrer-Policy": "no-referrer"}
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_LARGEST_QUESTION = 4096
"""Bytes of a hover question; an honest one has a hundred."""


def static_url(name: str) -> str:
    """The address of one of the canvas's files; another one whenever the file has changed."""
    digest = hashlib.sha256((_STATIC / name).read_bytes()).hexdigest()[:12]
    return f"{PREFIX}/static/{digest}/{name}"


def routes(manager: SessionManager, proxies: Proxies) -> list[Route]:
    """All of them, to be passed to Gradio's ``launch(app_kwargs={"routes": ...})``."""

    def static(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _FILES:
            return PlainTextResponse("there is no such file", 404)
        return FileResponse(_STATIC / name, media_type=_FILES[name], headers=_FOR_EVER)

    def frame(request: Request, session: Session) -> Response:
        picture = session.video[request.path_params["index"]]
        return Response(encode_jpeg(picture, quality=88), media_type="image/jpeg", headers=_PRIVATE)

    def clip(_request: Request, session: Session) -> Response:
        return FileResponse(proxies.of(session), media_type="video/mp4", headers=_PRIVATE)  # answers ranges

    async def hover(request: Request) -> Response:
        question = b""
        async for part in request.stream():
            question += part
            if len(question) > _LARGEST_QUESTION:
                return PlainTextResponse("a hover question is shorter", 413)
        return await run_in_threadpool(_answered, manager, _hover(question), request)

    def of_session(answer: Callable[[Request, Session], Response]) -> Callable[[Request], Response]:
        return lambda request: _answered(manager, answer, request)

    return [
        Route(PREFIX + "/static/{digest}/{name}", static),
        Route(PREFIX + "/{token}/frame/{index:int}.jpg", of_session(frame)),
        Route(PREFIX + "/{token}/clip.mp4", of_session(clip)),
        Route(PREFIX + "/{token}/hover", hover, methods=["POST"]),
    ]


def _hover(question: bytes) -> Callable[[Request, Session], Response]:
    def answer(_request: Request, session: Session) -> Response:
        messages = list(Conversation(session).answer(_parsed(question)))
        return Response(json.dumps(messages), media_type="application/json", headers={"Cache-Control": "no-store"})

    return answer


def _parsed(question: bytes) -> Any:
    try:
        return json.loads(question)
    except ValueError:
        return None  # which is no message, as the conversation will say


def _answered(manager: SessionManager, answer: Callable[[Request, Session], Response], request: Request) -> Response:
    try:
        return answer(request, manager.get(request.path_params["token"]))
    except SessionNotFound as error:
        return PlainTextResponse(str(error), 404)
    except Sam2Error as error:
        return PlainTextResponse(str(error), 422)
