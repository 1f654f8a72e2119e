"""`genarium serve`: the HTTP server."""

from __future__ import annotations

import re

import click

UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}


class Size(click.ParamType[int]):
    """Bytes, as 500M or 4GiB."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?)(?:i?b)?", str(value).strip().lower())
        if found is None:
            self.fail(f"{value!r} is no size; write it like 500M or 4GiB")
        return int(float(found[1]) * UNITS[found[2]])


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="where to listen; other machines need --api-key")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one")
@click.option(
    "--api-key", multiple=True, envvar="GENARIUM_API_KEY", help="a key that clients must send; may be repeated"
)
@click.option("--model", multiple=True, metavar="[NAME=]REFERENCE", help="a model clients may name; may be repeated")
@click.option("--any-model", is_flag=True, help="let clients name any folder, hub id or endpoint")
@click.option("--allow-host", multiple=True, metavar="NAME", help="a host name the server answers for, beside its own")
@click.option("--allow-origin", multiple=True, metavar="URL", help="a site whose pages may use the server")
@click.option(
    "--queue", "waiting", type=click.IntRange(1, 100_000), default=64, show_default=True, help="jobs that may wait"
)
@click.option(
    "--batch", "together", type=click.IntRange(1, 256), default=32, show_default=True, help="texts written at once"
)
@click.option("--memory", type=Size(), help="what open models may take, as 4GiB [default: half of the machine's]")
@click.option("--max-body", type=Size(), default="32MiB", show_default=True, help="largest request that is read")
@click.option(
    "--grace",
    type=click.FloatRange(0, 3600),
    default=20.0,
    show_default=True,
    help="seconds work may continue after SIGTERM",
)
@click.option("--moderation", default="starter/spam", show_default=True, help="the classifier behind /v1/moderations")
@click.option("--harmless", multiple=True, metavar="LABEL", help="a label of it that is no objection; may be repeated")
@click.option("--log-prompts", is_flag=True, help="write what is asked into the log")
def serve(api_key: tuple[str, ...], model: tuple[str, ...], harmless: tuple[str, ...], **given: object) -> None:
    """Serve every task over HTTP, and the studio at /.

    OpenAI's routes are among them.

    Point any OpenAI client at http://127.0.0.1:8000/v1.
    """
    from genarium.server.serve import serve as serve_until_told
    from genarium.server.settings import HARMLESS, ServerSettings

    named = {name: reference or name for name, _, reference in (one.partition("=") for one in model)}
    settings = ServerSettings(
        keys=api_key,
        models=named,
        harmless=harmless or HARMLESS,
        allowed_hosts=given.pop("allow_host"),  # type: ignore[arg-type]
        allowed_origins=given.pop("allow_origin"),  # type: ignore[arg-type]
        **given,  # type: ignore[arg-type]
    )
    serve_until_told(settings, ready=lambda address: click.echo(f"Genarium is at {address}", err=True))
