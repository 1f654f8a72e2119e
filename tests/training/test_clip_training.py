"""CLIP learns which caption is which picture's, takes equal captions for right, and what it writes is transformers'."""

from __future__ import annotations

import itertools
import json
import math
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from transformers import CLIPModel, CLIPProcessor
from transformers.models.clip.modeling_clip import image_text_contrastive_loss

from genarium.checkpoints.layouts import clip as layout
from genarium.checkpoints.store.find import find
from genarium.data.images import read_image
from genarium.errors import BadCheckpoint, BadInput
from genarium.progress import Event, listening
from genarium.training.commands.clip import train_clip
from genarium.training.objectives.contrastive import LARGEST_SCALE, contrast, distinct, same_texts
from genarium.training.sources.images import source_of

COLOURS = {
    "red": (220, 40, 40),
    "green": (40, 200, 60),
    "blue": (40, 60, 220),
    "white": (250, 250, 250),
    "black": (0, 0, 0),
    "yellow": (240, 230, 40),
    "pink": (250, 150, 200),
    "purple": (130, 30, 160),
}
PLACES = ((0, 4), (8, 4), (4, 0), (4, 8))
SMALL: dict[str, Any] = {
    "size": 16,
    "patch": 4,
    "width": 64,
    "layers": 1,
    "text_layers": 1,
    "dimensions": 16,
    "batch_size": 32,
    "learning_rate": 1e-3,
    "checkpoint_minutes": 5.0,
    "precision": "float32",
}


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A caption for each of eight colours, and sixteen pictures for each caption."""
    path = tmp_path_factory.mktemp("squares")
    lines = []
    for (colour, rgb), place, shade in itertools.product(COLOURS.items(), range(4), range(4)):
        image = Image.new("RGB", (16, 16), (100 + 10 * shade,) * 3)
        left, top = PLACES[place]
        image.paste(rgb, (left, top, left + 8, top + 8))
        name = f"{colour}-{place}-{shade}.png"
        image.save(path / name)
        lines.append(json.dumps({"file_name": name, "text": f"a {colour} square"}) + "\n")
    (path / "metadata.jsonl").write_text("".join(lines))
    return path


@pytest.fixture(scope="module")
def trained(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("trained")
    return out, train_clip(data=str(squares), out=str(out), **SMALL, steps=100, evaluate_every=25)


def unit(*shape: int) -> Tensor:
    return F.normalize(torch.randn(*shape), dim=-1)


def test_where_all_captions_differ_the_loss_is_clips() -> None:
    torch.manual_seed(0)
    seen, read, scale = unit(6, 5), unit(6, 5), torch.tensor(1.3)
    expected = image_text_contrastive_loss(scale.exp() * read @ seen.T)
    torch.testing.assert_close(contrast(seen, read, scale, torch.eye(6, dtype=torch.bool)), expected)


def test_equal_captions_share_the_target_as_the_paper_has_it() -> None:
    torch.manual_seed(0)
    tokens = torch.tensor([[1, 5, 2, 2], [1, 6, 7, 2], [1, 5, 2, 2], [1, 8, 2, 2], [1, 5, 2, 2]])
    same = same_texts(tokens)
    assert same.tolist() == [[(a in {0, 2, 4} and b in {0, 2, 4}) or a == b for b in range(5)] for a in range(5)]
    seen, scale = unit(5, 4), torch.tensor(0.7)
    read = unit(5, 4)[torch.tensor([0, 1, 0, 3, 0])]
    scores = (scale.exp() * seen @ read.T).double()
    by_hand = 0.0
    for table in (scores, scores.T):
        for row in range(5):
            right = [other for other in range(5) if same[row, other]]
            by_hand -= sum(float(table[row].log_softmax(0)[other]) for other in right) / len(right) / 5
    assert float(contrast(seen, read, scale, same)) == pytest.approx(by_hand / 2, rel=1e-5)


def test_a_network_that_is_right_is_not_moved_by_equal_captions() -> None:
    """Two pictures of one caption: as negatives of each other they would push true pairs apart."""
    read = torch.eye(4)[torch.tensor([0, 1, 1, 2])]
    seen = read.clone().requires_grad_()
    same = (read @ read.T).bool()
    loss = contrast(seen, read, torch.tensor(LARGEST_SCALE), same)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2) / 2, rel=1e-3)
    assert seen.grad is not None
    assert float(seen.grad.abs().max()) < 1e-6


def test_it_learns_which_caption_is_which_images(trained: tuple[Path, dict[str, Any]]) -> None:
    folder, figures = trained
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert log[-1]["loss"] < log[0]["loss"]
    assert figures["candidates"] > 4
    assert figures["image_to_text"] > 0.85
    assert figures["text_to_image"] > 0.85
    assert (folder / log[-1]["sample"].partition(":")[0]).read_bytes().startswith(b"\x89PNG")
    recipe = json.loads((folder / "training.json").read_text())
    assert recipe["identity"]["data"]["folder"]["pictures"] == 128


def test_transformers_gives_the_same_from_what_is_written(trained: tuple[Path, dict[str, Any]], squares: Path) -> None:
    folder, _ = trained
    theirs, report = CLIPModel.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values())
    processor = CLIPProcessor.from_pretrained(folder)
    model = layout.load(folder)
    words = layout.load_tokenizer(folder, config=model.config.text_config)
    files = [squares / f"{name}-0-3.png" for name in ("red", "blue", "white")]
    images = [read_image(file) for file in files]
    texts = ["A red square", "a blue square", "something white, and many words " * 12]
    entered = processor(text=texts, images=images, padding=True, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        expected = theirs.eval()(**entered)
        close = {"atol": 1e-5, "rtol": 1e-5}
        found = layout.load_preprocessing(folder, model.config.vision_config.image_size).tensor(images)
        torch.testing.assert_close(model.encode_images(found), expected.image_embeds, **close)
        torch.testing.assert_close(model.encode_texts(layout.read_tokens(words, texts)), expected.text_embeds, **close)
    assert float(expected.logits_per_image[0].argmax()) == 0
    assert float(expected.logits_per_image[1].argmax()) == 1


def test_stopped_and_gone_on_with_it_ends_in_the_same_weights(squares: Path, tmp_path: Path) -> None:
    run = {**SMALL, "data": str(squares), "steps": 8, "evaluate_every": 8}
    train_clip(**run, out=str(tmp_path / "whole"))

    def stop(event: Event) -> None:
        if event.stage == "training" and event.done == 5:
            signal.raise_signal(signal.SIGTERM)

    with listening(stop), pytest.raises(KeyboardInterrupt):
        train_clip(**run, out=str(tmp_path / "cut"))
    seen: list[int] = []
    with listening(lambda event: seen.append(event.done) if event.stage == "training" else None):
        train_clip(**run, out=str(tmp_path / "cut"))
    assert seen == [6, 7, 8]
    whole, cut = (layout.load(tmp_path / name).state_dict() for name in ("whole", "cut"))
    for name, weight in whole.items():
        assert torch.equal(weight, cut[name]), name


def test_it_goes_on_from_a_clip_folder_with_its_network_and_words(
    trained: tuple[Path, dict[str, Any]], squares: Path, tmp_path: Path
) -> None:
    folder, figures = trained
    again = train_clip(
        data=str(squares), out=str(tmp_path), init_from=str(folder), **SMALL | {"learning_rate": 1e-5}, steps=2
    )
    assert again["image_to_text"] == pytest.approx(figures["image_to_text"], abs=0.1)
    assert layout.load(tmp_path).config == layout.load(folder).config


def test_a_changed_folder_is_not_gone_on_with_silently(squares: Path, tmp_path: Path) -> None:
    copy = tmp_path / "pictures"
    copy.mkdir()
    for file in squares.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    run = {**SMALL, "data": str(copy), "out": str(tmp_path / "run")}
    train_clip(**run, steps=1)
    Image.new("RGB", (16, 16)).save(copy / "red-0-0.png")
    with pytest.raises(BadInput, match="holds another run"):
        train_clip(**run, steps=1)


def test_held_out_captions_are_each_there_once(squares: Path) -> None:
    reference = find("starter/encoder", default="encoder").path
    assert reference is not None
    _, words = layout.reading_with(reference, context=32)
    source = source_of(str(squares), 16, seed=0, captioned=True)
    images, captions = distinct(source, words, 100)
    assert len(images) == len(captions) == len(set(captions)) == len(set(source.validation(0, 1000)[1]))
    assert len(distinct(source, words, 3)[1]) == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [({"patch": 5}, "patches of 5"), ({"width": 100}, "multiple of 64, got 100; try 128")],
)
def test_sizes_that_do_not_go_together_are_said(options: dict[str, int], said: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=said):
        train_clip(out=str(tmp_path), **{**SMALL, **options})


def test_captions_that_are_all_one_are_refused(tmp_path: Path) -> None:
    for number in range(12):
        Image.new("RGB", (16, 16), (number, 0, 0)).save(tmp_path / f"{number}.png")
        (tmp_path / f"{number}.txt").write_text("a picture")
    with pytest.raises(BadInput, match="fewer than two different captions"):
        train_clip(data=str(tmp_path), out=str(tmp_path / "run"), **SMALL, steps=1)


def test_a_tokenizer_that_marks_no_ends_is_refused(tiny: Path) -> None:
    with pytest.raises(BadCheckpoint, match="does not mark where texts begin and end"):
        layout.reading_with(tiny, context=32)
