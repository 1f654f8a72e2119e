"""`genarium train diffusion`: diffusion of pictures and captions, of latents or of thumbnails."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Ge, Gt, Interval

from genarium import files
from genarium.errors import BadInput
from genarium.training.command import command
from genarium.training.options import TrainOptions

if TYPE_CHECKING:
    from torch import nn

    from genarium.models.plan import PlanWords
    from genarium.models.thumbnails import Thumbnails
    from genarium.models.unet import UNet
    from genarium.models.vae import Autoencoder, AutoencoderConfig
    from genarium.training.objectives.denoise import Denoise
    from genarium.training.settings import Settings


@dataclass(frozen=True)
class NetworkOptions:
    """What is trained: of latents or of thumbnails, how large, and what it continues from."""

    autoencoder: Annotated[
        str | None, Doc("folder that `genarium train vae` made, for diffusion of its latents [default: of thumbnails]")
    ] = None
    init_from: Annotated[str | None, Doc("folder of a model trained before, to continue from its weights")] = None
    planner: Annotated[
        str | None,
        Doc(
            "folder that `genarium train planner` made: thumbnails of `scenes` are drawn by its plans [default: that "
            "of --init-from, where it has one]"
        ),
    ] = None
    widths: Annotated[
        str | None,
        Doc(
            "channels of each level of the U-Net, multiples of 32, the last one looks at the words [default: 64,160]; "
            "with thumbnails the width of the Transformer, a multiple of 64 [default: 256]"
        ),
    ] = None
    layers: Annotated[
        int | None,
        Doc(
            "blocks of a level on the way down, one more on the way up [default: 2]; with thumbnails all blocks "
            "[default: 6]"
        ),
        Interval(ge=1, le=48),
    ] = None
    size: Annotated[int, Doc("height and width of pictures, without --autoencoder"), Interval(ge=16, le=512)] = 64
    factor: Annotated[Literal[4, 8, 16], Doc("their pixels to one of the thumbnail, each way")] = 8


@command("Diffusion of pictures and captions: of latents, or of thumbnails.")
def train_diffusion(
    *,
    data: Annotated[str, Doc("`scenes`: composed pictures, or a folder of pictures with captions")] = "scenes",
    text_encoder: Annotated[str, Doc("frozen encoder that captions enter through")] = "starter/encoder",
    network: NetworkOptions = NetworkOptions(),
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
    options: TrainOptions = TrainOptions(steps=20_000, evaluate_every=1000),
) -> dict[str, Any]:
    """Train a diffusion model of pictures and captions: of an autoencoder's latents, or of thumbnails.

    Writes the networks in half precision (of latents as diffusers' `unet/` and `vae/`), a scheduler's config, and which
    text encoder it reads with. Sheets of samples are written along the way. Returns the figures.
    """
    from genarium.scenes.worlds import SCENES

    if closeups and data != SCENES:
        raise BadInput("--closeups are made of composed scenes; leave it out for pictures of your own")
    thumbnails = network.autoencoder is None
    plans_from = _planner(network, known=data == SCENES and not closeups and thumbnails)
    folder = options.folder(f"diffusion-{Path(data).stem}")
    settings = _settings(options, learning_rate, optimizer, ema, thumbnails=thumbnails)
    objective = _objective(
        network, settings, data, text_encoder, plans_from, folder=folder, batch_size=batch_size, n_closeups=closeups
    )
    title, world = f"Diffusion of {Path(data).stem}", objective.source.world_name
    return drawn(objective, settings, "diffusion", text_encoder=text_encoder, world=world, title=title)


def _settings(
    options: TrainOptions, learning_rate: float | None, optimizer: str, ema: float, *, thumbnails: bool
) -> Settings:
    from genarium.training.settings import Settings

    chosen: Any = ("muon" if thumbnails else "adamw") if optimizer == "auto" else optimizer
    usual = Settings(optimizer=chosen, warmup_steps=300, weight_decay=0.0, ema=ema, compile="off")
    peak = learning_rate or (3e-3 if thumbnails else 5e-4)
    return replace(options, learning_rate=peak).settings(usual, falls=50)


def _objective(
    network: NetworkOptions,
    settings: Settings,
    data: str,
    text_encoder: str,
    plans_from: Path | None,
    *,
    folder: Path,
    **more: Any,
) -> Denoise:
    """What is learned, and of which pictures; `more` is the objective's own. Raises BadInput."""
    import torch

    from genarium.checkpoints.layouts import latent_diffusion
    from genarium.checkpoints.layouts import planner as planners
    from genarium.checkpoints.store.find import find
    from genarium.checkpoints.store.folder import WEIGHTS
    from genarium.models.latent_diffusion import LatentDiffusion
    from genarium.models.thumbnails import ThumbnailDiffusion
    from genarium.training import start
    from genarium.training.objectives.denoise import Denoise
    from genarium.training.objectives.thumbnails import DrawPlans, DrawThumbnails
    from genarium.training.sources.images import channels_last, source_of

    prompts, reads = start.prompts(text_encoder, device=settings.device)
    images: Autoencoder | None = None
    if network.autoencoder is not None:
        where = Path(network.autoencoder)
        images = channels_last(latent_diffusion.load_autoencoder(where, device=settings.device))
    torch.manual_seed(settings.seed)
    model: Any = _begin(network, images, words=prompts.model.config.d_model)
    plans: Any = planners.load(plans_from, device=settings.device) if plans_from else None
    if plans is not None:
        model = by_plans(model, plans.config.words)
    model = channels_last(model.to(settings.device))
    size = (images or model).config.sample_size
    source = source_of(data, size, seed=settings.seed, captioned=True)
    more |= {"folder": folder, "seed": settings.seed, "shown": source.sheet_prompts()}
    objective: Denoise
    if images is not None:
        objective = Denoise(LatentDiffusion(model, images), prompts, source, **more)
    elif plans is None:
        objective = DrawThumbnails(ThumbnailDiffusion(model), prompts, source, **more)
    else:
        objective = DrawPlans(ThumbnailDiffusion(model, plans), prompts, source, **more)
    begun = find(network.init_from, default="image").digest if network.init_from is not None else None
    objective.identity |= {"text_encoder": reads, "init_from": begun}
    if images is not None:
        weights = files.sha256(where / latent_diffusion.WEIGHTS)
        objective.identity["autoencoder"] = asdict(images.config) | {"sha256": weights}
    if plans_from is not None:
        objective.identity["planner"] = files.sha256(plans_from / WEIGHTS)
    return objective


def drawn(
    objective: Denoise,
    settings: Settings,
    family: str,
    *,
    text_encoder: str,
    world: str | None,
    title: str,
    **more: Any,
) -> dict[str, Any]:
    """Train, write the parts into the objective's folder, and give the figures; `more` is for the index."""
    from genarium.checkpoints.layouts import text_to_image as layout
    from genarium.training import run

    save = partial(
        layout.write,
        objective.folder,
        objective.networks,
        objective.process,
        text_encoder=text_encoder,
        context=objective.prompts.context,
        steps=objective.steps,
        guidance=objective.guidance,
        world=world,
        **more,
    )
    shown = ("loss", "seconds")
    return run.train(
        family, objective, settings, objective.folder, save=save, figures=shown, title=title, unit="squared error"
    )


def _begin(network: NetworkOptions, images: Autoencoder | None, *, words: int) -> nn.Module:
    """The network that is continued from, or one of random weights. Raises BadInput."""
    from genarium.checkpoints.layouts import text_to_image as layout
    from genarium.models.thumbnails import ThumbnailDiffusion

    if network.init_from is None:
        return _thumbnails(network, words=words) if images is None else _unet(images.config, network, words=words)
    begun = layout.load(Path(network.init_from))
    thumbnails = begun.kind == ThumbnailDiffusion.kind
    if thumbnails and images is not None:
        raise BadInput(f"{network.init_from} is of thumbnails; leave out --autoencoder")
    if not thumbnails and images is None:
        raise BadInput(f"{network.init_from} is of latents; name its --autoencoder")
    return begun.denoiser.requires_grad_(True)


def _unet(images: AutoencoderConfig, network: NetworkOptions, *, words: int) -> UNet:
    """A network without training for an autoencoder's latents. Raises BadInput."""
    from genarium.models.unet import UNet, UNetConfig

    places = images.sample_size // images.factor
    levels = _levels(network.widths or "64,160", places=places)
    return UNet(
        UNetConfig(
            in_channels=images.latent_channels,
            out_channels=images.latent_channels,
            sample_size=places,
            block_out_channels=levels,
            attention=(*[False] * (len(levels) - 1), True),
            layers_per_block=network.layers or 2,
            heads=tuple(width // 32 for width in levels),
            norm_num_groups=16,
            cross_attention_dim=words,
        )
    )


def _thumbnails(network: NetworkOptions, *, words: int) -> Thumbnails:
    """A network without training for thumbnails. Raises BadInput."""
    from genarium.models.dit import DiTConfig
    from genarium.models.thumbnails import Thumbnails, ThumbnailsConfig

    size, factor = network.size, network.factor
    if size % factor:
        raise BadInput(f"pictures of {size} pixels can't be cut into cells of {factor}; choose a --factor that divides")
    width, *more = _levels(network.widths or "256", places=1 << 8)
    if more or width % 64:
        raise BadInput(f"--widths {network.widths}: thumbnails need one number, a multiple of 64")
    inner = DiTConfig(
        in_channels=4,
        out_channels=3 * factor**2 + 1,
        sample_size=size // factor,
        d_model=width,
        n_layers=network.layers or 6,
        n_heads=width // 64,
        # As many weights as four times the width would take without a gate.
        d_ff=width * 8 // 3 // 32 * 32,
        cross_attention_dim=words,
    )
    return Thumbnails(ThumbnailsConfig(sample_size=size, factor=factor, network=inner))


def _planner(network: NetworkOptions, *, known: bool) -> Path | None:
    """Where the planner is: the one that is named, or else that of what is continued from. Raises BadInput.

    `known` says whether pictures come with plans and are drawn as thumbnails.
    """
    from genarium.checkpoints.layouts import planner as planners
    from genarium.checkpoints.layouts.thumbnails import PLANNER

    planner, init_from = network.planner, network.init_from
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


def by_plans(model: Thumbnails, words: PlanWords) -> Thumbnails:
    """The same network, which also reads plans; the weights for that begin so that they change nothing."""
    from genarium.models.thumbnails import Thumbnails

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
