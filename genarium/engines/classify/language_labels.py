"""Labels by a generative model: each is scored as what could come next, so that no reply can be misread."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tokenizers import Encoding

from genarium.decoding.labels import log_likelihoods
from genarium.decoding.ranking import log_softmax
from genarium.engines.text.native import NativeText
from genarium.errors import BadInput

TEMPLATE = "Text: {text}\nLabel:"
CONTENT_FREE = "N/A"
CLOSING = "\n"


class LanguageModelLabels:
    """softmax over the labels of log p(label | prompt); the prompt is instruction, examples and the text in `template`.

    With `calibrate`, log p(label | the same prompt around N/A) is taken off first (Zhao et al. 2021,
    arXiv:2102.09690; with no more than a scale for each label it is the division of Holtzman et al. 2021,
    arXiv:2104.08315): what the model would say anyway no longer counts. A text that does not fit beside the examples
    is read up to where it fits, and counted in `n_cut`. Raises BadInput where the examples leave no room.
    """

    def __init__(
        self,
        engine: NativeText,
        labels: Sequence[str],
        examples: Sequence[tuple[str, str]] = (),
        *,
        template: str | None = None,
        calibrate: bool = False,
    ):
        self.engine, self.labels, self.context, self.n_cut = engine, list(labels), engine.context, 0
        self.template = TEMPLATE if template is None else template.rstrip()  # a label brings its space
        if "{text}" not in self.template:
            raise BadInput(f"template must say where the text goes, as in {TEMPLATE!r}; got {self.template!r}")
        self.continuations = continuations(engine, labels)
        # Each block begins with its line breaks, so that what all prompts share is the same tokens in each.
        blocks = [f"Choose the label of each text: {', '.join(labels)}."]
        blocks += [f"{self._around(text)} {label}" for text, label in examples]
        self.start = "\n\n".join(blocks) + "\n\n"
        longest = max(map(len, self.continuations))
        self.room = self.context - longest + 1
        alone = len(self._encode("").ids)
        if alone >= self.room:
            raise BadInput(
                f"labels and examples take {alone} of the {self.context} tokens this model reads at once; "
                "give fewer or shorter examples"
            )
        self.prior = np.zeros(len(labels))
        if calibrate:
            self.prior = self.log_likelihoods([CONTENT_FREE])[0]
        seen = f"{len(examples)} examples in the prompt" if examples else "zero-shot, no example in the prompt"
        self.way = f"a generative model whose next words are scored over the labels alone; {seen}" + (
            f"; calibrated on {CONTENT_FREE!r}" if calibrate else ""
        )

    def log_probabilities(self, texts: Sequence[str]) -> np.ndarray:
        scores = self.log_likelihoods(texts) - self.prior
        return log_softmax(scores)

    def log_likelihoods(self, texts: Sequence[str]) -> np.ndarray:
        """log p(label | prompt of the text), in nats, (len(texts), L) float64."""
        prompts = [self._prompt(text) for text in texts]
        self.engine.check_vocabulary([*prompts, *self.continuations])
        return log_likelihoods(self.engine.decoder, prompts, self.continuations)

    def _around(self, text: str) -> str:
        return self.template.replace("{text}", text)

    def _encode(self, text: str) -> Encoding:
        [encoding] = self.engine.tokenizer.encode_batch([self.start + self._around(text)])
        return encoding

    def _prompt(self, text: str) -> list[int]:
        """The prompt's tokens; of a text that is too long, as many tokens as fit."""
        encoding = self._encode(text)
        if len(encoding) > self.room:
            self.n_cut += 1
        begin = len(self.start) + self.template.index("{text}")
        while (over := len(encoding) - self.room) > 0:
            inside = [a - begin for a, _ in encoding.offsets if begin <= a < begin + len(text)]
            text = text[: inside[max(0, len(inside) - over)]]
            encoding = self._encode(text)  # the cut may be read as other tokens than before
        ids: list[int] = encoding.ids
        return ids


def continuations(engine: NativeText, labels: Sequence[str]) -> list[list[int]]:
    """Each label's tokens after a prompt, a space before it.

    Where one begins as another ends ('spam', 'spammer'), all get a line's end: the shorter would else always win.
    """
    before = len(engine.tokenizer.encode("Label:", add_special_tokens=False).ids)

    def behind(closing: str) -> list[list[int]]:
        whole = [engine.tokenizer.encode(f"Label: {label}{closing}", add_special_tokens=False).ids for label in labels]
        return [ids[before:] for ids in whole]

    made = behind("")
    ambiguous = any(a is not b and a == b[: len(a)] for a in made for b in made)
    made = behind(CLOSING) if ambiguous else made
    for label, ids in zip(labels, made, strict=True):
        if not ids:
            raise BadInput(f"label {label!r} has no token this model knows; name it otherwise")
    return made
