"""`genarium train vae`: an autoencoder of pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Ge, Gt, Interval

from genarium import files
from genarium.errors import BadInput
from genarium.progress import emit


def train_vae(
    *,
    data: Annotated[str, Doc("`scenes`: composed pictures, or a folder of pictures")] = "scenes",
    out: Annotated[str | None, Doc("folder to train in; running again continues there")] = None,
    init_from: Annotated[str | None, Doc("autoencoder to go on from (a folder with a map of latents)")] = None,
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
    steps: Annotated[int, Doc("optimiser updates"), Ge(1)] = 4000,
    batch_size: Annotated[int, Doc("pictures in a batch"), Ge(1)] = 4,
    learning_rate: Annotated[float, Doc("peak learning rate"), Gt(0)] = 2e-3,
    evaluate_every: Annotated[int, Doc("updates between evaluations and sheets"), Ge(1)] = 500,
    checkpoint_minutes: Annotated[float, Doc("minutes between checkpoints"), Ge(0.0)] = 5.0,
    precision: Annotated[Literal["auto", "float32", "bfloat16"], Doc("what matrices are multiplied in")] = "auto",
    device: Annotated[str, Doc("cpu, cuda, or auto")] = "auto",
    seed: Annotated[int, Doc("same seed, data and machine: same weights"), Interval(ge=0, le=2**53 - 1)] = 0,
) -> dict[str, Any]:
    """Train a variational autoencoder of pictures.

    With --latents map it is written as diffusers' AutoencoderKL, ready for `genarium train diffusion`. Sheets of
    pictures and what comes back are written along the way. Returns the figures: loss, PSNR in dB, seconds.
    """
    import torch

    from genarium.checkpoints.layouts import latent_diffusion as layout
    from genarium.checkpoints.layouts import vae as vector_layout
    from genarium.devices import pick_device
    from genarium.models.vae import VAE, Autoencoder, AutoencoderConfig, VAEConfig
    from genarium.training import report
    from genarium.training.loop import fit
    from genarium.training.objectives.autoencoder import Reconstruct, latent_moments
    from genarium.training.settings import Settings
    from genarium.training.sources.images import channels_last, source_of

    if decoder_only and init_from is None:
        raise BadInput("--decoder-only goes on from an autoencoder; name its folder with --init-from")
    folder = Path(out) if out else Path("runs") / f"vae-{latents}-{Path(data).stem}"
    settings = Settings(
        steps=steps,
        learning_rate=learning_rate,
        min_learning_rate=learning_rate / 50,
        warmup_steps=min(200, steps // 10),
        weight_decay=0.0,
        ema=0.998,
        evaluate_every=evaluate_every,
        checkpoint_minutes=checkpoint_minutes,
        precision=precision,
        compile="off",
        device=pick_device(device),
        seed=seed,
    )
    torch.manual_seed(seed)
    model: VAE | Autoencoder
    if init_from is not None:
        model = layout.load_autoencoder(Path(init_from)).requires_grad_(True)
        if decoder_only:
            model.freeze_encoder()
    elif latents == "vector":
        model = VAE(VAEConfig(size=size, latent=channels))
    else:
        model = Autoencoder(
            AutoencoderConfig(
                latent_channels=channels,
                block_out_channels=(24, 48, 96, 128)[: 3 if factor == 4 else 4],
                mid_block_attention=False,
                layers_per_block=1,
                norm_num_groups=8,
                sample_size=size,
            )
        )
    channels_last(model.to(settings.device))
    source = source_of(data, size, seed=seed)
    objective = Reconstruct(model, source, batch_size=batch_size, beta=beta, folder=folder, seed=seed)
    if init_from is not None:
        objective.identity["init_from"] = files.sha256(Path(init_from) / layout.WEIGHTS)
        objective.identity["decoder_only"] = decoder_only
    log = fit(objective, settings, folder)
    figures: dict[str, Any] = {name: log[-1][name] for name in ("loss", "psnr", "seconds")}
    model.eval()
    if isinstance(model, Autoencoder):
        if not decoder_only:
            emit("measuring", preview="latents")
            mean, deviation = latent_moments(model, source)
            model.config = replace(model.config, scaling_factor=1.0 / deviation, shift_factor=mean)
        layout.save_autoencoder(model, folder)
    else:
        vector_layout.save(model, folder)
    report.write_recipe(folder, "vae", objective, settings, figures)
    report.plot_losses(log, folder / "loss.png", title=f"VAE of {Path(data).stem}", unit="distance and divergence")
    return figures | {"folder": str(folder)}
