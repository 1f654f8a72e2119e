"""GGUF files as llama.cpp reads them, where its wheel is there: the native network's log-probabilities, its words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genarium.checkpoints.layouts import gpt
from genarium.checkpoints.processors import tokenizer
from genarium.export.export import export
from tests.conftest import STORY
from tests.exported_models import NETWORKS, made, some

llama = pytest.importorskip("xllamacpp")


def opened(file: Path) -> Any:
    """A server in this process, whose cache is in float32 as ours."""
    asked = llama.CommonParams()
    asked.model.path, asked.n_ctx, asked.n_parallel = str(file), 48, 1
    asked.cpuparams.n_threads = asked.cpuparams_batch.n_threads = 1
    asked.warmup = asked.fit_params = False
    asked.verbosity = 0
    asked.cache_type_k = asked.cache_type_v = llama.ggml_type.GGML_TYPE_F32
    return llama.Server(asked)


def following(server: Any, prompt: str | list[int], vocabulary: int, letter: int) -> tuple[int, np.ndarray]:
    """How many tokens it read, and the log-probability of each that may follow."""
    # The token that is chosen is a letter: of half a character no probabilities would be told.
    asked = {"prompt": prompt, "n_predict": 1, "temperature": 0, "n_probs": vocabulary, "logit_bias": [[letter, 100]]}
    told = server.handle_completions(asked | {"cache_prompt": False})
    told = told if isinstance(told, dict) else json.loads(told)
    found = np.full(vocabulary, -np.inf)
    for one in told["choices"][0]["logprobs"]["content"][0]["top_logprobs"]:
        found[one["id"]] = one["logprob"]
    return told["usage"]["prompt_tokens"], found


@pytest.mark.parametrize(("kind", "changes"), NETWORKS)
def test_llama_cpp_computes_the_same_network(kind: str, changes: dict[str, Any], tmp_path: Path) -> None:
    folder = made(tmp_path / "folder", kind, changes)
    file = export(str(folder), "gguf", dtype="float32", output=str(tmp_path / "model.gguf")).path
    network, words = gpt.load(folder), tokenizer.load(folder)
    size = network.config.vocab_size
    server = opened(file)
    text = STORY[:40] + "it's 1234 é"
    ids = words.encode(text).ids
    for prompt, tokens in ((some()[0].tolist(), some()[0].tolist()), (text, ids)):
        count, found = following(server, prompt, size, words.encode("e").ids[0])
        assert count == len(tokens)
        expected = torch.log_softmax(network(torch.tensor([tokens]))[0, -1], -1).numpy()
        np.testing.assert_allclose(found, expected, atol=2e-3)
