"""`doctor`: what is installed, which device, whether the data folder and the starters are sound."""

from __future__ import annotations

import json
import platform
import shutil
from typing import Any

import click

from genarium import extras
from genarium.cli.common import json_option
from genarium.devices import threads

PACKAGES = ("genarium", "onnxruntime", "tokenizers", "safetensors", "huggingface_hub")
OPTIONAL = ("torch", "transformers", "diffusers", "matplotlib", "openai")

NAMED = 5
"""So many damaged artefacts are named; history shows the others."""


@click.command()
@json_option
def doctor(as_json: bool) -> int:
    """Check the installation. Exit code 1 where something is wrong."""
    checks = [*_installed(), _device(), _automatic(), *_storage(), *_starters(), *_plugins()]
    if as_json:
        click.echo(json.dumps(checks, indent=2))
    else:
        for check in checks:
            click.echo(f"{'ok ' if check['ok'] else 'BAD'}  {check['what']:<18} {check['found']}")
    return 0 if all(check["ok"] for check in checks) else 1


def _check(what: str, ok: bool, found: str) -> dict[str, Any]:
    return {"what": what, "ok": ok, "found": found}


def _installed() -> list[dict[str, Any]]:
    from importlib.metadata import PackageNotFoundError, version

    checks = [_check("python", True, f"{platform.python_version()} on {platform.system()} {platform.machine()}")]
    for package in (*PACKAGES, *OPTIONAL):
        try:
            checks.append(_check(package, True, version(package)))
        except PackageNotFoundError:
            is_optional = package in OPTIONAL
            optional = f" (optional): {extras.command(package)}" if is_optional else ""
            checks.append(_check(package, is_optional, f"not installed{optional}"))
    return checks


def _device() -> dict[str, Any]:
    if not extras.is_installed("torch"):
        return _check("device", True, f"cpu: {threads()} threads, used by onnxruntime")
    import torch

    from genarium.devices import cpu_bfloat16

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return _check("device", True, f"cuda: {properties.name}, {properties.total_memory / 2**30:.0f} GiB")
    bfloat16 = ", multiplies bfloat16 natively" if cpu_bfloat16() == "native" else ""
    return _check("device", True, f"cpu: {torch.get_num_threads()} threads{bfloat16}")


def _automatic() -> dict[str, Any]:
    from genarium.engines.text import decoders

    return _check("auto", True, decoders.rule())


def _storage() -> list[dict[str, Any]]:
    from genarium.errors import StorageError
    from genarium.files import home
    from genarium.ledger import Ledger

    try:
        with Ledger() as ledger:
            count, damaged = ledger.count(), ledger.damaged()
    except StorageError as error:
        return [_check("data folder", False, str(error))]
    free = shutil.disk_usage(home()).free / 2**30
    folder = _check("data folder", True, f"{home()}: {count} artefacts, {free:.1f} GiB free")
    if not damaged:
        return [folder, _check("artefacts", True, "all as they were made (sha256)")]
    named = ", ".join(f"{identifier} {state}" for identifier, state in damaged[:NAMED])
    more = f" and {len(damaged) - NAMED} more" if len(damaged) > NAMED else ""
    says = f"{len(damaged)} of {count} are not as they were made: {named}{more}; genarium reproduce ID makes one again"
    return [folder, _check("artefacts", False, says)]


def _starters() -> list[dict[str, Any]]:
    from genarium.checkpoints.store.catalogue import starters

    checks = []
    for starter in starters().values():
        if starter.comes_apart and starter.here is None:
            found = f"not here yet ({starter.summary}); genarium models pull starter/{starter.name}"
            checks.append(_check(f"starter/{starter.name}", True, found))
            continue
        damaged = starter.damaged()
        again = f"genarium models pull starter/{starter.name}" if starter.comes_apart else "install Genarium again"
        found = f"damaged or missing: {', '.join(damaged)}; {again}" if damaged else "verified (sha256)"
        checks.append(_check(f"starter/{starter.name}", not damaged, found))
    return checks


def _plugins() -> list[dict[str, Any]]:
    """What other packages bring, and what of it was left out; all of it is imported for that."""
    from genarium import plugins
    from genarium.checkpoints import layouts
    from genarium.cli.align import align
    from genarium.cli.main import genarium
    from genarium.cli.train import train
    from genarium.engines import registry

    ctx = click.Context(genarium)
    for group in (genarium, train, align):
        for name in group.list_commands(ctx):
            group.get_command(ctx, name)
    for capability in registry.capabilities():
        registry.engines(capability)
        layouts.found(capability)
    for plugin, is_loaded in plugins.used().items():
        if not is_loaded:
            plugins.leave_out(plugin, f"nothing here asks for {plugin.group} of such a name; its maker can rename it")
    found = [_check(f"{one.kind} {one.name}", True, f"of the package {one.package}") for one in plugins.used()]
    return [*found, *(_check("plug-in", False, told) for told in plugins.left_out())]
