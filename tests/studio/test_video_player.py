"""Videos in the studio, in a real browser: seen as they form, played, frame by frame, two at the same moment, saved."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av

from tests.studio.test_studio import Look, ask_for, entries, until

CLIP = {"model": "clips", "frames": 4, "steps": 3}
SEEN = """(video) => {
    const canvas = Object.assign(document.createElement('canvas'), {width: 32, height: 32});
    const pen = canvas.getContext('2d');
    pen.drawImage(video, 0, 0, 32, 32);
    return [...pen.getImageData(0, 0, 32, 32).data];
}"""
STILL = "[...document.querySelectorAll('main video')].every(one => one.readyState > 1 && !one.seeking && one.paused)"


def press(page: Any, bar: Any, *keys: str) -> str:
    """Press keys on the controls; which frame is shown then."""
    for key in keys:
        bar.get_by_role("slider").press(key)
    until(page, STILL)
    return str(bar.locator("output").inner_text())


def frames(page: Any, *rates: int) -> list[int]:
    """Which frame each video shows, from 0; a browser may say of one at its last frame that it has ended."""
    at = page.evaluate("[...document.querySelectorAll('main video')].map(one => one.currentTime)")
    return [min(3, int(time * fps)) for time, fps in zip(at, rates, strict=True)]


def test_a_video_forms_plays_and_is_seen_frame_by_frame(look: Look, studio_home: Path) -> None:
    page = look(reduced_motion="no-preference")
    page.evaluate(
        """() => { window.formed = 0; window.ended = 0; new MutationObserver(() => {
            if (document.querySelector('img.forming')?.src.startsWith('data:image/png')) formed += 1;
        }).observe(document.body, {subtree: true, childList: true, attributes: true});
        document.addEventListener('ended', () => { ended += 1 }, true) }"""
    )
    card = ask_for(page, "video", "a flying bird", fps=4, **CLIP)
    assert page.evaluate("formed") > 1, "frames are seen on their way"
    made = entries(studio_home, task="video")[0]
    until(page, "ended > 1")  # it began by itself, and begins again
    assert abs(page.evaluate("document.querySelector('.run video').duration") - 1.0) < 0.01
    bar = card.locator(".controls")
    bar.get_by_role("button", name="Pause").click()
    bar.get_by_label("loop").uncheck()
    seen = []
    for place, key in enumerate(("Home", "ArrowRight", "ArrowRight", "ArrowRight"), 1):
        assert press(page, bar, key) == f"{place} / 4"
        seen.append(page.locator(".run video").evaluate(SEEN))
    with av.open(str(made.path), "r") as opened:
        kept = [frame.to_ndarray(format="rgba").reshape(-1) for frame in opened.decode(video=0)]
    for shown in seen:
        off = [abs(frame.astype(int) - shown).mean() for frame in kept]
        assert min(range(4), key=off.__getitem__) == seen.index(shown), (
            "the frame that is named is the one that is seen"
        )
    assert press(page, bar, "ArrowRight") == "1 / 4", "after the last comes the first"
    bar.get_by_role("button", name="The frame before").click()
    assert press(page, bar) == "4 / 4"
    bar.get_by_role("button", name="Play").click()
    until(page, STILL)
    assert bar.locator("output").inner_text() == "4 / 4", "played once from its beginning, without the loop"

    for name, kind, form in (("GIF", "image/gif", "gif"), ("WebM", "video/webm", "matroska,webm")):
        address = card.get_by_role("link", name=name).get_attribute("href")
        saved = page.context.request.get(f"{page.evaluate('location.origin')}{address}")
        assert saved.headers["content-type"] == kind
        with av.open(io.BytesIO(saved.body()), "r") as opened:
            assert opened.format.name == form
    with page.expect_download() as saving:
        card.get_by_role("link", name="Contact sheet").click()
    assert saving.value.suggested_filename == f"video-{made.id}.png"

    page.goto(f"{page.url.partition('#')[0]}#/history")
    until(page, f"document.querySelector('[data-artefact=\"{made.id}\"] img')?.naturalWidth === 32")
    page.goto(f"{page.url.partition('#')[0]}#/artefact/{made.id}")
    page.wait_for_selector(".detail .controls")


def test_two_videos_are_compared_at_the_same_moment(look: Look) -> None:
    page = look(reduced_motion="reduce")
    for fps in (4, 8):
        card = ask_for(page, "video", "a flying bird", fps=fps, **CLIP)
        assert press(page, card.locator(".controls")) == "1 / 4", (
            "where less motion is wished for, nothing begins by itself"
        )
        card.get_by_role("button", name="Compare").click()
    page.wait_for_selector(".side >> nth=1")
    [bar] = page.locator(".controls").all()
    assert press(page, bar, "Home") == "1 / 8"
    assert press(page, bar, "ArrowRight", "ArrowRight", "ArrowRight") == "4 / 8"
    assert frames(page, 4, 8) == [1, 3], "each at its frame of that moment"
    assert press(page, bar, "End") == "8 / 8"
    assert frames(page, 4, 8) == [3, 3], "the shorter one waits"
    assert page.locator(".side.chosen").count() == 0, "on the controls the arrows don't choose"
    bar.get_by_role("button", name="Play").click()
    page.evaluate(
        """() => { window.off = []; const [long, short] = document.querySelectorAll('main video');
        const look = () => {
            if (![long, short].some(one => one.seeking || one.paused)) off.push(long.currentTime - short.currentTime);
            requestAnimationFrame(look);
        };
        look() }"""
    )
    until(page, "off.length > 20")
    off = sorted(abs(one) for one in page.evaluate("off"))
    assert off[len(off) // 2] <= 1 / 8
    page.locator("h1").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".side.chosen")
