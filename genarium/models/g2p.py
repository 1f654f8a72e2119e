"""Letters to phonemes: an encoder-decoder for words that no lexicon has.

Bahdanau et al. 2014 (arXiv:1409.0473) read the letters in both directions; the decoder looks at them after its layer,
as in Luong et al. 2015 (arXiv:1508.04025, section 3.1, "general"), so that a whole word is trained in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

PAD, BEGIN = 0, 1
"""Of letters and phonemes: what fills a row, and ends what is written; what a word's phonemes begin with."""


@dataclass(frozen=True)
class G2PConfig:
    """`letters` and `phonemes` are the symbols from id 2 on, in order."""

    letters: str
    phonemes: str
    embedding: int = 48
    width: int = 112


class G2P(nn.Module):
    """Logits of the next phoneme, (batch, phonemes, symbols), from letters (batch, letters) and the phonemes before."""

    def __init__(self, config: G2PConfig):
        super().__init__()
        self.config = c = config
        self.letters = nn.Embedding(len(c.letters) + 2, c.embedding, padding_idx=PAD)
        self.phonemes = nn.Embedding(len(c.phonemes) + 2, c.embedding)
        self.encoder = nn.GRU(c.embedding, c.width, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(2 * c.width, c.width)
        self.decoder = nn.GRU(c.embedding, c.width, batch_first=True)
        self.look = nn.Linear(c.width, 2 * c.width, bias=False)
        self.joined = nn.Linear(3 * c.width, c.width)
        self.head = nn.Linear(c.width, len(c.phonemes) + 2)

    def forward(self, letters: Tensor, before: Tensor) -> Tensor:
        lengths = (letters != PAD).sum(1)
        packed = nn.utils.rnn.pack_padded_sequence(
            self.letters(letters), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        read, last = self.encoder(packed)
        memory, _ = nn.utils.rnn.pad_packed_sequence(read, batch_first=True, total_length=letters.shape[1])
        begin = torch.tanh(self.bridge(torch.cat((last[0], last[1]), dim=1)))
        states, _ = self.decoder(self.phonemes(before), begin[None])
        scores = self.look(states) @ memory.transpose(1, 2)
        weights = scores.masked_fill((letters == PAD)[:, None], -torch.inf).softmax(-1)
        return self.head(torch.tanh(self.joined(torch.cat((states, weights @ memory), dim=-1))))
