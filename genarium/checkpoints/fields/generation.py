"""`generation_config.json`: how a checkpoint's authors would have it write."""

from __future__ import annotations

from typing import ClassVar

from genarium.checkpoints.fields import Declared, Said, TokenId, TokenIds, Unneeded, Words


class GenerationFields(Declared, published="GenerationConfig"):
    file: ClassVar = "generation_config.json"
    ignored: ClassVar = frozenset({"_commit_hash", "_from_model_config", "trust_remote_code", "chat_format"})

    eos_token_id: TokenIds = None
    bos_token_id: Unneeded = None
    pad_token_id: Unneeded = None
    suppress_tokens: list[TokenId] | None = None
    begin_suppress_tokens: list[TokenId] | None = None
    stop_strings: Words | list[Words] | None = None

    # Settings that the caller has too; and whether to sample, which is temperature 0 or not.
    do_sample: Said = None
    temperature: Said = None
    top_k: Said = None
    top_p: Said = None
    min_p: Said = None
    repetition_penalty: Said = None

    # Ways to write that are not known here.
    bad_words_ids: Said = None
    constraints: Said = None
    dola_layers: Said = None
    encoder_repetition_penalty: Said = None
    epsilon_cutoff: Said = None
    eta_cutoff: Said = None
    exponential_decay_length_penalty: Said = None
    force_words_ids: Said = None
    forced_bos_token_id: Said = None
    forced_eos_token_id: Said = None
    guidance_scale: Said = None
    min_length: Said = None
    min_new_tokens: Said = None
    no_repeat_ngram_size: Said = None
    num_beam_groups: Said = None
    num_beams: Said = None
    penalty_alpha: Said = None
    sequence_bias: Said = None
    token_healing: Said = None
    top_h: Said = None
    typical_p: Said = None
    watermarking_config: Said = None

    # How long, of beams alone, of encoder-decoders, how fast, and what is told beside the text.
    assistant_confidence_threshold: Unneeded = None
    assistant_early_exit: Unneeded = None
    assistant_ensemble_weight: Unneeded = None
    assistant_lookbehind: Unneeded = None
    cache_config: Unneeded = None
    cache_implementation: Unneeded = None
    compile_config: Unneeded = None
    continuous_batching_config: Unneeded = None
    decoder_start_token_id: Unneeded = None
    disable_compile: Unneeded = None
    diversity_penalty: Unneeded = None
    early_stopping: Unneeded = None
    encoder_no_repeat_ngram_size: Unneeded = None
    is_assistant: Unneeded = None
    length_penalty: Unneeded = None
    low_memory: Unneeded = None
    max_cache_len: Unneeded = None
    max_length: Unneeded = None
    max_matching_ngram_size: Unneeded = None
    max_new_tokens: Unneeded = None
    max_time: Unneeded = None
    num_assistant_tokens: Unneeded = None
    num_assistant_tokens_schedule: Unneeded = None
    num_return_sequences: Unneeded = None
    output_attentions: Unneeded = None
    output_hidden_states: Unneeded = None
    output_logits: Unneeded = None
    output_scores: Unneeded = None
    prefill_chunk_size: Unneeded = None
    prompt_lookup_num_tokens: Unneeded = None
    remove_invalid_values: Unneeded = None
    renormalize_logits: Unneeded = None
    return_dict_in_generate: Unneeded = None
    speculation_type: Unneeded = None
    target_lookbehind: Unneeded = None
    transformers_version: Unneeded = None
    use_cache: Unneeded = None
    use_mtp: Unneeded = None
