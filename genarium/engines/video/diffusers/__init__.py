"""Folders of diffusers that make videos from words or from a picture, on that library, which is an extra.

As with pictures (`engines/image/diffusers/`): what a folder's pipeline can't do is refused from its configs before
anything is loaded, what memory is short of is picked from configs and headers, each video comes from a generator of its
own, and bfloat16 is used inside the denoiser alone where a CPU multiplies it. Where the text encoder and the denoisers
don't fit together they take turns, and where a denoiser doesn't fit at all its layers are read as they are needed.
"""
