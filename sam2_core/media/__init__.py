"""Media in and out: frames decoded on request, masks drawn, videos written."""

from sam2_core.media.encode import VideoWriter, encode_jpeg
from sam2_core.media.frames import Video, open_video, video_from_array
from sam2_core.media.render import PALETTE, label_map, object_colour, overlay, save_palette_png
from sam2_core.media.source import MediaLimits

__all__ = [
    "PALETTE",
    "MediaLimits",
    "Video",
    "VideoWriter",
    "encode_jpeg",
    "label_map",
    "object_colour",
    "open_video",
    "overlay",
    "save_palette_png",
    "video_from_array",
]
