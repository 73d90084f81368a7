"""The page: ``python app.py``, on this machine or as a Space. Gradio's own variables choose host and port."""

import atexit

from app.page import build_page
from app.settings import QUEUE_SIZE, launch_options, open_sessions

manager = open_sessions()
atexit.register(manager.shut_down)
demo = build_page(manager)

if __name__ == "__main__":
    demo.queue(max_size=QUEUE_SIZE).launch(**launch_options(manager))
