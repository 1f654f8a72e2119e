"""Pictures: users' own, read safely, and the tensors that networks take and give.

Any mode Pillow knows becomes upright 8-bit RGB, or greyscale for a mask. A file's header is read first: a picture of
more than MAX_PIXELS is refused before a pixel of it is decoded, so that a small file can't unpack into more than the
memory holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genarium.data.videos import is_video
from genarium.errors import BadInput, GenariumError, first_line
from genarium.progress import note

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image
    from torch import Tensor

MAX_PIXELS = 100_000_000
"""About 10,000 x 10,000: beyond any camera a person holds, and 300 MB as RGB."""
DARK = 50
"""A picture of which no value reaches this part of white is said to be nearly black."""
BITS, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339
"""TIFF's tags."""


def read_image(file: Path, *, name: str | None = None) -> Image:
    """The picture as upright RGB; what is transparent lies on white.

    Raises BadInput in one sentence, which names it `name` where it was given by another name than its file's.
    """
    from PIL import Image

    name = name or str(file)
    opened = _upright(file, name)
    if not _has_alpha(opened):
        return _converted(opened, "RGB", name)
    whole = _converted(opened, "RGBA", name)
    page = Image.new("RGBA", whole.size, "white")
    page.alpha_composite(whole)
    return page.convert("RGB")


def read_mask(file: Path) -> Image:
    """A mask as greyscale: white is what is painted anew. Of a picture with alpha, what is transparent is white.

    Raises BadInput in one sentence.
    """
    from PIL import ImageChops

    opened = _upright(file, str(file))
    if _has_alpha(opened):
        return ImageChops.invert(_converted(opened, "RGBA", str(file)).getchannel("A"))
    return _converted(opened, "L", str(file))


def cover(image: Image, size: tuple[int, int]) -> Image:
    """Scaled and cropped around its middle so that it fills `size` (width, height)."""
    from PIL import ImageOps
    from PIL.Image import Resampling

    return image if image.size == size else ImageOps.fit(image, size, Resampling.LANCZOS)


def to_tensor(images: np.ndarray) -> Tensor:
    """(n, H, W, 3) uint8 to (n, 3, H, W) float32 in [-1, 1], channels last in memory, as convolutions like it."""
    import torch

    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


def to_images(tensor: Tensor) -> np.ndarray:
    """(n, 3, H, W) in [-1, 1], clipped, to (n, H, W, 3) uint8."""
    whole = tensor.float().clamp(-1, 1).add(1).mul(127.5).round().byte()
    images: np.ndarray = whole.permute(0, 2, 3, 1).cpu().numpy()
    return images


def _upright(file: Path, name: str) -> Image:
    """The first frame as its camera was held, in 8 bits a channel."""
    import warnings

    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is checked below
            opened = Image.open(file)
            _require_sane(opened, name)
            if (frames := getattr(opened, "n_frames", 1)) > 1:
                note(f"{Path(name).name} has {frames} frames; the first is used")
                opened.seek(0)
            opened.load()
            upright = ImageOps.exif_transpose(opened)
    except Image.DecompressionBombError:
        raise BadInput(f"{name} unpacks to far more than the {MAX_PIXELS:,} pixels that are read") from None
    except UnidentifiedImageError:
        if is_video(file):
            raise BadInput(f"{name} is a video, where a picture is taken; save the frame that is meant") from None
        raise BadInput(f"{name} is no picture that opens here; give a PNG, JPEG, WebP, GIF, BMP or TIFF file") from None
    except GenariumError:
        raise
    except MemoryError:  # also where a damaged part says that it is of gigabytes
        raise BadInput(f"{name} asks for more memory than there is; save it again, or make it smaller") from None
    except Exception as error:  # Pillow's readers raise whatever their damaged bytes lead to
        raise BadInput(f"{name} is damaged or cut short ({first_line(error)}); save or download it again") from None
    return _eight_bits(upright, dict(getattr(opened, "tag_v2", {})), name)


def _converted(opened: Image, mode: str, name: str) -> Image:
    try:
        return opened.convert(mode)
    except ValueError:
        raise BadInput(f"{name} has {opened.mode} colours, which aren't converted here; save it as RGB") from None


def _require_sane(opened: Image, name: str) -> None:
    width, height = opened.size
    if width * height > MAX_PIXELS:
        raise BadInput(
            f"{name} is {width}x{height} pixels; the most that is read is {MAX_PIXELS:,}, so make it smaller first"
        )


def _eight_bits(opened: Image, tags: Mapping[int, Any], name: str) -> Image:
    """Grey of more than 8 bits scaled down to 8 by what its file calls white, whatever its own brightest value is."""
    import numpy as np
    from PIL import Image

    if not opened.mode.startswith(("I", "F")):
        return opened
    values = np.nan_to_num(np.asarray(opened).astype(np.float64), posinf=0, neginf=0)
    clear = opened.info.get("transparency")
    brightest = float(values.max(initial=0))
    white = _white(opened.mode, tags, brightest, name)
    if brightest < white / DARK:
        note(f"{name} is nearly black: its brightest value is {brightest:g} of {white:g}")
    grey = np.clip(np.round(values / white * 255), 0, 255).astype(np.uint8)
    if opened.mode != "F" and tags.get(PHOTOMETRIC) == 0:  # TIFF whose least value is white
        grey = 255 - grey
    if isinstance(clear, int):
        alpha = np.where(values == clear, 0, 255).astype(np.uint8)
        return Image.merge("LA", (Image.fromarray(grey), Image.fromarray(alpha)))
    return Image.fromarray(grey)


def _white(mode: str, tags: Mapping[int, Any], brightest: float, name: str) -> float:
    """The value that is white. Numbers of 32 bits and fractions beyond 1 do not say it: then a note does."""
    bits, signed = (tags.get(BITS) or (16,))[0], (tags.get(SAMPLE_FORMAT) or (1,))[0] == 2
    if mode == "F":
        if brightest <= 1:
            return 1
    elif bits < 32:
        return float(2 ** (bits - signed) - 1)
    white = next(white for white in (255, 65535, 2**31 - 1, float("inf")) if brightest <= white)
    white = brightest if white == float("inf") else white
    note(f"{name} does not say which of its values is white; {white:g} is taken for it")
    return white


def _has_alpha(opened: Image) -> bool:
    return "A" in opened.getbands() or "transparency" in opened.info
