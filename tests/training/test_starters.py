"""The starters `sentiment` and `spam` are small adapters over `encoder` that do what their cards say."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import transformers
from peft import PeftModel
from PIL import Image

import genarium
from genarium.checkpoints.layouts import encoder as layout
from genarium.checkpoints.layouts import encoder_config
from genarium.checkpoints.processors import tokenizer
from genarium.checkpoints.store import catalogue, digest, folder
from genarium.checkpoints.store.find import find
from genarium.engines.registry import open_caption
from genarium.engines.vision.caption import CaptionRequest
from genarium.scenes import World
from genarium.scenes.checker import Checker
from genarium.scenes.telling import told, wrong

SAID = {
    "sentiment": {
        "negative": ["a dull, lifeless film that wastes a fine cast", "I want my two hours back."],
        "positive": ["a warm, funny and moving picture", "One of the best performances of the year."],
    },
    "spam": {
        "ham": ["Are you coming home for dinner tonight?", "sorry, I'll call you later"],
        "spam": [
            "URGENT! You have won a £2000 prize. Call 09061701461 now to claim.",
            "FREE entry in a weekly competition, txt WIN to 80086",
        ],
    },
}


@pytest.mark.parametrize("name", list(SAID))
def test_the_shipped_adapter_says_what_peft_makes_of_it(name: str) -> None:
    path = catalogue.starter(name).path
    base = catalogue.starter("encoder").path
    model, read = layout.load_classifier(path), tokenizer.load(path)
    labels = encoder_config.labels(folder.read_config(path))
    config = transformers.AutoConfig.from_pretrained(path)
    whole = transformers.AutoModelForSequenceClassification.from_pretrained(base, config=config)
    theirs = PeftModel.from_pretrained(whole, path).float().eval()
    for label, texts in SAID[name].items():
        for text in texts:
            tokens = torch.tensor([read.encode(text).ids])
            with torch.inference_mode():
                scores = model(tokens)
                torch.testing.assert_close(theirs(input_ids=tokens).logits, scores, atol=1e-4, rtol=1e-4)
            assert labels[int(scores.argmax())] == label, text


@pytest.mark.parametrize("name", list(SAID))
def test_it_is_small_and_its_card_gives_the_figures_of_its_recipe(name: str) -> None:
    starter = catalogue.starter(name)
    assert starter.size < 3 * 2**20
    assert find(f"starter/{name}", default="encoder").digest != digest.of_folder(starter.path)  # its base's counts too
    figures = json.loads((starter.path / "training.json").read_text())["figures"]
    measured = figures["accuracy on dev.tsv"] if name == "sentiment" else figures["f1"]
    assert f"{100 * measured:.1f}" in starter.card()


def test_the_captioner_opens_in_transformers_and_its_card_gives_the_figures_measured() -> None:
    starter = catalogue.starter("caption")
    recorded = json.loads((starter.path / "training.json").read_text())["measured"]
    on_grid, off_grid = (recorded[f"500 held-out scenes, grid of {snap}"] for snap in (8, 4))
    for name, share in on_grid.items():
        assert f" {100 * share:.1f}% | {100 * off_grid[name]:.1f}% |" in starter.card()
    assert min(on_grid[name] for name in ("kind", "count", "colour", "background", "place")) >= 0.9
    theirs = transformers.BlipForConditionalGeneration.from_pretrained(starter.path, dtype=torch.float32).eval()
    world = World(64, snap=8)
    scenes = [world.scene(78, index, "heldout") for index in range(8)]
    images = [Image.fromarray(world.image(scene)) for scene in scenes]
    processor = transformers.AutoProcessor.from_pretrained(starter.path)
    request = CaptionRequest()
    described = open_caption("starter/caption").describe(images, request)
    for image, captions in zip(images, described, strict=True):
        with torch.inference_mode():
            made = theirs.generate(**processor(images=image, return_tensors="pt"), num_beams=3, max_new_tokens=39)
        assert processor.decode(made[0], skip_special_tokens=True) == captions[0].text
    right = [not wrong(captions[0].text, told(scene, 64)) for scene, captions in zip(scenes, described, strict=True)]
    assert sum(right) >= 4


def test_the_matcher_is_small_and_its_card_gives_the_figures_measured() -> None:
    starter = catalogue.starter("match")
    assert starter.size + catalogue.starter("caption").size <= 12 * 2**20
    recorded = json.loads((starter.path / "training.json").read_text())["measured"]
    for share in recorded["500 held-out scenes, grid of 8"].values():
        assert f"{100 * share:.1f}%" in starter.card()
    assert starter.damaged() == []


def test_the_image_starter_shows_what_prompts_of_unseen_pairs_ask_for() -> None:
    asked = World(64, snap=8).prompts("heldout", 40, seed=5)
    drawn = [genarium.image(prompt, seed=seed)[0].pixels for seed, (prompt, _) in enumerate(asked)]
    verdicts = Checker().check(np.stack(drawn), [ask for _, ask in asked])
    assert sum(verdict.right for verdict in verdicts) >= 34, [
        p for (p, _), v in zip(asked, verdicts, strict=True) if v.wrong
    ]


def test_the_image_starter_draws_the_first_prompts_and_is_small() -> None:
    starter = catalogue.starter("image")
    assert starter.size < 24 * 2**20
    checker = Checker()
    for prompt, kind, background in (
        ("flying batman with colorful sky", "superhero", "colorful sky"),
        ("a ladybug with blue sky and white clouds", "ladybug", "blue sky"),
        ("an owl in a room", "owl", "room"),
    ):
        drawn = genarium.image(prompt, n=4, seed=1)
        sights = checker.look(np.stack([one.pixels for one in list(drawn)[:4]]))
        fits = [sight.background == background and kind in {seen.kind for seen in sight.things} for sight in sights]
        assert sum(fits) >= 3, (prompt, sights)
