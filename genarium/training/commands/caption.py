"""`genarium train caption` and `genarium train match`: BLIP on composed scenes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Ge, Gt, Interval

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from genarium.models.blip import BlipConfig, Captioner, Matcher
    from genarium.training.objectives.describe import Match, Tell
    from genarium.training.settings import Settings


def train_caption(
    *,
    out: Annotated[str | None, Doc("folder to train in; running again continues there")] = None,
    init_from: Annotated[str | None, Doc("folder of a captioner to go on from, which has its own sizes")] = None,
    width: Annotated[int, Doc("width of both Transformers, a multiple of 32"), Interval(ge=32, le=1024)] = 128,
    image_layers: Annotated[int, Doc("blocks that see"), Interval(ge=1, le=24)] = 4,
    text_layers: Annotated[int, Doc("blocks that write"), Interval(ge=1, le=24)] = 3,
    steps: Annotated[int, Doc("optimiser updates"), Ge(1)] = 1700,
    batch_size: Annotated[int, Doc("pictures in a batch"), Ge(1)] = 64,
    learning_rate: Annotated[float, Doc("peak learning rate"), Gt(0)] = 2e-3,
    evaluate_every: Annotated[int, Doc("updates between evaluations"), Ge(1)] = 250,
    checkpoint_minutes: Annotated[float, Doc("minutes between checkpoints"), Ge(0.0)] = 2.0,
    precision: Annotated[Literal["auto", "float32", "bfloat16"], Doc("what matrices are multiplied in")] = "auto",
    device: Annotated[str, Doc("cpu, cuda, or auto")] = "auto",
    seed: Annotated[int, Doc("same seed and machine: same weights"), Interval(ge=0, le=2**53 - 1)] = 0,
) -> dict[str, Any]:
    """Train a BLIP captioner on composed scenes, which are drawn as it goes.

    Writes transformers' layout. Returns the figures: loss, the share of held-out captions with nothing wrong, seconds.
    """
    import torch

    from genarium import files
    from genarium.checkpoints.layouts import blip as layout
    from genarium.models.blip import Captioner
    from genarium.training.objectives.describe import Tell
    from genarium.training.sources import captions

    folder = Path(out) if out else Path("runs") / "caption"
    tokenizer = captions.tokenizer()
    settings = _settings(
        steps=steps,
        learning_rate=learning_rate,
        evaluate_every=evaluate_every,
        checkpoint_minutes=checkpoint_minutes,
        precision=precision,
        device=device,
        seed=seed,
    )
    torch.manual_seed(seed)
    if init_from is not None:
        model = layout.load_captioner(Path(init_from)).requires_grad_(True)
    else:
        model = Captioner(_config(width, image_layers, text_layers, tokenizer.get_vocab_size()))
    objective = Tell(model, tokenizer, captions.Scenes(seed), batch_size=batch_size, seed=seed)
    if init_from is not None:
        objective.identity["init_from"] = files.sha256(Path(init_from) / "model.safetensors")
    objective.model.to(settings.device)
    return _fitted(objective, model, tokenizer, settings, folder, "caption", title="Captions of scenes")


def train_match(
    *,
    init_from: Annotated[str, Doc("folder of the captioner that it begins as")],
    out: Annotated[str | None, Doc("folder to train in; running again continues there")] = None,
    frozen: Annotated[bool, Doc("keep the captioner's image encoder as it is: about half the time")] = False,
    grounding: Annotated[
        float, Doc("weight of looking at what a word names, which scenes know: its heat maps then point there"), Ge(0.0)
    ] = 0.2,
    steps: Annotated[int, Doc("optimiser updates"), Ge(1)] = 1000,
    batch_size: Annotated[int, Doc("pictures in a batch, four captions each"), Ge(1)] = 32,
    learning_rate: Annotated[float, Doc("peak learning rate"), Gt(0)] = 1e-3,
    evaluate_every: Annotated[int, Doc("updates between evaluations"), Ge(1)] = 250,
    checkpoint_minutes: Annotated[float, Doc("minutes between checkpoints"), Ge(0.0)] = 2.0,
    precision: Annotated[Literal["auto", "float32", "bfloat16"], Doc("what matrices are multiplied in")] = "auto",
    device: Annotated[str, Doc("cpu, cuda, or auto")] = "auto",
    seed: Annotated[int, Doc("same seed and machine: same weights"), Interval(ge=0, le=2**53 - 1)] = 0,
) -> dict[str, Any]:
    """Train a BLIP matcher on composed scenes: whether a caption is true of a picture, or has one word wrong.

    It begins with a captioner's weights, and learns to read in both directions. Writes transformers' layout.
    Returns the figures: loss, the share of held-out captions judged rightly, seconds.
    """
    import torch

    from genarium import files
    from genarium.checkpoints.layouts import blip as layout
    from genarium.checkpoints.processors import tokenizer as tokenizers
    from genarium.models.blip import Matcher
    from genarium.training.objectives.describe import Match
    from genarium.training.sources import captions

    folder = Path(out) if out else Path("runs") / "match"
    begin = layout.load_captioner(Path(init_from))
    tokenizer = tokenizers.load(Path(init_from))
    settings = _settings(
        steps=steps,
        learning_rate=learning_rate,
        evaluate_every=evaluate_every,
        checkpoint_minutes=checkpoint_minutes,
        precision=precision,
        device=device,
        seed=seed,
    )
    torch.manual_seed(seed)
    model = Matcher(begin.config)
    model.image.load_state_dict(begin.image.state_dict())
    model.text.load_state_dict(begin.text.state_dict())
    model.to(settings.device)
    source = captions.Scenes(seed + 1)  # other scenes than the captioner's
    objective = Match(model, tokenizer, source, batch_size=batch_size, seed=seed, frozen=frozen, grounding=grounding)
    objective.identity["init_from"] = files.sha256(Path(init_from) / "model.safetensors")
    objective.identity["tokenizer"] = files.sha256(Path(init_from) / "tokenizer.json")
    title, unit = "Matching scenes and captions", "nats a caption"
    return _fitted(objective, model, tokenizer, settings, folder, "match", title=title, unit=unit)


def _settings(*, steps: int, learning_rate: float, device: str, **told: Any) -> Settings:
    from genarium.devices import pick_device
    from genarium.training.settings import Settings

    return Settings(
        steps=steps,
        optimizer="muon",
        learning_rate=learning_rate,
        min_learning_rate=learning_rate / 100,
        warmup_steps=min(100, steps // 10),
        weight_decay=0.02,
        compile="off",
        device=pick_device(device),
        **told,
    )


def _fitted(
    objective: Tell | Match,
    model: Captioner | Matcher,
    tokenizer: Tokenizer,
    settings: Settings,
    folder: Path,
    family: str,
    **drawn: str,
) -> dict[str, Any]:
    """Train, write what came of it, and give the figures."""
    from genarium.training import report
    from genarium.training.loop import fit

    log = fit(objective, settings, folder)
    figures: dict[str, Any] = {name: log[-1][name] for name in ("loss", "right", "seconds")}
    _write(model.eval(), tokenizer, folder)
    report.write_recipe(folder, family, objective, settings, figures)
    report.plot_losses(log, folder / "loss.png", **drawn)
    return figures | {"folder": str(folder)}


def _config(width: int, image_layers: int, text_layers: int, vocab_size: int) -> BlipConfig:
    from genarium.models.blip import BlipConfig
    from genarium.models.encoder import EncoderConfig
    from genarium.models.vit import ViTConfig
    from genarium.training.sources import captions

    image = ViTConfig(
        image_size=captions.SIZE,
        patch_size=8,
        n_layers=image_layers,
        n_heads=width // 32,
        d_model=width,
        d_ff=4 * width,
    )
    text = EncoderConfig(
        vocab_size=vocab_size,
        context_length=captions.CONTEXT,
        n_types=0,
        n_layers=text_layers,
        n_heads=width // 32,
        d_model=width,
        d_ff=4 * width,
        dropout=0.0,
        pooler=False,
    )
    return BlipConfig(image, text, start_token=captions.START, end_token=captions.END, projection=16)


def _write(model: Captioner | Matcher, tokenizer: Tokenizer, folder: Path) -> None:
    import json

    import torch

    from genarium.checkpoints.layouts import blip as layout
    from genarium.files import write_atomically
    from genarium.training.sources import captions

    layout.save(model, folder, captions.PIXELS, dtype=torch.float16)
    write_atomically(folder / "tokenizer.json", tokenizer.to_str().encode())
    named = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    described = {"tokenizer_class": "BertTokenizer", "do_lower_case": True} | named | {"bos_token": "[DEC]"}
    write_atomically(folder / "tokenizer_config.json", json.dumps(described, indent=2).encode() + b"\n")
