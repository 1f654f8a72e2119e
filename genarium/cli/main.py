"""`genarium`: one command a task, and the commands around them. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import io
import sys
from typing import Any

import click

from genarium.cli.terminal import sentence
from genarium.errors import GenariumError


class Commands(click.Group):
    """The group's commands, each made when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from genarium.tasks import tasks

        return [*tasks(), *self.commands]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        from genarium.cli.chat import chat_command
        from genarium.cli.tasks import task_command
        from genarium.tasks import tasks

        if name == "chat":
            return chat_command(tasks()[name])
        if name in tasks():
            return task_command(tasks()[name])
        return super().get_command(ctx, name)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            known = ", ".join(self.list_commands(ctx))
            raise click.UsageError(f"no command {args[0]!r}; there are {known}") from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="genarium", prog_name="genarium")
def genarium() -> None:
    """Generative AI on machines you own.

    Works offline at once on small starter models; --model runs a folder, a hub checkpoint or an endpoint.
    """


def _add_commands() -> None:
    from genarium.cli import doctor, history, index, models, serve, train

    for command in (
        history.history,
        history.show,
        history.reproduce,
        history.rate,
        index.index,
        models.models,
        train.train,
        train.finetune(),
        serve.serve,
        doctor.doctor,
    ):
        genarium.add_command(command)


_add_commands()


def main() -> None:
    """The entry point: a person's mistake becomes one plain sentence and a non-zero exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that is not of its encoding is shown, and no error
            stream.reconfigure(errors="backslashreplace")
    try:
        code = genarium.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
        sys.exit(2)
    except click.ClickException as error:
        click.echo(f"genarium: {sentence(error.format_message())}", err=True)
        sys.exit(2)
    except GenariumError as error:
        click.echo(f"genarium: {sentence(error)}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("genarium: stopped; what was finished is kept, nothing is half-written", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away: not an error, and nothing more can be said.
        sys.stderr.close()
        sys.exit(141)
    except RecursionError:
        click.echo("genarium: something that was given is nested too deeply; flatten it", err=True)
        sys.exit(2)
    except MemoryError:
        click.echo("genarium: out of memory; use a smaller model, -n or --max-new-tokens", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
