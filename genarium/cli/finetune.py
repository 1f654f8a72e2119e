"""`finetune`, which is one command for all its tasks."""

from __future__ import annotations

from genarium.cli.train import click_command
from genarium.training.commands import finetune as module

finetune = click_command("finetune", module.finetune)
