"""Writes hand-made inputs of fuzz targets into corpus/TARGET/NAME; for the make_*_corpus.py."""

import pathlib

HERE = pathlib.Path(__file__).resolve().parent


def write(target, inputs):
    """`inputs`: the bytes (or list of numbers) of each input by its name."""
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in inputs.items():
        (folder / name).write_bytes(bytes(content))
