"""Words from pieces, and the sums over attention against the papers' formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from genarium.engines.vision.word_maps import Attribution, grad_cam, join, relevance, spans_of
from genarium.errors import BadInput
from genarium.models.attention import attend, watching


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in spans_of(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a bird, over the sea.", ["a", "bird", "over", "the", "sea"]),
        ("the batman's fire-truck — fast!", ["the", "batman's", "fire-truck", "fast"]),
        ("  Zwei Vögel\nüber dem Meer ", ["Zwei", "Vögel", "über", "dem", "Meer"]),
        ("🐦 flying", ["🐦", "flying"]),
        ("2 dogs", ["2", "dogs"]),
    ],
)
def test_words_are_what_a_reader_calls_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize("text", ["", "  ", "...", "—!?"])
def test_a_text_without_words_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="no word to explain"):
        spans_of(text)


@given(st.text(max_size=40))
def test_words_never_overlap_and_keep_their_order(text: str) -> None:
    try:
        spans = spans_of(text)
    except BadInput:
        return
    ends = [0, *(end for _, end in spans)]
    assert all(before <= start < end <= len(text) for before, (start, end) in zip(ends, spans, strict=False))


def test_a_word_is_the_mean_of_its_pieces_and_what_was_cut_is_left_out() -> None:
    text = "a sailboat, far away"
    offsets = [(0, 0), (0, 1), (2, 6), (6, 10), (10, 11), (12, 15), (0, 0)]  # [CLS] a sail ##boat , far [SEP]
    maps = np.arange(7 * 4, dtype=np.float32).reshape(7, 2, 2)
    spans, joined = join(text, offsets, maps)
    assert [text[start:end] for start, end in spans] == ["a", "sailboat", "far"]
    assert np.array_equal(joined, np.stack([maps[1], (maps[2] + maps[3]) / 2, maps[5]]))
    with pytest.raises(BadInput, match="reads no word"):
        join(text, [(0, 0), (0, 0)], maps)


class TwoLayers(nn.Module):
    """Two attention layers with heads, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Identity() for _ in range(2))
        for layer in self.layers:
            layer.forward = self.attention  # type: ignore[method-assign, assignment]

    @staticmethod
    def attention(x: Tensor) -> Tensor:
        q = x.unflatten(2, (4, -1)).transpose(1, 2)
        return attend(q, q.roll(1, 2), q).transpose(1, 2).flatten(2)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + layer(x)
        return x


def test_watched_attention_is_the_same_sums_and_can_be_derived_by_its_weights() -> None:
    torch.manual_seed(0)
    model, x = TwoLayers(), torch.randn(1, 5, 16, requires_grad=True)
    seen: dict[int, Tensor] = {}
    with watching(list(model.layers), seen.__setitem__):
        y = model(x)
    assert torch.allclose(y, model(x), atol=1e-6)
    assert len(seen) == 2  # what runs outside the block is not told
    gradient = torch.autograd.grad(y.sum(), seen[0])[0]
    assert gradient.shape == (1, 4, 5, 5)
    # Against differences: the weights moved, everything above them computed again.
    with torch.no_grad():
        values = x.unflatten(2, (4, -1)).transpose(1, 2)

        def total(weights: Tensor) -> Tensor:
            h = x + (weights @ values).transpose(1, 2).flatten(2)
            return (h + TwoLayers.attention(h)).double().sum()

        moved = seen[0].detach().clone()
        moved[0, 2, 3, 1] += 1e-2
        lower = seen[0].detach().clone()
        lower[0, 2, 3, 1] -= 1e-2
        slope = (total(moved) - total(lower)) / 2e-2
    assert float(gradient[0, 2, 3, 1]) == pytest.approx(float(slope), rel=1e-2)


def test_watching_without_gradients_changes_no_bit_of_the_output() -> None:
    torch.manual_seed(0)
    model, x = TwoLayers(), torch.randn(2, 5, 16)
    told: list[int] = []
    with torch.inference_mode():
        with watching(list(model.layers), lambda place, _: told.append(place)):
            y = model(x)
        assert torch.equal(y, model(x))
    assert told == [0, 1]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", [None, "bool", "float"])
def test_watched_masks_and_groups_of_heads_are_those_of_the_fused_kernel(causal: bool, kind: str | None) -> None:
    if causal and kind is not None:
        return  # the kernel takes one or the other
    torch.manual_seed(1)
    q, k, v = torch.randn(2, 4, 6, 8), torch.randn(2, 2, 6, 8), torch.randn(2, 2, 6, 8)
    mask = {None: None, "bool": torch.rand(2, 1, 6, 6) > 0.3, "float": torch.randn(2, 1, 6, 6)}[kind]
    if kind == "bool":
        mask |= torch.eye(6, dtype=torch.bool)  # type: ignore[operator]
    module = nn.Identity()
    module.forward = lambda q: attend(q, k, v, mask, causal=causal)  # type: ignore[method-assign]
    told: list[Tensor] = []
    with watching([module], lambda _, weights: told.append(weights)):
        openly = module(q.requires_grad_())
    assert torch.allclose(openly, attend(q, k, v, mask, causal=causal), atol=1e-6)
    assert torch.allclose(told[0].sum(-1), torch.ones(2, 4, 6))


def test_grad_cam_and_relevance_are_the_formulas() -> None:
    torch.manual_seed(2)
    maps, gradients = torch.rand(3, 4, 9), torch.randn(3, 4, 9)
    by_hand = torch.zeros(4, 9)
    for head in range(3):
        for t in range(4):
            for s in range(9):
                by_hand[t, s] += maps[head, t, s] * max(float(gradients[head, t, s]), 0.0) / 3
    assert torch.allclose(grad_cam(maps, gradients), by_hand, atol=1e-6)
    layers, slopes = torch.rand(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    means = [(a * g).clamp(min=0).mean(0) for a, g in zip(layers, slopes, strict=True)]
    # (I + A2)(I + A1), the product that equation 6 comes to.
    assert torch.allclose(relevance(list(layers), list(slopes)), (torch.eye(4) + means[1]) @ (torch.eye(4) + means[0]))


def test_daam_is_the_mean_over_heads_and_layers_of_what_steps_summed() -> None:
    torch.manual_seed(3)
    latents, words = (6, 5), 7
    sizes = [(6, 5), (3, 3)]  # the second layer stands a level lower, where an odd side is rounded up
    steps = [[torch.rand(2, 4, h * w, words).softmax(-1) for h, w in sizes] for _ in range(3)]
    looked = Attribution(latents)
    for step in steps:
        for layer, weights in enumerate(step):
            looked.add(layer, weights)
    expected = torch.zeros(words, *latents)
    for layer, (h, w) in enumerate(sizes):
        for head in range(4):
            summed = sum(step[layer][1, head] for step in steps)  # row 1 is the prompt, row 0 the negative prompt
            grid = summed.T.reshape(1, words, h, w)  # type: ignore[union-attr]
            expected += F.interpolate(grid, size=latents, mode="bicubic").clamp(min=0)[0] / 8
    assert np.allclose(looked.maps(), expected.numpy(), atol=1e-6)
