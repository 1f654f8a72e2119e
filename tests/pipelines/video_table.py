"""The table of docs/video.md: every kind of folder, and what its configs say that it makes.

`python -m tests.pipelines.video_table` writes it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from genarium.engines.drawing import written
from genarium.engines.video.diffusers.engine import DiffusersVideo
from tests.pipelines.videos import FOLDERS

DOCS = Path(__file__).parents[2] / "docs" / "video.md"
BEGIN, END = "<!-- begin: python -m tests.pipelines.video_table -->", "<!-- end -->"
HEAD = """| folder | its class | starts from | sizes | frames | told fps | samplers | guidance | negative prompt |
|---|---|---|---|---|---|---|---|---|"""


def line(name: str, folder: Path) -> str:
    engine = DiffusersVideo(folder, name=name, dtype="float32", device="cpu")
    limits, modes = engine.limits, engine.modes
    starts = ["words"] if limits.text else []
    starts += [("a first and a last picture" if modes.needs_last else "a picture")] if limits.init else []
    last = ", and a last one" if limits.last and not modes.needs_last else ""
    sizes = f"{written(limits.size)} alone" if limits.fixed else f"multiples of {limits.multiple}"
    step = limits.frame_step
    frames = "as many as trained" if limits.fixed else "any" if step == 1 else f"{step}k + 1"
    most = f", at most {limits.most_frames}" if limits.most_frames == 32 else ""
    cells = [
        name,
        f"`{engine.folder.kind}`",
        " or ".join(starts) + last,
        sizes,
        frames + most,
        "yes" if engine.family.told_fps else "no",
        ", ".join(limits.samplers),
        "yes" if "guidance" in limits.options else "no",
        f"guidance above {limits.negative_above:g}" if limits.negative else "refused",
    ]
    return f"| {' | '.join(cells)} |"


def written_lines() -> list[str]:
    return DOCS.read_text("utf-8").partition(BEGIN)[2].partition(END)[0].strip().splitlines()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        lines = [line(name, build(Path(folder) / str(at))) for at, (name, build) in enumerate(FOLDERS.items())]
    before, _, rest = DOCS.read_text("utf-8").partition(BEGIN)
    table = "\n".join([HEAD, *lines])
    DOCS.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()
