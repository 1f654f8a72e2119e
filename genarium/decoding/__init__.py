"""From next-token logits to text, images and labels: plain functions of a `Decoder`, whatever network is behind it."""
