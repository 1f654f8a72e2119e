"""Commands that align a model with what people want, one a file: `align_NAME` in NAME.py is `genarium align NAME`."""
