"""`train FAMILY`: each family's options come from its function's signature, as with tasks."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable
from typing import Any

import click

from genarium.cli.display import Display
from genarium.cli.groups import Group, with_verbosity
from genarium.cli.options import click_parameters, given
from genarium.signature import bind, parameters

# Family -> the function that trains it, and its line in the help; imported when asked for.
FAMILIES = {
    "gpt": ("genarium.training.commands.gpt", "train_gpt", "A GPT from text: next-token prediction."),
    "vae": ("genarium.training.commands.vae", "train_vae", "An autoencoder of pictures."),
    "diffusion": (
        "genarium.training.commands.diffusion",
        "train_diffusion",
        "Diffusion of pictures and captions: of latents, or of thumbnails.",
    ),
    "planner": (
        "genarium.training.commands.planner",
        "train_planner",
        "A planner of composed scenes: from a caption, what stands where.",
    ),
    "distil": (
        "genarium.training.commands.distil",
        "train_distil",
        "Distil a latent diffusion model into one that draws in fewer steps.",
    ),
    "clip": ("genarium.training.commands.clip", "train_clip", "A contrastive pair of pictures and texts, CLIP."),
    "caption": ("genarium.training.commands.caption", "train_caption", "A BLIP captioner of composed scenes."),
    "match": ("genarium.training.commands.caption", "train_match", "A BLIP matcher of pictures and captions."),
}


class Families(Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(FAMILIES)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in FAMILIES:
            return None
        module, function, summary = FAMILIES[name]
        return train_command(name, getattr(importlib.import_module(module), function), summary)


@click.group(cls=Families)
def train() -> None:
    """Train a model from scratch. Stopped at any moment, the same command goes on to the same weights."""


def finetune() -> click.Command:
    """`finetune`, which has one family for all its tasks."""
    from genarium.training.commands import finetune as module

    return train_command("finetune", module.finetune, "Teach an encoder a task from a file of examples.", group="")


def train_command(
    name: str, function: Callable[..., dict[str, Any]], summary: str, *, group: str = "train "
) -> click.Command:
    """The command of one family."""
    wanted = parameters(function)

    def command(as_json: bool, **values: Any) -> None:
        from genarium.progress import listening

        arguments = bind(f"{group}{name}", wanted, (), given(wanted, values))
        with Display() as display, listening(display):
            figures = function(**arguments)
        if as_json:
            click.echo(json.dumps(figures, indent=2))
            return
        for key, value in figures.items():
            click.echo(f"{key}: {f'{value:.4f}' if isinstance(value, float) else value}")

    as_json = click.Option(["--json", "as_json"], is_flag=True, help="print the figures as JSON")
    description = inspect.getdoc(function) or ""
    help_text = description if description.startswith(summary) else f"{summary}\n\n{description}"
    made = click.Command(
        name, callback=command, params=[*click_parameters(wanted), as_json], help=help_text, short_help=summary
    )
    return with_verbosity(made)
