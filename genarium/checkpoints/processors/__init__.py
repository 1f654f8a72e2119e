"""What stands between words or images and a network: tokenizers, chat templates, image processors."""
