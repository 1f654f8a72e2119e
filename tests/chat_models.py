"""Published chat templates, and small random checkpoints that carry them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

STORY = (
    "Der Fuchs läuft über den Hügel – 狐が丘を走る 🦊. The fox ran over the hill and sang to the moon. "
    "user assistant system im_start im_end INST eot_id start_header_id end_header_id Hello! How are you? "
)

# As published with Qwen/Qwen2.5-0.5B-Instruct (its branch for tools left out), meta-llama/Meta-Llama-3-8B-Instruct,
# mistralai/Mistral-7B-Instruct-v0.2 and HuggingFaceH4/zephyr-7b-beta.
QWEN = r"""{%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}
{%- else %}
    {{- '<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
"""  # noqa: E501
LLAMA_3 = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + "
    "message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
    "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
)
ZEPHYR = (
    "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + message['content'] + "
    "eos_token }}\n{% elif message['role'] == 'system' %}\n{{ '<|system|>\n' + message['content'] + eos_token }}\n"
    "{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}"
    "\n{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}"
)
# What templates use beyond that: the date, a namespace, loop controls, JSON, the mark around replies for training.
EVERYTHING = (
    "{{ bos_token }}{% set ns = namespace(turns=0) %}Today is {{ strftime_now('%d %B %Y') }}.\n"
    "{% for message in messages %}{% if message.content == 'skip' %}{% continue %}{% endif %}"
    "{% set ns.turns = ns.turns + 1 %}<|im_start|>{{ message.role }} {{ ns.turns }}\n"
    "{% if message.role == 'assistant' %}{% generation %}{{ message.content }}<|im_end|>{% endgeneration %}"
    "{% else %}{{ {'said': message.content} | tojson }}<|im_end|>{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True)
class Style:
    """A template with the tokens it is written for; `pieces` makes a SentencePiece-like tokenizer."""

    template: str
    special: tuple[str, ...]
    bos: str | None
    eos: str
    pieces: bool = False
    system: bool = True


STYLES = {
    "qwen": Style(QWEN, ("<|endoftext|>", "<|im_start|>", "<|im_end|>"), None, "<|im_end|>"),
    "llama-3": Style(
        LLAMA_3,
        ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        "<|begin_of_text|>",
        "<|eot_id|>",
    ),
    "mistral": Style(MISTRAL, ("<unk>", "<s>", "</s>"), "<s>", "</s>", pieces=True, system=False),
    "zephyr": Style(ZEPHYR, ("<unk>", "<s>", "</s>"), "<s>", "</s>", pieces=True),
    "everything": Style(EVERYTHING, ("<s>", "<|im_start|>", "<|im_end|>"), "<s>", "<|im_end|>"),
}


def tokenizer_for(style: Style) -> Tokenizer:
    """Byte-level BPE, or BPE over pieces with their leading space, as Llama 2 and Mistral have it."""
    special = [AddedToken(token, special=True, normalized=False) for token in style.special]
    if not style.pieces:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
    else:
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        tokenizer.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
        letters = sorted(set(STORY.replace(" ", "▁")) | {chr(c) for c in range(33, 127)})
        byte_pieces = [f"<0x{b:02X}>" for b in range(256)]
        trainer = trainers.BpeTrainer(
            vocab_size=700,
            special_tokens=[*special, *(AddedToken(piece, special=False) for piece in byte_pieces)],
            initial_alphabet=letters,
            show_progress=False,
        )
    tokenizer.train_from_iterator([STORY] * 3, trainer)
    if style.pieces:  # bytes are pieces of the vocabulary, not added tokens
        raw = json.loads(tokenizer.to_str())
        raw["added_tokens"] = [token for token in raw["added_tokens"] if token["content"] in style.special]
        tokenizer = Tokenizer.from_str(json.dumps(raw))
    return tokenizer


def make_checkpoint(folder: Path, style: Style, *, context: int = 256, in_config: bool = False) -> Path:
    """A random Llama with this template, in the layout that is published; `in_config`: the older way to keep it."""
    tokenizer = tokenizer_for(style)
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=context,
            bos_token_id=0,
            eos_token_id=0,
        )
    )
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    # Pieces that are no text alone (single bytes) are never likeliest, so that replies are whole characters.
    broken = [i for i in range(tokenizer.get_vocab_size()) if "\ufffd" in tokenizer.decode([i])]
    model.lm_head.weight.data[broken] = 0
    model.generation_config.eos_token_id = [0, tokenizer.token_to_id(style.eos)]
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": style.bos, "eos_token": style.eos}
    if in_config:
        config["chat_template"] = style.template
    else:
        (folder / "chat_template.jinja").write_text(style.template)
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder
