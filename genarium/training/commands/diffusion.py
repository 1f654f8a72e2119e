"""`genarium train diffusion`: diffusion of pictures and captions, of latents or of thumbnails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Ge, Gt, Interval

from genarium import files
from genarium.errors import BadInput
from genarium.progress import emit

if TYPE_CHECKING:
    from genarium.checkpoints.layouts.text_to_image import Denoiser
    from genarium.models.plan import PlanWords
    from genarium.models.thumbnails import Thumbnails
    from genarium.models.unet import UNet
    from genarium.models.vae import AutoencoderConfig
    from genarium.training.objectives.denoise import Denoise
    from genarium.training.settings import Settings
    from genarium.training.sources.images import Source

SHOWN = (
    "flying batman with colorful sky",
    "flying animals with blue sky and white clouds",
    "flying bird",
    "two red balloons at night",
    "a large eagle over the sea",
    "a cat on the left and a blue car on the right in a room",
    "three bees over a green field",
    "an elephant",
)


def train_diffusion(
    *,
    autoencoder: Annotated[
        str | None, Doc("folder that `genarium train vae` made, for diffusion of its latents [default: of thumbnails]")
    ] = None,
    data: Annotated[str, Doc("`scenes`: composed pictures, or a folder of pictures with captions")] = "scenes",
    text_encoder: Annotated[str, Doc("frozen encoder that captions enter through")] = "starter/encoder",
    init_from: Annotated[str | None, Doc("folder of a model trained before, to go on from its weights")] = None,
    planner: Annotated[
        str | None,
        Doc(
            "folder that `genarium train planner` made: thumbnails of `scenes` are drawn by its plans [default: that "
            "of --init-from, where it has one]"
        ),
    ] = None,
    out: Annotated[str | None, Doc("folder to train in; running again continues there")] = None,
    widths: Annotated[
        str | None,
        Doc(
            "channels of each level of the U-Net, multiples of 32, the last one looks at the words [default: 64,160]; "
            "with thumbnails the width of the Transformer, a multiple of 64 [default: 256]"
        ),
    ] = None,
    layers: Annotated[
        int | None,
        Doc(
            "blocks of a level on the way down, one more on the way up [default: 2]; with thumbnails all blocks "
            "[default: 6]"
        ),
        Interval(ge=1, le=48),
    ] = None,
    size: Annotated[int, Doc("height and width of pictures, without --autoencoder"), Interval(ge=16, le=512)] = 64,
    factor: Annotated[Literal[4, 8, 16], Doc("their pixels to one of the thumbnail, each way")] = 8,
    steps: Annotated[int, Doc("optimiser updates"), Ge(1)] = 20_000,
    batch_size: Annotated[int, Doc("pictures in a batch, each at two levels of noise"), Ge(1)] = 16,
    closeups: Annotated[
        int, Doc("beside them, windows around single things of `scenes`: kinds are learned faster"), Ge(0)
    ] = 0,
    optimizer: Annotated[
        Literal["auto", "adamw", "muon"], Doc("what turns gradients into updates; auto: muon with thumbnails")
    ] = "auto",
    learning_rate: Annotated[
        float | None, Doc("peak learning rate [default: 5e-4, with thumbnails 3e-3]"), Gt(0)
    ] = None,
    ema: Annotated[float, Doc("kept of the weights' running mean at each step"), Interval(ge=0, lt=1)] = 0.999,
    evaluate_every: Annotated[int, Doc("updates between evaluations and sheets"), Ge(1)] = 1000,
    checkpoint_minutes: Annotated[float, Doc("minutes between checkpoints"), Ge(0.0)] = 5.0,
    precision: Annotated[Literal["auto", "float32", "bfloat16"], Doc("what matrices are multiplied in")] = "auto",
    device: Annotated[str, Doc("cpu, cuda, or auto")] = "auto",
    seed: Annotated[int, Doc("same seed, data and machine: same weights"), Interval(ge=0, le=2**53 - 1)] = 0,
) -> dict[str, Any]:
    """Train a diffusion model of pictures and captions: of an autoencoder's latents, or of thumbnails.

    Writes the networks in half precision (of latents as diffusers' `unet/` and `vae/`), a scheduler's config, and which
    text encoder it reads with. Sheets of samples are written along the way. Returns the figures.
    """
    import torch

    from genarium.checkpoints.layouts import latent_diffusion
    from genarium.checkpoints.layouts import planner as planners
    from genarium.checkpoints.layouts import text_to_image as layout
    from genarium.checkpoints.store.find import find
    from genarium.checkpoints.store.folder import WEIGHTS
    from genarium.devices import pick_device
    from genarium.models.thumbnails import Thumbnails
    from genarium.training import start
    from genarium.training.objectives.denoise import Denoise
    from genarium.training.objectives.thumbnails import DrawPlans, DrawThumbnails
    from genarium.training.settings import Settings
    from genarium.training.sources.images import channels_last, source_of

    if closeups and data != "scenes":
        raise BadInput("--closeups are made of composed scenes; leave it out for pictures of your own")
    plain = data == "scenes" and not closeups and autoencoder is None
    plans_from = _planner(planner, init_from, known=plain)
    folder = Path(out) if out else Path("runs") / f"diffusion-{Path(data).stem}"
    peak = learning_rate or (3e-3 if autoencoder is None else 5e-4)
    settings = Settings(
        steps=steps,
        optimizer=("muon" if autoencoder is None else "adamw") if optimizer == "auto" else optimizer,
        learning_rate=peak,
        min_learning_rate=peak / 50,
        warmup_steps=min(300, steps // 10),
        weight_decay=0.0,
        ema=ema,
        evaluate_every=evaluate_every,
        checkpoint_minutes=checkpoint_minutes,
        precision=precision,
        compile="off",
        device=pick_device(device),
        seed=seed,
    )
    prompts, reads = start.prompts(text_encoder, device=settings.device)
    pictures = None
    if autoencoder is not None:
        pictures = channels_last(latent_diffusion.load_autoencoder(Path(autoencoder), device=settings.device))
    torch.manual_seed(seed)
    model: Denoiser
    if init_from is not None:
        model = layout.load(Path(init_from))[0].requires_grad_(True)
    elif pictures is None:
        model = _thumbnails(widths, layers, size, factor, words=prompts.model.config.d_model)
    else:
        model = _unet(pictures.config, widths, layers, words=prompts.model.config.d_model)
    if isinstance(model, Thumbnails) != (pictures is None):
        raise BadInput(
            f"{init_from} is of latents; name its --autoencoder"
            if pictures is None
            else f"{init_from} is of thumbnails; leave out --autoencoder"
        )
    plans = planners.load(plans_from, device=settings.device) if plans_from else None
    if plans is not None:
        model = by_plans(model, plans.config.words)
    model = channels_last(model.to(settings.device))
    source = source_of(data, (pictures or model).config.sample_size, seed=seed, captioned=True)
    asked: dict[str, Any] = {
        "batch_size": batch_size,
        "n_closeups": closeups,
        "folder": folder,
        "seed": seed,
        "shown": shown(data, source),
    }
    objective: Denoise
    if not isinstance(model, Thumbnails):
        assert pictures is not None
        objective = Denoise(model, pictures, prompts, source, **asked)
    elif plans is None:
        objective = DrawThumbnails(model, prompts, source, **asked)
    else:
        objective = DrawPlans(model, plans, prompts, source, **asked)
    begun = find(init_from, default="image").digest if init_from is not None else None
    objective.identity |= {"text_encoder": reads, "init_from": begun}
    if pictures is not None:
        assert autoencoder is not None
        weights = files.sha256(Path(autoencoder) / latent_diffusion.WEIGHTS)
        objective.identity["autoencoder"] = asdict(pictures.config) | {"sha256": weights}
    if plans_from is not None:
        objective.identity["planner"] = files.sha256(plans_from / WEIGHTS)
    title, world = f"Diffusion of {Path(data).stem}", "scenes" if data == "scenes" else None
    return fitted(objective, settings, "diffusion", text_encoder=text_encoder, world=world, title=title)


def fitted(
    objective: Denoise, settings: Settings, family: str, *, text_encoder: str, world: str | None, title: str
) -> dict[str, Any]:
    """Train, write the parts into the objective's folder, and give the figures."""
    from genarium.checkpoints.layouts import text_to_image as layout
    from genarium.training import report
    from genarium.training.loop import fit
    from genarium.training.objectives.thumbnails import DrawPlans

    folder = objective.folder
    log = fit(objective, settings, folder)
    emit("saving")
    layout.write(
        folder,
        objective.model.eval(),
        objective.autoencoder,
        objective.process,
        text_encoder=text_encoder,
        context=objective.prompts.context,
        steps=objective.steps,
        guidance=objective.guidance,
        world=world,
        planner=objective.planner if isinstance(objective, DrawPlans) else None,
    )
    figures: dict[str, Any] = {name: log[-1][name] for name in ("loss", "seconds")}
    report.write_recipe(folder, family, objective, settings, figures)
    report.plot_losses(log, folder / "loss.png", title=title, unit="squared error")
    return figures | {"folder": str(folder)}


def shown(data: str, source: Source) -> Sequence[str]:
    """The prompts that sheets show: of a folder, captions that are held out."""
    return SHOWN if data == "scenes" else source.heldout(0, len(SHOWN))[1]


def _unet(pictures: AutoencoderConfig, widths: str | None, layers: int | None, *, words: int) -> UNet:
    """A network without training for an autoencoder's latents. Raises BadInput."""
    from genarium.models.unet import UNet, UNetConfig

    places = pictures.sample_size // pictures.factor
    levels = _levels(widths or "64,160", places=places)
    return UNet(
        UNetConfig(
            in_channels=pictures.latent_channels,
            out_channels=pictures.latent_channels,
            sample_size=places,
            block_out_channels=levels,
            attention=(*[False] * (len(levels) - 1), True),
            layers_per_block=layers or 2,
            heads=tuple(width // 32 for width in levels),
            norm_num_groups=16,
            cross_attention_dim=words,
        )
    )


def _thumbnails(widths: str | None, layers: int | None, size: int, factor: int, *, words: int) -> Thumbnails:
    """A network without training for thumbnails. Raises BadInput."""
    from genarium.models.dit import DiTConfig
    from genarium.models.thumbnails import Thumbnails, ThumbnailsConfig

    if size % factor:
        raise BadInput(f"pictures of {size} pixels can't be cut into cells of {factor}; choose a --factor that divides")
    width, *more = _levels(widths or "256", places=1 << 8)
    if more or width % 64:
        raise BadInput(f"--widths {widths}: thumbnails need one number, a multiple of 64")
    network = DiTConfig(
        in_channels=4,
        out_channels=3 * factor**2 + 1,
        sample_size=size // factor,
        d_model=width,
        n_layers=layers or 6,
        n_heads=width // 64,
        # As many weights as four times the width would take without a gate.
        d_ff=width * 8 // 3 // 32 * 32,
        cross_attention_dim=words,
    )
    return Thumbnails(ThumbnailsConfig(sample_size=size, factor=factor, network=network))


def _planner(planner: str | None, init_from: str | None, *, known: bool) -> Path | None:
    """Where the planner is: the one that is named, or else that of what is gone on from. Raises BadInput.

    `known` says whether pictures come with plans and are drawn as thumbnails.
    """
    from genarium.checkpoints.layouts import planner as planners
    from genarium.checkpoints.layouts.text_to_image import PLANNER

    if planner is None:
        own = Path(init_from) / PLANNER if init_from is not None else None
        return own if known and own is not None and own.is_dir() else None
    if not known:
        raise BadInput(
            "plans are known of whole composed scenes, and drawn as thumbnails; beside --planner leave out --data, "
            "--closeups and --autoencoder"
        )
    if not planners.is_planner(Path(planner)):
        raise BadInput(f"--planner {planner} holds no planner; name a folder that `genarium train planner` made")
    return Path(planner)


def by_plans(model: Denoiser, words: PlanWords) -> Thumbnails:
    """The same network, which also reads plans; the weights for that begin so that they change nothing."""
    from dataclasses import replace

    from genarium.models.thumbnails import Thumbnails

    assert isinstance(model, Thumbnails)
    if model.config.plan == words:
        return model
    side = model.config.sample_size // model.config.factor
    if side != words.side:
        raise BadInput(f"plans of {words.side} cells a side don't fit thumbnails of {side}; choose another --factor")
    reading = Thumbnails(replace(model.config, plan=words))
    reading.load_state_dict(reading.state_dict() | model.state_dict())
    return reading


def _levels(widths: str, *, places: int) -> tuple[int, ...]:
    """Channels of each level, full size first. Raises BadInput."""
    try:
        levels = tuple(int(width) for width in widths.split(","))
    except ValueError:
        raise BadInput(f"--widths {widths!r} isn't a list of numbers such as 64,160") from None
    if any(width < 32 or width % 32 for width in levels):
        raise BadInput(f"--widths {widths}: each is a multiple of 32")
    if places % 2 ** (len(levels) - 1):
        raise BadInput(f"--widths {widths}: {places} places can't be halved {len(levels) - 1} times")
    return levels
