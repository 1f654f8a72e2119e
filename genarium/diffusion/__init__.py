"""Noise schedules, training targets, samplers and guidance, independent of any network."""
