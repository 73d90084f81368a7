"""Media in and out: frames decoded on request, masks drawn, videos written."""

from sam2_core.media.encode import ANIMATION_ALPHA, VP9_ALPHA, VideoWriter, encode_jpeg
from sam2_core.media.files import replacing
from sam2_core.media.frames import Video, open_video, video_from_array
from sam2_core.media.pictures import PICTURE_SUFFIXES, in_order, pictures_in
from sam2_core.media.proxy import write_proxy
from sam2_core.media.render import (
    PALETTE,
    cut_out,
    label_map,
    object_colour,
    overlay,
    palette_image,
    save_palette_png,
)
from sam2_core.media.source import MediaLimits

__all__ = [
    "ANIMATION_ALPHA",
    "PALETTE",
    "PICTURE_SUFFIXES",
    "VP9_ALPHA",
    "MediaLimits",
    "Video",
    "VideoWriter",
    "cut_out",
    "encode_jpeg",
    "in_order",
    "label_map",
    "object_colour",
    "open_video",
    "overlay",
    "palette_image",
    "pictures_in",
    "replacing",
    "save_palette_png",
    "video_from_array",
    "write_proxy",
]
