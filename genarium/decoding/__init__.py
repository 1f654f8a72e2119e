"""From next-token logits to text: plain functions of a network, independent of which one it is."""
