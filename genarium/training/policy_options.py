"""What `align` commands ask for of the model that is trained, beside their own options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_doc import Doc

from genarium.errors import BadInput
from genarium.training.options import Alpha, Rank, Targets, Way, adapters

if TYPE_CHECKING:
    from genarium.training.policy import Policy


@dataclass(frozen=True)
class PolicyOptions:
    """Which model is trained, and what of it."""

    model: Annotated[
        str, Doc("what is trained: starter/chat, starter/text, a folder, a GGUF file, a hub id, or what align wrote")
    ] = "starter/chat"
    lora: Annotated[bool, Doc("learn small adapters beside the layers (this is the default)")] = False
    full: Annotated[bool, Doc("learn every weight, and write a whole checkpoint")] = False
    rank: Rank = 16
    alpha: Alpha = None
    targets: Targets = None

    @property
    def way(self) -> Way:
        """Raises BadInput where both are asked for."""
        if self.lora and self.full:
            raise BadInput("choose one of --lora and --full")
        return "full" if self.full else "lora"

    @property
    def adapters(self) -> dict[str, Any]:
        """How adapters are made."""
        return adapters(self.rank, self.alpha, self.targets)

    def load(self, *, device: str, seed: int, keep_reference: bool = False) -> Policy:
        """The policy. Raises BadInput, BadCheckpoint, ModelNotFound."""
        from genarium.progress import emit
        from genarium.training import policy

        emit("loading", preview=self.model)
        return policy.load(
            self.model, way=self.way, device=device, seed=seed, keep_reference=keep_reference, **self.adapters
        )

    def identity(self, policy: Policy) -> dict[str, Any]:
        """What of it must be the same for a run to be continued."""
        return {
            "policy": policy.found.digest,
            "way": self.way,
            "adapters": self.adapters if self.way == "lora" else None,
        }
