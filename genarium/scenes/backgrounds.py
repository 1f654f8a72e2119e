"""Backgrounds painted by code: each a small family of pictures, a variant chosen by its number."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from genarium.scenes.kinds import BACKGROUNDS

VARIANTS = 32
"""How many pictures each family has."""

_SUNSETS = (
    ((92, 40, 140), (240, 92, 130), (255, 190, 80)),
    ((50, 70, 170), (236, 120, 180), (255, 214, 120)),
    ((24, 120, 160), (170, 110, 210), (250, 120, 160)),
    ((200, 50, 90), (250, 130, 60), (255, 225, 110)),
)
_WALLS = ((238, 222, 190), (206, 224, 206), (222, 206, 228), (244, 206, 190))
_FLOORS = ((150, 98, 58), (128, 82, 54), (170, 120, 76), (110, 78, 62))


@cache
def background(name: str, variant: int, size: int) -> np.ndarray:
    """Variant 0 to `VARIANTS` - 1 of a background of `BACKGROUNDS`, (size, size, 3) uint8."""
    random = np.random.default_rng([BACKGROUNDS.index(name), variant])
    # Painted at four times the size, so that edges are smooth and a variant looks alike at every size.
    painted = _PAINTERS[name](random, variant, 4 * size)
    return np.asarray(painted.resize((size, size), Image.Resampling.BOX))


def _gradient(colours: tuple[tuple[int, int, int], ...], size: int, to: float = 1.0) -> Image.Image:
    """Colours blended from the top down to the share `to` of the height."""
    rows = np.linspace(0, (len(colours) - 1) / to, size).clip(0, len(colours) - 1)
    bands = np.stack([np.interp(rows, range(len(colours)), [c[i] for c in colours]) for i in range(3)], axis=-1)
    return Image.fromarray(np.repeat(bands[:, None].round().astype(np.uint8), size, axis=1))


def _cloud(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, shade: tuple[int, int, int]) -> None:
    for dx, dy, share in ((-1.1, 0.15, 0.6), (0, -0.15, 0.85), (1.0, 0.1, 0.65), (0.45, -0.3, 0.6)):
        radius = r * share
        cx, cy = x + dx * r, y + dy * r
        draw.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), fill=shade)
    draw.rectangle((x - 1.1 * r, y + 0.2 * r, x + 1.0 * r, y + 0.74 * r), fill=shade)


def _blue_sky(random: np.random.Generator, variant: int, size: int) -> Image.Image:
    image = _gradient(((70, 150, 236), (152, 206, 250)), size)
    draw = ImageDraw.Draw(image)
    for place in range(2 + variant % 2):
        x = (0.18 + 0.32 * place + random.uniform(-0.08, 0.08)) * size
        _cloud(draw, x, random.uniform(0.12, 0.8) * size, random.uniform(0.07, 0.11) * size, (250, 252, 255))
    return image


def _colorful_sky(random: np.random.Generator, variant: int, size: int) -> Image.Image:
    image = _gradient(_SUNSETS[variant % len(_SUNSETS)], size)
    draw = ImageDraw.Draw(image)
    # Long thin evening clouds, lit from below.
    for _ in range(3):
        y, x = random.uniform(0.15, 0.85) * size, random.uniform(-0.2, 0.7) * size
        under = np.asarray(image)[int(y), 0]
        light = tuple(int(c + (255 - c) * 0.28) for c in under.tolist())
        draw.ellipse((x, y, x + random.uniform(0.4, 0.7) * size, y + 0.055 * size), fill=light)
    return image


def _night(random: np.random.Generator, variant: int, size: int) -> Image.Image:
    image = _gradient(((16, 18, 52), (44, 46, 104)), size)
    draw = ImageDraw.Draw(image)
    # One star to a cell, so that they spread over the sky.
    for cell in random.permutation(25)[:16]:
        x = (cell % 5 + random.uniform(0.15, 0.85)) / 5 * size
        y = (cell // 5 + random.uniform(0.15, 0.85)) / 5 * size
        r = random.choice([0.007, 0.011]) * size
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(255, 250, 214))
    return image


def _sea(random: np.random.Generator, variant: int, size: int) -> Image.Image:
    image = _gradient(((196, 226, 244), (226, 238, 240)), size)
    horizon = int((0.44 + 0.03 * (variant % 3)) * size)
    water = _gradient(((30, 120, 176), (12, 72, 134)), size).resize((size, size - horizon))
    image.paste(water, (0, horizon))
    draw = ImageDraw.Draw(image)
    for row in range(4):
        y = horizon + (0.06 + 0.135 * row) * size
        phase = random.uniform(0, 2 * np.pi)
        x = np.arange(size)
        crest = y + 0.012 * size * np.sin(x / size * 2 * np.pi * 4 + phase)
        points = list(zip(x.tolist(), crest.tolist(), strict=True))
        draw.line(points, fill=(112, 186, 220), width=max(1, size // 64))
    return image


def _field(random: np.random.Generator, variant: int, size: int) -> Image.Image:
    image = _gradient(((138, 198, 244), (206, 232, 250)), size)
    draw = ImageDraw.Draw(image)
    x = np.linspace(0, 1, size)
    phase = random.uniform(0, 2 * np.pi)
    for level, shade in ((0.46, (118, 190, 84)), (0.56, (86, 164, 62))):
        edge = (level + 0.03 * np.sin(2 * np.pi * x + phase + 6 * level)) * size
        outline = list(zip((x * size).tolist(), edge.tolist(), strict=True))
        draw.polygon([(0, size), *outline, (size, size)], fill=shade)
    for _ in range(14):
        gx, gy = random.uniform(0, size), random.uniform(0.66, 0.98) * size
        draw.line((gx, gy, gx + 0.012 * size, gy - 0.03 * size), fill=(60, 132, 48), width=max(1, size // 70))
    return image


def _room(random: np.random.Generator, variant: int, size: int) -> Image.Image:
    wall, floor = _WALLS[variant % 4], _FLOORS[variant // 4 % 4]
    image = Image.new("RGB", (size, size), wall)
    draw = ImageDraw.Draw(image)
    edge = int((0.64 + 0.02 * random.integers(0, 3)) * size)
    draw.rectangle((0, edge, size, size), fill=floor)
    draw.rectangle((0, edge - 0.035 * size, size, edge), fill=(250, 248, 242))
    dark = tuple(int(c * 0.8) for c in floor)
    for share in (0.35, 0.72):
        draw.line((0, edge + share * (size - edge), size, edge + share * (size - edge)), fill=dark, width=size // 64)
    return image.filter(ImageFilter.GaussianBlur(size / 256))


_PAINTERS = {
    "blue sky": _blue_sky,
    "colorful sky": _colorful_sky,
    "night": _night,
    "sea": _sea,
    "field": _field,
    "room": _room,
}
