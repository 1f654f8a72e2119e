"""Diffusers' text-to-image folders in miniature: the published layouts and classes, random weights."""
