"""`genarium train vae`: an autoencoder of pictures."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Ge, Interval

from genarium import files
from genarium.errors import BadInput
from genarium.progress import emit
from genarium.training.command import command
from genarium.training.options import TrainOptions

if TYPE_CHECKING:
    from genarium.models.vae import VAE, Autoencoder
    from genarium.training.sources.images import Source


@command("An autoencoder of pictures.")
def train_vae(
    *,
    data: Annotated[str, Doc("`scenes`: composed pictures, or a folder of pictures")] = "scenes",
    init_from: Annotated[str | None, Doc("autoencoder to continue from (a folder with a map of latents)")] = None,
    decoder_only: Annotated[
        bool, Doc("leave the encoder of --init-from as it is, so that a denoiser trained on its latents still fits")
    ] = False,
    latents: Annotated[
        Literal["map", "vector"], Doc("a small map, as latent diffusion needs it, or one vector")
    ] = "map",
    factor: Annotated[Literal[4, 8], Doc("pixels to a place of the map, each way")] = 4,
    size: Annotated[int, Doc("height and width of the pictures, in pixels"), Interval(ge=16, le=512)] = 64,
    channels: Annotated[int, Doc("channels of the map, or length of the vector"), Interval(ge=1, le=512)] = 4,
    beta: Annotated[float, Doc("weight of the divergence from noise, a number of the latents"), Ge(0.0)] = 1e-4,
    batch_size: Annotated[int, Doc("pictures in a batch"), Ge(1)] = 4,
    options: TrainOptions = TrainOptions(steps=4000, learning_rate=2e-3, evaluate_every=500),
) -> dict[str, Any]:
    """Train a variational autoencoder of pictures.

    With --latents map it is written as diffusers' AutoencoderKL, ready for `genarium train diffusion`. Sheets of
    pictures and what comes back are written along the way. Returns the figures: loss, PSNR in dB, seconds.
    """
    import torch

    from genarium.checkpoints.layouts import latent_diffusion as layout
    from genarium.training import run
    from genarium.training.objectives.autoencoder import Reconstruct
    from genarium.training.settings import Settings
    from genarium.training.sources.images import channels_last, source_of

    if decoder_only and init_from is None:
        raise BadInput("--decoder-only continues from an autoencoder; name its folder with --init-from")
    folder = options.folder(f"vae-{latents}-{Path(data).stem}")
    settings = options.settings(Settings(warmup_steps=200, weight_decay=0.0, ema=0.998, compile="off"), falls=50)
    torch.manual_seed(settings.seed)
    model = _begin(init_from, latents=latents, factor=factor, size=size, channels=channels, frozen=decoder_only)
    channels_last(model.to(settings.device))
    source = source_of(data, size, seed=settings.seed)
    objective = Reconstruct(model, source, batch_size=batch_size, beta=beta, folder=folder, seed=settings.seed)
    if init_from is not None:
        objective.identity["init_from"] = files.sha256(Path(init_from) / layout.WEIGHTS)
        objective.identity["decoder_only"] = decoder_only

    if latents == "map" or init_from is not None:
        save = partial(_save_map, model, folder, None if decoder_only else source)
    else:
        save = partial(_save_vector, model, folder)
    return run.train(
        "vae",
        objective,
        settings,
        folder,
        save=save,
        figures=("loss", "psnr", "seconds"),
        title=f"VAE of {Path(data).stem}",
        unit="distance and divergence",
    )


def _begin(init_from: str | None, *, latents: str, factor: int, size: int, channels: int, frozen: bool) -> Any:
    """The autoencoder that is continued from, or one of random weights; its encoder may be frozen."""
    from genarium.checkpoints.layouts import latent_diffusion as layout
    from genarium.models.vae import VAE, Autoencoder, AutoencoderConfig, VAEConfig

    if init_from is not None:
        model = layout.load_autoencoder(Path(init_from)).requires_grad_(True)
        if frozen:
            model.freeze_encoder()
        return model
    if latents == "vector":
        return VAE(VAEConfig(size=size, latent=channels))
    config = AutoencoderConfig(
        latent_channels=channels,
        block_out_channels=(24, 48, 96, 128)[: 3 if factor == 4 else 4],
        mid_block_attention=False,
        layers_per_block=1,
        norm_num_groups=8,
        sample_size=size,
    )
    return Autoencoder(config)


def _save_vector(model: VAE, folder: Path) -> None:
    from genarium.checkpoints.layouts import vae as layout

    layout.save(model, folder)


def _save_map(model: Autoencoder, folder: Path, source: Source | None) -> None:
    """Write it; its latents are first brought to mean 0 and deviation 1, as the pictures of a source have them."""
    from genarium.checkpoints.layouts import latent_diffusion
    from genarium.training.objectives.autoencoder import latent_moments

    if source is not None:
        emit("measuring", preview="latents")
        mean, deviation = latent_moments(model, source)
        model.config = replace(model.config, scaling_factor=1.0 / deviation, shift_factor=mean)
    latent_diffusion.save_autoencoder(model, folder)
