"""The reader reads what transformers reads: the same windows and scores; and in bfloat16 it gives the same answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from genarium.checkpoints.layouts import encoder as layout
from genarium.engines.answer import question_answering as engine
from genarium.engines.answer.question_answering import AnswerRequest, NativeQuestionAnswering
from genarium.engines.cpu.packed import PackedEncoder
from genarium.errors import BadCheckpoint, BadInput
from genarium.models.encoder import QuestionAnsweringModel
from genarium.models.encoder_config import EncoderConfig
from genarium.progress import Event, listening

TEXT = (
    "In the old harbour town of Brackmouth, Mrs. O'Neill's bakery (founded in 1894) sold 1,200 loaves a day; the "
    "baker, an unbelievably cheerful man called Émile, put the treasure under the mat before sunrise, because nobody "
    "was there. "
)
WORDS = [*TEXT.split(), "café", "“Who’s", "there?”", "x" * 30, "日本"]
KINDS = ["bert", "distilbert", "roberta"]


def bert_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer.train_from_iterator(
        [TEXT], trainers.WordPieceTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def roberta_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "<pad>", "</s>"]
    tokenizer.train_from_iterator(
        [TEXT],
        trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return tokenizer


def folder_of(kind: str, path: Path) -> Path:
    """A question-answering checkpoint of random weights with a real tokenizer, written by transformers."""
    torch.manual_seed(0)
    size = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
    configs = {
        "bert": lambda: transformers.BertConfig(vocab_size=500, max_position_embeddings=200, **size),
        "roberta": lambda: transformers.RobertaConfig(
            vocab_size=400, max_position_embeddings=202, type_vocab_size=1, pad_token_id=1, **size
        ),
        "distilbert": lambda: transformers.DistilBertConfig(
            vocab_size=500, max_position_embeddings=200, dim=48, n_layers=2, n_heads=4, hidden_dim=96
        ),
    }
    made = transformers.AutoModelForQuestionAnswering.from_config(configs[kind]()).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    made.save_pretrained(path)
    (roberta_tokenizer() if kind == "roberta" else bert_tokenizer()).save(str(path / "tokenizer.json"))
    return path


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: folder_of(kind, tmp_path_factory.mktemp(kind)) for kind in KINDS}


@pytest.fixture(scope="module")
def readers(folders: dict[str, Path]) -> dict[str, NativeQuestionAnswering]:
    return {kind: NativeQuestionAnswering(folder, dtype="float32", device="cpu") for kind, folder in folders.items()}


texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=40).map(" ".join)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    question=st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join),
    context=texts,
    kind=st.sampled_from(["bert", "roberta"]),
    size=st.integers(90, 200),
    stride=st.integers(0, 20),
)
def test_windows_are_those_the_tokenizers_library_cuts(
    readers: dict[str, NativeQuestionAnswering], question: str, context: str, kind: str, size: int, stride: int
) -> None:
    reader = readers[kind]
    asked = len(reader.tokenizer.encode(question, add_special_tokens=False))
    if size - asked - 4 <= stride:
        return
    windows = reader.windows(question, context, AnswerRequest(max_seq_len=size, doc_stride=stride, max_answer_len=1))
    theirs = Tokenizer.from_str(reader.tokenizer.to_str())
    theirs.enable_truncation(size, stride=stride, strategy="only_second")
    first = theirs.encode(question, context)
    expected = [first, *first.overflowing]
    assert [window.ids for window in windows] == [encoding.ids for encoding in expected]
    if kind == "bert":
        assert [window.types for window in windows] == [encoding.type_ids for encoding in expected]
    for window, encoding in zip(windows, expected, strict=True):
        for place in range(len(window.words)):
            word = encoding.token_to_word(window.first + place)
            assert tuple(window.words[place]) == encoding.word_to_chars(word, 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_scores_equal_transformers_for_texts_laid_end_to_end(folders: dict[str, Path], backend: str, kind: str) -> None:
    theirs = transformers.AutoModelForQuestionAnswering.from_pretrained(folders[kind]).eval()
    reader = NativeQuestionAnswering(folders[kind], dtype="float32", backend=backend)
    windows = [w for n in (1, 3, 30) for w in reader.windows("Who sold the loaves?", TEXT[:200] * n, AnswerRequest())]
    assert len({len(window.ids) for window in windows}) > 2
    typed = [window.types for window in windows] if kind == "bert" else None
    with torch.inference_mode():
        found = reader.exact([window.ids for window in windows], typed)
        for window, scored in zip(windows, found, strict=True):
            types = {"token_type_ids": torch.tensor([window.types])} if kind == "bert" else {}
            expected = theirs(input_ids=torch.tensor([window.ids]), **types)
            scores = torch.from_numpy(scored)
            torch.testing.assert_close(scores[:, 0], expected.start_logits[0], atol=2e-4, rtol=1e-5)
            torch.testing.assert_close(scores[:, 1], expected.end_logits[0], atol=2e-4, rtol=1e-5)


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "relu"])
def test_the_packed_encoder_is_the_plain_one(activation: str) -> None:
    torch.manual_seed(1)
    config = EncoderConfig(vocab_size=50, context_length=160, n_layers=2, n_heads=4, d_model=64, d_ff=128)
    plain = QuestionAnsweringModel(EncoderConfig(**{**vars(config), "activation": activation})).eval().encoder
    for parameter in plain.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    tokens = torch.randint(0, 50, (150,)).tolist()
    with torch.inference_mode():
        expected = plain(torch.tensor([tokens]))[0]
        [_, exact] = PackedEncoder(plain, torch.float32)([tokens[:7], tokens])
        [_, fast] = PackedEncoder(plain, torch.bfloat16)([tokens[:7], tokens])
    torch.testing.assert_close(exact, expected, atol=1e-5, rtol=1e-4)
    assert float((fast - expected).std() / expected.std()) < 0.02
    with pytest.raises(IndexError, match="context of 160"):
        PackedEncoder(plain, torch.float32)([[0] * 161])


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_bfloat16_answers_as_float32_does(
    folders: dict[str, Path], readers: dict[str, NativeQuestionAnswering], kind: str
) -> None:
    fast = NativeQuestionAnswering(folders[kind], dtype="bfloat16", device="cpu")
    random = np.random.default_rng(0)
    again = 0
    for _ in range(40):
        question, context = (" ".join(random.choice(WORDS[:-1], n)) for n in (4, 60))
        how = AnswerRequest(top_k=2, no_answer=bool(random.integers(2)))
        [found], [expected] = fast.read([(question, context)], how), readers[kind].read([(question, context)], how)
        again += found.reread
        assert [(a.text, a.start) for a in found.answers] == [(a.text, a.start) for a in expected.answers]
        assert [a.score for a in found.answers] == pytest.approx([a.score for a in expected.answers], rel=0.2)
    assert 0 < again  # close calls there were, and they were decided in float32


def test_questions_read_together_are_answered_as_alone(readers: dict[str, NativeQuestionAnswering]) -> None:
    pairs = [("Who?", TEXT), ("What did the baker put there?", TEXT * 3), ("When?", TEXT[:60]), ("Who?", TEXT * 2)]
    together = readers["distilbert"].read(pairs, AnswerRequest(top_k=3))
    for pair, found in zip(pairs, together, strict=True):
        [alone] = readers["distilbert"].read([pair], AnswerRequest(top_k=3))
        assert [(a.text, a.start, a.end) for a in found.answers] == [(a.text, a.start, a.end) for a in alone.answers]
        assert all(pair[1][a.start : a.end] == a.text for a in found.answers)


@pytest.fixture
def treasure(tmp_path: Path) -> Path:
    """A reader that finds the word "treasure": its layers add nothing, and its head looks for that one embedding."""
    tokenizer = bert_tokenizer()
    config = EncoderConfig(
        vocab_size=500, context_length=512, n_types=0, n_layers=1, n_heads=1, d_model=16, d_ff=16, pooler=False
    )
    model = QuestionAnsweringModel(config)
    for name, parameter in model.named_parameters():
        if "norm.weight" not in name:
            torch.nn.init.zeros_(parameter)
    [token] = tokenizer.encode("treasure", add_special_tokens=False).ids
    with torch.no_grad():
        model.encoder.embedding.weight[:, 0] = 1.0
        model.encoder.embedding.weight[token, 0], model.encoder.embedding.weight[token, 1] = 0.0, 1.0
        model.spans.weight[:, 1] = 10.0
    layout.save(model, tmp_path, layout="distilbert")
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_a_long_text_gives_the_answer_of_a_short_one(treasure: Path) -> None:
    reader = NativeQuestionAnswering(treasure, device="cpu")
    short = "the baker put the treasure under the mat"
    filler = "nobody was there before sunrise because the old man sold loaves. "
    [alone] = reader.read([("what?", short)], AnswerRequest())
    for before, behind in ((0, 200), (57, 143), (200, 0)):
        context = filler * before + short + ". " + filler * behind
        for how in (AnswerRequest(), AnswerRequest(max_seq_len=60, doc_stride=16), AnswerRequest(no_answer=True)):
            [found] = reader.read([("what?", context)], how)
            assert found.windows > 5
            assert found.answers[0].text == alone.answers[0].text == "treasure"
            assert found.answers[0].start == context.index("treasure")


def test_a_megabyte_is_read_in_windows_and_progress_is_told(treasure: Path) -> None:
    context = "nobody was there before sunrise because the old man sold loaves. " * 16_000
    middle = len(context) // 2
    context = context[:middle] + " treasure " + context[middle:]
    assert len(context) > 1_000_000
    told: list[Event] = []
    with listening(told.append):
        [found] = NativeQuestionAnswering(treasure, device="cpu").read(
            [("what?", context)], AnswerRequest(no_answer=True)
        )
    assert found.answers[0].text == "treasure"
    assert context[found.answers[0].start : found.answers[0].end] == "treasure"
    steps = [event.done for event in told if event.stage == "reading"]
    assert steps == sorted(steps)
    assert steps[-1] == found.windows > 700


def test_what_cannot_be_read_is_said_plainly(treasure: Path, readers: dict[str, NativeQuestionAnswering]) -> None:
    reader = NativeQuestionAnswering(treasure, device="cpu")
    with pytest.raises(BadInput, match="question is 600 tokens long, and the model reads 384 at once"):
        reader.read([("the " * 600, TEXT)], AnswerRequest())
    with pytest.raises(BadInput, match="nothing the model can read"):
        reader.read([("who?", "\x00\x01")], AnswerRequest())
    # Room for the whole text is room enough.
    assert reader.read([("the " * 370, "treasure")], AnswerRequest())[0].answers[0].text == "treasure"


def test_a_tokenizer_that_frames_no_pairs_is_refused(treasure: Path) -> None:
    tokenizer = Tokenizer.from_file(str(treasure / "tokenizer.json"))
    tokenizer.post_processor = processors.ByteLevel()
    tokenizer.save(str(treasure / "tokenizer.json"))
    with pytest.raises(BadCheckpoint, match="frames no question"):
        NativeQuestionAnswering(treasure, device="cpu")


def test_windows_are_grouped_in_order() -> None:
    groups = engine._groups([300, 400, 200, 768, 900, 10])
    assert groups == [[0, 1], [2], [3], [4], [5]]
