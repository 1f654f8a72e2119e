"""The tensors of a checkpoint by name, which remember whether anybody took them.

A tensor that a loader does not know may be a part of the network, such as the scale of a quantised weight: what is
left over is refused, unless it is known to be unneeded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from genarium.errors import BadCheckpoint

if TYPE_CHECKING:
    from torch import Tensor

# What frameworks store of any network, and make again from the config.
BUFFERS = (r"(.*\.)?rotary_emb\.inv_freq", r"(.*\.)?attn\.masked_bias", r"(.*\.)?position_ids")
QUANTISED = re.compile(
    r"\.(weight_scale(_inv)?|input_scale|scale(s)?|SCB|qweight|qzeros|g_idx|absmax|quant_map|quant_state.*|zero_point|"
    r"weight_packed|weight_shape|nested_\w+)$"
)


class Stored(dict[str, "Tensor"]):
    """Tensors by published name. `stored[name]` and `get` count as taken; `in`, `items` and `keys` do not."""

    def __init__(self, tensors: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]] = ()):
        super().__init__(tensors)
        self.taken: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        self.taken.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Tensor | None = None) -> Tensor | None:  # type: ignore[override]
        self.taken.add(name)
        return super().get(name, default)

    def renamed(self, rename: Callable[[str], str], where: Path | str) -> Stored:
        """The same tensors by other names. Raises BadCheckpoint where two would have one."""
        out = Stored()
        for name, tensor in self.items():
            if (new := rename(name)) in out:
                raise BadCheckpoint(f"{where}: the weights have {new} twice, once as {name}; download the folder again")
            dict.__setitem__(out, new, tensor)
        out.taken = {rename(name) for name in self.taken}
        return out

    def left_over(self, unneeded: Iterable[str] = ()) -> list[str]:
        """Names that nobody took, and that no pattern of `unneeded` (whole names, regular expressions) knows."""
        known = re.compile("|".join(f"(?:{pattern})" for pattern in (*BUFFERS, *unneeded)))
        return sorted(name for name in self if name not in self.taken and not known.fullmatch(name))

    def refuse_left_over(self, where: Path | str, unneeded: Iterable[str] = ()) -> None:
        """BadCheckpoint where a tensor was neither taken nor known to be unneeded."""
        left = self.left_over(unneeded)
        if not left:
            return
        if scales := [name for name in left if QUANTISED.search(name)]:
            raise BadCheckpoint(
                f"{where}: its weights are quantised ({scales[0]} is their scale), which is not run here; name the "
                "checkpoint in float16, bfloat16 or float32 that it was made from"
            )
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        raise BadCheckpoint(
            f"{where}: nothing here reads its tensor {left[0]}{more}, so it would run as another network; choose "
            "another checkpoint, or run it with the library it was made with"
        )
