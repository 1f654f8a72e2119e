"""The network that alignment trains: a decoder from any text checkpoint, as adapters beside it or whole."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genarium.checkpoints.layouts import gpt as layout
from genarium.checkpoints.layouts.gpt_names import published_names, with_prefix
from genarium.checkpoints.processors import beside
from genarium.checkpoints.processors.answers import Answers, Prompt
from genarium.checkpoints.store import adapters, digest, find
from genarium.checkpoints.store.folder import read_config, weight_files
from genarium.errors import BadInput
from genarium.models.gpt import GPT
from genarium.training.adapters import (
    LoRALinear,
    add_lora,
    layers_of,
    matrices,
    side_by_side,
    stored,
    without_lora,
)
from genarium.training.options import TARGETS, Target, Way
from genarium.training.start import local


@dataclass
class Policy:
    """A network that answers, what of it is trained, and how it reads.

    `model` is trained; `reference()` is the same network as it began. `raw` is the base's config.json. `talks` says
    whether it has conversations: it was taught a template before, or is now.
    """

    model: GPT
    answers: Answers
    found: find.Found
    path: Path
    way: Way
    raw: dict[str, Any]
    talks: bool
    _begun: GPT | None = field(default=None, repr=False)

    @property
    def kind(self) -> str:
        """The published model_type."""
        return str(self.raw["model_type"])

    @property
    def context(self) -> int:
        """Tokens that prompt and answer may have together."""
        return self.model.config.context_length

    @property
    def ends(self) -> frozenset[int]:
        """The tokens that end an answer."""
        return self.answers.ends | {self.answers.turn_end}

    @property
    def parents(self) -> list[dict[str, str]]:
        """What it was trained over, as `training.json` says it."""
        return [{"reference": self.found.reference, "digest": self.found.digest}]

    def ids(self, prompt: Prompt) -> list[int]:
        """What is read before the answer. Raises BadInput."""
        return self.answers.ids(prompt)

    def answer_ids(self, prompt: Prompt, answer: str) -> list[int]:
        """The answer's tokens after that, with the one that ends it."""
        return self.answers.answer_ids(prompt, answer)

    @contextlib.contextmanager
    def reference(self) -> Iterator[GPT]:
        """Inside the block, the network as it began: the same one with its adapters off, or the copy that is kept.

        With every weight trained there is one only where `load` was asked to keep it.
        """
        if self.way == "full":
            assert self._begun is not None
            yield self._begun
            return
        with without_lora(self.model):
            yield self.model

    def save(self, folder: Path) -> None:
        """A PEFT adapter over the base, or a whole checkpoint; with tokenizer and template. Others open both."""
        if self.way == "full":
            ends: dict[str, Any] = {
                name: self.raw[name] for name in ("bos_token_id", "eos_token_id") if name in self.raw
            }
            layout.save(self.model, folder, extra=ends)
        else:
            save_adapter(self, folder)
        beside.write(self.path, folder, self.answers, context_length=self.context, talks=self.talks)


def load(
    reference: str,
    *,
    way: Way = "lora",
    rank: int = 16,
    alpha: float = 32.0,
    targets: Sequence[Target] = TARGETS,
    device: str = "cpu",
    seed: int = 0,
    keep_reference: bool = False,
) -> Policy:
    """The policy that a reference means, in float32 whatever its weights are stored in. Raises BadInput, BadCheckpoint.

    An adapter is put into its base first, so that a second one is learned beside both. `keep_reference`: with every
    weight trained, a copy of the network as it begins is kept.
    """
    path, found = local(reference, default="chat", kind="a model of language")
    raw = require_decoder(path, reference)
    if way == "lora":
        _require_plain(path, reference)
    model = layout.load(path, device=device)
    answers = Answers.load(path, found.reference, model.config.vocab_size)
    policy = Policy(model, answers, found, path, way, raw, answers.chats)
    if way == "full":
        policy._begun = copy.deepcopy(model) if keep_reference else None
        model.requires_grad_(True)
    else:
        torch.manual_seed(seed)
        put_lora(model, policy.kind, rank=rank, alpha=alpha, targets=targets)
    return policy


def require_decoder(path: Path, reference: str) -> dict[str, Any]:
    """Its config.json. Raises BadInput where it is no decoder that is trained here."""
    raw = read_config(path)
    if raw["model_type"] not in layout.MODEL_TYPES:
        raise BadInput(
            f"{reference} is a {raw['model_type']!r} model; alignment trains decoders ({', '.join(layout.MODEL_TYPES)})"
        )
    classes = [name for name in raw.get("architectures") or [] if not name.endswith(("LMHeadModel", "ForCausalLM"))]
    task = adapters.read_config(path).task_type if adapters.is_adapter(path) else None
    if classes or task not in (None, "CAUSAL_LM"):
        raise BadInput(f"{reference} is a {(classes or [task])[0]}, which writes no text; name a model that does")
    return raw


def _require_plain(path: Path, reference: str) -> None:
    """Raises BadInput where the adapter that is begun with can't be one with what is learned beside it."""
    if not adapters.is_adapter(path):
        return
    config = adapters.read_config(path)
    more = [name for name in adapters.names(path) if not name.endswith((".lora_A.weight", ".lora_B.weight"))]
    if config.use_dora or config.init_lora_weights in ("pissa", "olora"):
        more = ["DoRA" if config.use_dora else str(config.init_lora_weights), *more]
    if config.rank_pattern:
        more = ["ranks that differ", *more]
    if more:
        raise BadInput(
            f"{reference} is an adapter with more than low-rank matrices of one rank ({more[0]}), and another can't "
            "stand on it; export it as a whole folder first, or train every weight"
        )


def put_lora(model: nn.Module, kind: str, *, rank: int, alpha: float, targets: Sequence[Target]) -> None:
    """Adapters beside the layers of a decoder, each as the published layers it is made of have theirs."""

    def widths(module: nn.Module, name: str, linear: nn.Linear) -> Sequence[int]:
        if kind == "gpt2" or name not in ("qkv", "gate_up"):
            return (linear.out_features,)
        own: Any = module
        return own.widths if name == "qkv" else (linear.out_features // 2,) * 2

    names = {*targets, *(["gate_up"] if "up" in targets else [])}
    model.requires_grad_(False)
    add_lora(model, rank=rank, alpha=alpha, targets=sorted(names), widths=widths)


def save_adapter(
    policy: Policy, folder: Path, *, whole: dict[str, Tensor] | None = None, task_type: str = "CAUSAL_LM", **config: Any
) -> None:
    """Write the adapter in PEFT's layout, with that of the adapter it was learned beside in it.

    `whole` are new modules' weights by published name, `config` what config.json says beside the base's.
    """
    tensors = lora_tensors(policy)
    base = policy.path
    if adapters.is_adapter(base):
        tensors = side_by_side(adapters.matrices(base), tensors)
        base = find.base_of(base)
        reference = str(adapters.read_config(policy.path).base_model_name_or_path)
    else:
        reference = policy.found.reference
    first = next(tensor for name, tensor in tensors.items() if name.endswith("lora_A.weight"))
    weights = {adapters.PREFIX + name: stored(tensor) for name, tensor in (whole or {}).items()}
    files = [base] if base.is_file() else weight_files(base)
    adapters.write(
        folder,
        base=reference,
        base_sha256={file.name: digest.of_file(file) for file in files},
        config=policy.raw | config,
        task_type=task_type,
        rank=len(first),
        alpha=len(first),  # the scale is in B, that two of different scales may stand side by side
        target_modules=layers_of(tensors),
        modules_to_save=sorted({name.partition(".")[0] for name in whole or {}}),
        tensors=tensors | weights,
        fan_in_fan_out=policy.kind == "gpt2",
    )


def lora_tensors(policy: Policy) -> dict[str, Tensor]:
    """A and scaled B by PEFT's names: W + B A is what was learned of the published W."""
    config = policy.model.config

    def published(name: str) -> list[str]:
        return [with_prefix(part, policy.kind) for part in published_names(name, policy.kind)[0]]

    tensors = {name: stored(tensor) for name, tensor in matrices(policy.model, published).items()}
    for name, module in policy.model.named_modules():
        if not isinstance(module, LoRALinear):
            continue
        for place, part in enumerate(published(f"{name}.weight")):
            up = tensors[f"{adapters.PREFIX}{part.removesuffix('.weight')}.lora_B.weight"]
            up *= module.scale
            if name.endswith(".attention.qkv") and place == 0:  # the network has its queries scaled already
                up[: config.d_model] /= layout.query_scale(policy.raw, int(name.split(".")[1]), config)
    return tensors
