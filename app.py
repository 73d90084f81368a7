"""The page: ``python app.py``, on this machine or as a Space. Gradio's own variables choose host and port."""

import atexit

from app.page import build_page
from app.settings import LIMITS, QUEUE_SIZE, launch_options
from sam2_core.session import ModelPool, SessionManager

manager = SessionManager(ModelPool(), LIMITS)
atexit.register(manager.shut_down)  # visitors' uploads do not outlive the server
demo = build_page(manager)

if __name__ == "__main__":
    demo.queue(max_size=QUEUE_SIZE).launch(**launch_options())
