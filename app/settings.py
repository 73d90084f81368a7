"""What one would want to change about the page without reading how it works."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gradio as gr

from app.proxies import Proxies
from app.routes import routes
from sam2_core.errors import SessionLimit
from sam2_core.session import Limits, ModelPool, SessionManager

TITLE = "Masklet Studio"
LIMITS = Limits()
QUEUE_SIZE = 32
"""Events that wait at most; beyond this a visitor is asked to try again."""
CACHE_SECONDS = (600, 3600)
"""How often Gradio looks for files that it served, and after what age it deletes them."""
EXAMPLES = Path(__file__).parents[1] / "examples"

SESSIONS = Path(os.environ.get("MASKLET_SESSIONS") or Path.home() / ".cache" / "masklet-studio")
"""Where sessions are kept for this user of the machine alone, and found again after a restart."""

_STYLE = Path(__file__).parent / "static" / "page.css"


def open_sessions() -> SessionManager:
    """The sessions that were here before, and those to come.

    Raises:
        SystemExit: another studio has them.
    """
    try:
        return SessionManager(ModelPool(), LIMITS, SESSIONS)
    except SessionLimit as error:
        raise SystemExit(f"{error} The environment variable MASKLET_SESSIONS names it.") from error


def launch_options(manager: SessionManager) -> dict[str, Any]:
    """How the page is served; host and port come from ``GRADIO_SERVER_NAME`` and ``GRADIO_SERVER_PORT``."""
    return {
        "theme": _theme(),
        "css_paths": _STYLE,
        "footer_links": ["api"],
        "app_kwargs": {"routes": routes(manager, Proxies())},
        "max_file_size": LIMITS.upload_bytes,
        "max_threads": 4 * LIMITS.sessions,  # each canvas that follows its tracking waits in one
        "run_history": False,  # it would keep what a visitor does in the browser
        "ssr_mode": False,  # a second server, in Node, that gains this page nothing
    }


def _theme() -> gr.themes.Base:
    # System fonts: a web font is a request to somebody else's server.
    return gr.themes.Default(
        primary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.slate,
        font=("system-ui", "sans-serif"),
        font_mono=("ui-monospace", "monospace"),
        radius_size=gr.themes.sizes.radius_md,
        spacing_size=gr.themes.sizes.spacing_sm,
    ).set(
        body_text_color_subdued="*neutral_500",  # a step darker than usual: 4.5 to 1 on white
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_large_text_size="*text_md",
        button_large_text_weight="500",
        button_small_text_weight="500",
    )
