"""`index` and `ask` as a person uses them, with the starter encoder."""

from __future__ import annotations

import json
import os
import re
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from genarium.artefacts import Answer
from genarium.errors import BadInput
from genarium.ledger import Ledger
from genarium.recipe import Recipe
from genarium.retrieval import documents
from genarium.run import prepare, reproduce, run

FACTS = {
    "lighthouse.md": "# Keeper\n\nThe keeper is called Marta Vogel. She lights the lamp at dusk.\n\n# Lamp\n\nThe lamp "
    "burns whale oil, forty litres a week. Its beam is seen from nine miles away.\n",
    "ferry.txt": "The ferry to the mainland leaves at noon. A ticket costs three crowns, and children ride free.\n",
    "prices.csv": "dish,price\nherring soup,4 crowns\nrye bread,1 crown\n",
}


@pytest.fixture
def island(tmp_path: Path) -> Path:
    folder = tmp_path / "island"
    folder.mkdir()
    for name, text in FACTS.items():
        (folder / name).write_text(text)
    return folder


def genarium(*arguments: str | Path) -> str:
    """What the command prints. Raises what it raises."""
    from genarium.cli.main import genarium as command

    return CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False).stdout


def test_index_ask_show_and_reproduce(island: Path) -> None:
    assert genarium("index", island).startswith("island: 3 files, ")
    assert "unchanged" in genarium("index", island)
    asked = json.loads(genarium("ask", "--json", "When does the boat", "to the mainland go?"))
    [answer] = asked["artefacts"]
    assert "leaves at noon. [1]" in answer["text"]
    [citation, *_] = answer["citations"]
    assert citation["file"] == "ferry.txt"
    assert FACTS["ferry.txt"][citation["start"] : citation["end"]] == citation["quote"]
    shown = genarium("show", answer["id"])
    assert f"[1] ferry.txt, characters {citation['start']}-{citation['end']}: “{citation['quote']}”" in shown
    assert "equal, byte for byte" in genarium("reproduce", answer["id"])
    (island / "ferry.txt").write_text("The ferry leaves at two.")
    assert "out of date (1 changed)" in genarium("index", "--list")
    assert "(1 changed, 2 unchanged)" in genarium("index", island)
    with pytest.raises(BadInput, match="the index island changed since this recipe was written"):
        genarium("reproduce", answer["id"])
    assert "removed" in genarium("index", "--remove", "island")
    assert json.loads(genarium("index", "--list", "--json")) == []
    assert (island / "ferry.txt").exists()


def test_every_sentence_cites_a_place_that_says_it(island: Path) -> None:
    indexed(island)
    for question in (
        "What does the lamp burn?",
        "From how far away is the beam of the lamp seen?",
        "What is the price of herring soup?",
        "Do children ride free on the ferry?",
    ):
        [answer] = run(prepare("ask", question), keep=False)
        assert isinstance(answer, Answer)
        assert answer.supported
        for citation in answer.citations:
            text = documents.parse(citation.file, (island / citation.file).read_bytes()).text
            assert text[citation.start : citation.end] == citation.quote
            assert f"{' '.join(citation.quote.split())} [{citation.number}]" in answer.text
        assert re.fullmatch(r"([^\[\]]+ (\[\d\])+ ?)+", answer.text), "a sentence without a citation"


def test_a_question_without_an_answer_is_told_so(island: Path) -> None:
    indexed(island)
    result = run(prepare("ask", "Which crypto currency won the football world cup?"), keep=False)
    [answer] = result
    assert isinstance(answer, Answer)
    assert (answer.supported, answer.citations) == (False, [])
    assert answer.text == "The documents do not say."
    assert "below min_support" in result.notes[0]


def test_questions_that_cannot_be_asked(island: Path) -> None:
    with pytest.raises(BadInput, match="genarium index DIR"):
        prepare("ask", "When does the ferry leave?")
    with pytest.raises(BadInput, match="not indexed yet"):
        prepare("ask", "When does the ferry leave?", index=str(island))
    indexed(island)
    with pytest.raises(BadInput, match="question is empty"):
        prepare("ask", "  ")
    with pytest.raises(BadInput, match="no index called 'peninsula'; there are island"):
        prepare("ask", "When does the ferry leave?", index="peninsula")


def test_a_recipe_of_one_index_is_as_it_was_and_one_of_several_names_each(island: Path, tmp_path: Path) -> None:
    village = tmp_path / "village"
    village.mkdir()
    (village / "ferry.txt").write_text("The ferry office of the village is closed on Mondays.")
    indexed(island)
    one = prepare("ask", "When does the ferry leave?", index=str(island), seed=1)
    assert one.arguments["index"].keys() == {"name", "sha256"}
    [before] = run(one, keep=False)
    earlier = one.arguments
    for name in ("where", "since"):  # no such arguments when it was recorded
        del earlier[name]
    [again] = run(Recipe.of("ask", earlier, one.model, one.seed), keep=False)
    assert again.content() == before.content()
    indexed(village)
    several = prepare("ask", "When is the ferry office closed?", index=["village", "island", str(island)], seed=1)
    assert [pin["name"] for pin in several.arguments["index"]] == ["village", "island"]
    with Ledger(tmp_path / "kept") as ledger:
        [answer] = run(several, ledger=ledger)
        assert isinstance(answer, Answer)
        assert str(answer.citations[0]).startswith("[1] village: ferry.txt, characters 0-")
        assert ledger.find(answer.id).facts["citations"][0]["index"] == "village"
        assert reproduce(answer.id, ledger=ledger).equal
    asked = prepare("ask", "When does the ferry leave?", index="@all", where="path=ferry.txt", top_k=5)
    [answer] = run(asked, keep=False)
    assert isinstance(answer, Answer)
    assert {citation.file for citation in answer.citations} == {"ferry.txt"}


def test_since_is_a_moment_in_the_recipe_and_holds_while_the_times_do(island: Path) -> None:
    os.utime(island / "lighthouse.md", (1, 1))
    indexed(island)
    asked = prepare("ask", "Who lights the lamp?", since="30d")
    assert datetime.fromisoformat(asked.arguments["since"]).utcoffset() is not None
    [answer] = run(asked, keep=False)
    assert isinstance(answer, Answer)
    assert "lighthouse.md" not in {citation.file for citation in answer.citations}
    with pytest.raises(BadInput, match="nothing in island meets type=md and changed since"):
        run(prepare("ask", "Who lights the lamp?", since="30d", where=["type=md"]), keep=False)
    os.utime(island / "lighthouse.md")
    indexed(island)
    with pytest.raises(BadInput, match="other times"):
        run(asked, keep=False)


def test_an_index_is_also_named_by_the_users_own_defaults(
    island: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexed(island)
    other = tmp_path / "other place"
    other.mkdir()
    (other / "mayor.txt").write_text("The mayor is Ida Holm.")
    indexed(other)
    config = tmp_path / "config.toml"
    monkeypatch.setenv("GENARIUM_CONFIG", str(config))
    for written in ('index = "island"', 'index = ["other-place", "island"]'):
        config.write_text(f"[ask]\n{written}\n")
        assert "noon" in genarium("ask", "When does the ferry leave?")
    monkeypatch.setenv("GENARIUM_ASK_INDEX", str(other))
    assert "Ida Holm" in genarium("ask", "Who is the mayor?")


def test_an_answer_is_kept_with_its_citations(island: Path, tmp_path: Path) -> None:
    indexed(island)
    with Ledger(tmp_path / "kept") as ledger:
        [answer] = run(prepare("ask", "Who lights the lamp?", index=str(island)), ledger=ledger)
        entry = ledger.find(answer.id)
        assert entry.facts["citations"][0]["file"] == "lighthouse.md"
        assert entry.recipe.arguments["index"]["name"] == "island"
        assert reproduce(answer.id, ledger=ledger).equal


def indexed(folder: Path) -> None:
    from genarium.checkpoints.store.find import find
    from genarium.engines import registry
    from genarium.retrieval.build import build

    found = find("starter/encoder", default="encoder")
    embed = registry.open_encoder(found.reference).embed
    build(folder, embed, encoder=found.reference, encoder_digest=found.digest)


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders with a reader's head and a ranker's over small encoders of random weights."""
    import torch

    from genarium.checkpoints.layouts import encoder as layout
    from genarium.checkpoints.store.find import find
    from genarium.models.encoder import QuestionAnsweringModel, TextClassifier
    from genarium.models.encoder_config import EncoderConfig, HeadConfig

    torch.manual_seed(1)
    config = EncoderConfig(n_layers=1, n_heads=2, d_model=32, d_ff=64)
    starter = find("starter/encoder", default="encoder").path
    assert starter is not None
    made = []
    for name, model in (
        ("reader", QuestionAnsweringModel(config)),
        ("ranker", TextClassifier(config, HeadConfig(n_outputs=1))),
    ):
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        folder = tmp_path_factory.mktemp(name)
        layout.save(model, folder)
        (folder / "tokenizer.json").write_bytes((starter / "tokenizer.json").read_bytes())
        made.append(folder)
    return made[0], made[1]


def test_a_ranker_decides_what_is_answered_from_and_a_reader_what_is_quoted(
    island: Path, heads: tuple[Path, Path]
) -> None:
    from genarium.engines import registry
    from genarium.engines.answer.question_answering import AnswerRequest
    from genarium.retrieval.store import Index

    reader, ranker = heads
    indexed(island)
    question = "When does the ferry leave?"
    with Index("island") as index:
        every = index.hits([int(number) for number in index.vectors()[0]])
    scores = registry.open_ranker(str(ranker)).scores(question, [hit.text for hit in every])
    first = every[int(scores.argmax())]
    recipe = prepare("ask", question, ranker=str(ranker), model=str(reader), top_k=1, min_support=-1.0)
    assert recipe.arguments["ranker"]["sha256"]
    [answer] = run(recipe, keep=False)
    assert isinstance(answer, Answer)
    [read] = registry.open_question_answering(str(reader)).read(
        [(question, first.text)], AnswerRequest(top_k=2, no_answer=True)
    )
    if read.answers[0].text:
        [citation] = answer.citations
        assert citation.file == first.file
        assert read.answers[0].text in first.text[citation.start - first.start : citation.end - first.start]
    else:
        assert not answer.supported
    (ranker / "config.json").write_text((ranker / "config.json").read_text() + " ")
    with pytest.raises(BadInput, match="changed since this recipe was written"):
        run(recipe, keep=False)


def test_passages_are_embedded_faster_to_the_same_vectors() -> None:
    from genarium.engines import registry
    from genarium.retrieval.asking import embedder

    texts = [*FACTS.values(), "word " * 400, "x"]
    fast, plain = embedder("starter/encoder")(texts), registry.open_encoder("starter/encoder").embed(texts)
    assert (fast * plain).sum(axis=1).min() > 0.999
