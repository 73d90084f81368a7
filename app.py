"""The page: ``python app.py``, on this machine or as a Space. Gradio's own variables choose host and port."""

from app.page import build_page
from app.settings import LIMITS, QUEUE_SIZE, launch_options
from sam2_core.session import ModelPool, SessionManager

demo = build_page(SessionManager(ModelPool(), LIMITS))

if __name__ == "__main__":
    demo.queue(max_size=QUEUE_SIZE).launch(**launch_options())
