"""min-dalle folders of the published names and shapes, with weights from a formula: no generator can change them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

Shapes = dict[str, tuple[int, ...]]
Save = Callable[[dict[str, Tensor], Path], None]
Change = Callable[[dict[str, Tensor]], object]

TEXT, PLACES, WIDTH, INNER, LAYERS = 64, 64, 128, 96, 2  # WIDTH is 2 heads of 64
IMAGE, SQUARES = 51, 16  # the last row of the decoder's vocabulary is the start of its training
CODES = 48

# Norms that stand before a matrix: the published files hold no scale for them.
UNSCALED = ("pre_self_attn_layer_norm", "pre_encoder_attn_layer_norm", "glu.ln0", "glu.ln1", "final_ln")

LETTERS = "abcdefghijklmnopqrstuvwxyz"
MERGES = ["f l", "Ġ fl", "i n", "in g", "y ing", "Ġfl ying", "Ġ b", "Ġb at", "a t", "Ġ a", "r e", "b i", "Ġfi re"]


def wave(shape: tuple[int, ...], key: int) -> Tensor:
    """Numbers as if drawn evenly from [-1, 1), the same wherever they are computed."""
    count = int(torch.tensor(shape).prod())
    angle = torch.arange(count, dtype=torch.float64) * 12.9898 + key * 78.233
    return ((angle.sin() * 43758.5453).frac()).float().view(shape)


def weights(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Matrices that keep the size of what goes through them, norms near one, biases near zero."""
    state = {}
    for key, (name, shape) in enumerate(shapes.items()):
        values = wave(shape, key)
        if len(shape) > 1:
            fan_in = 1 if "embed" in name else int(torch.tensor(shape[1:]).prod())
            state[name] = values * (3 / fan_in) ** 0.5
        else:
            state[name] = values * 0.2 + (1.0 if name.endswith("weight") else 0.0)
    return state


def norm(name: str, width: int) -> Shapes:
    unscaled = name.endswith(UNSCALED)
    return ({} if unscaled else {f"{name}.weight": (width,)}) | {f"{name}.bias": (width,)}


def attention(name: str) -> Shapes:
    return {f"{name}.{part}_proj.weight": (WIDTH, WIDTH) for part in ("k", "v", "q", "out")}


def glu(name: str) -> Shapes:
    fc = {"fc0": (INNER, WIDTH), "fc1": (INNER, WIDTH), "fc2": (WIDTH, INNER)}
    return norm(f"{name}.ln0", WIDTH) | norm(f"{name}.ln1", INNER) | {f"{name}.{k}.weight": s for k, s in fc.items()}


def bart(tokens: int, places: int, *, crossed: bool) -> Shapes:
    shapes: Shapes = {"embed_tokens.weight": (tokens, WIDTH), "embed_positions.weight": (places, WIDTH)}
    for layer in (f"layers.{i}" for i in range(LAYERS)):
        shapes |= norm(f"{layer}.pre_self_attn_layer_norm", WIDTH) | attention(f"{layer}.self_attn")
        shapes |= norm(f"{layer}.self_attn_layer_norm", WIDTH)
        if crossed:
            shapes |= norm(f"{layer}.pre_encoder_attn_layer_norm", WIDTH) | attention(f"{layer}.encoder_attn")
            shapes |= norm(f"{layer}.encoder_attn_layer_norm", WIDTH)
        shapes |= glu(f"{layer}.glu")
    return shapes | norm("layernorm_embedding", WIDTH) | norm("final_ln", WIDTH)


def encoder_shapes() -> Shapes:
    return bart(TEXT, PLACES, crossed=False)


def decoder_shapes(places: int = SQUARES) -> Shapes:
    return bart(IMAGE, places, crossed=True) | {"lm_head.weight": (IMAGE, WIDTH)}


def vqgan_shapes(codes: int, d_code: int, widths: tuple[int, ...], attends: tuple[bool, ...]) -> Shapes:
    """Of `widths`, the finest level's first. The published one: 16384, 256, (128, 128, 256, 256, 512)."""

    def conv(name: str, n_in: int, n_out: int, size: int) -> Shapes:
        return {f"{name}.weight": (n_out, n_in, size, size), f"{name}.bias": (n_out,)}

    def both(name: str, n: int) -> Shapes:
        return {f"{name}.weight": (n,), f"{name}.bias": (n,)}

    def resnet(name: str, n_in: int, n_out: int) -> Shapes:
        shapes = both(f"{name}.norm1", n_in) | conv(f"{name}.conv1", n_in, n_out, 3)
        shapes |= both(f"{name}.norm2", n_out) | conv(f"{name}.conv2", n_out, n_out, 3)
        return shapes | (conv(f"{name}.nin_shortcut", n_in, n_out, 1) if n_in != n_out else {})

    def attn(name: str, n: int) -> Shapes:
        shapes = both(f"{name}.norm", n)
        for part in ("q", "k", "v", "proj_out"):
            shapes |= conv(f"{name}.{part}", n, n, 1)
        return shapes

    top = widths[-1]
    shapes: Shapes = {"embedding.weight": (codes, d_code)} | conv("post_quant_conv", d_code, d_code, 1)
    shapes |= conv("decoder.conv_in", d_code, top, 3)
    shapes |= resnet("decoder.mid.block_1", top, top) | attn("decoder.mid.attn_1", top)
    shapes |= resnet("decoder.mid.block_2", top, top)
    for i, width in enumerate(widths):
        before = widths[min(i + 1, len(widths) - 1)]
        for j in range(3):
            shapes |= resnet(f"decoder.up.{i}.block.{j}", width if j else before, width)
            shapes |= attn(f"decoder.up.{i}.attn.{j}", width) if attends[i] else {}
        shapes |= conv(f"decoder.up.{i}.upsample.conv", width, width, 3) if i else {}
    return shapes | both("decoder.norm_out", widths[0]) | conv("decoder.conv_out", widths[0], 3, 3)


def tiny_vqgan_shapes() -> Shapes:
    return vqgan_shapes(CODES, 8, (32, 64), (False, True))


def vocabulary() -> dict[str, int]:
    words = ["<s>", "<pad>", "</s>", "<unk>", "Ġ", *LETTERS, *(merge.replace(" ", "") for merge in MERGES)]
    return {word: place for place, word in enumerate(dict.fromkeys(words))}


def write_words(folder: Path, suffix: str = "") -> None:
    merges = [merge for merge in MERGES if all(part in vocabulary() for part in merge.split())]
    (folder / f"vocab{suffix}.json").write_text(json.dumps(vocabulary()), "utf-8")
    (folder / f"merges{suffix}.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", "utf-8")


def save_pt(state: dict[str, Tensor], file: Path) -> None:
    torch.save(state, file.with_suffix(".pt"))


def save_safetensors(state: dict[str, Tensor], file: Path) -> None:
    from safetensors.torch import save_file

    save_file(state, file.with_suffix(".safetensors"))


def write_package_folder(root: Path, size: str = "mini", save: Save = save_pt) -> Path:
    """As the package keeps a model: the Transformer's weights in half precision, the VQGAN's not. Its folder."""
    folder = root / f"dalle_bart_{size}"
    folder.mkdir(parents=True)
    (root / "vqgan").mkdir(exist_ok=True)
    for name, shapes in (("encoder", encoder_shapes()), ("decoder", decoder_shapes())):
        save({key: tensor.half() for key, tensor in weights(shapes).items()}, folder / name)
    save(weights(tiny_vqgan_shapes()), root / "vqgan" / "detoker")
    write_words(folder)
    return folder


def write_hub_folder(folder: Path, suffix: str = "_mini", save: Save = save_pt) -> Path:
    """As the hub keeps it: flat, mini's names with an ending. The folder."""
    folder.mkdir(parents=True)
    for name, shapes in (("encoder", encoder_shapes()), ("decoder", decoder_shapes())):
        save({key: tensor.half() for key, tensor in weights(shapes).items()}, folder / f"{name}{suffix}")
    save(weights(tiny_vqgan_shapes()), folder / "detoker")
    write_words(folder, suffix)
    return folder
