"""The marks of stress in a word's phonemes, as the lexicon writes them."""

from __future__ import annotations

PRIMARY, SECONDARY = "ˈ", "ˌ"
VOWELS = frozenset("AIOQWYaiuæɑɒɔəɛɜɪʊʌᵻɐ")
CONSONANTS = frozenset("bdfhjklmnpstvwzðŋɡɹɾʃʒʤʧθT")


def has_stress(said: str) -> bool:
    return PRIMARY in said or SECONDARY in said


def at_least_secondary(said: str) -> str:
    """With a secondary stress before its first vowel, where it has none."""
    return said if has_stress(said) else _before_vowel(said, SECONDARY)


def strong(said: str) -> str:
    """With a primary stress: its secondary one made so, or before its first vowel."""
    if PRIMARY in said:
        return said
    return said.replace(SECONDARY, PRIMARY, 1) if SECONDARY in said else _before_vowel(said, PRIMARY)


def weak(said: str) -> str:
    """With no primary stress."""
    return said.replace(SECONDARY, "").replace(PRIMARY, SECONDARY)


def _before_vowel(said: str, mark: str) -> str:
    place = next((place for place, sound in enumerate(said) if sound in VOWELS), None)
    return said if place is None else f"{said[:place]}{mark}{said[place:]}"
