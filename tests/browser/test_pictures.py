"""Streams with pictures, seen in Chromium through a fake camera of two colours."""

import re
from pathlib import Path

from playwright.async_api import expect

from tests.browser.camera import BLUE, GREEN, RED, write_film
from tests.browser.visitor import Visitors
from tests.speech import sentence, silence, write_wav

RED_ABOVE_BLUE = "top[0] > 120 && top[2] < 90 && bottom[2] > 120 && bottom[0] < 90"
BLUE_ABOVE_RED = "top[2] > 120 && top[0] < 90 && bottom[0] > 120 && bottom[2] < 90"


async def test_flip_turns_the_camera_upside_down(visitors: Visitors, tmp_path: Path) -> None:
    visitor = await visitors.arrive("/streams/flip/", camera=write_film(tmp_path / "film.y4m", RED, BLUE))
    await visitor.start()
    await visitor.sees_state("listening")
    await visitor.sees(BLUE_ABOVE_RED)
    preview = "document.querySelector('video.preview')"
    assert await visitor.page.evaluate(f"{preview}.srcObject === streamPage.outgoing")
    assert "-1" in await visitor.page.evaluate(f"getComputedStyle({preview}).transform"), "the preview is a mirror"
    await visitor.page.get_by_role("button", name="Turn the camera off").click()
    await visitor.sees("Math.max(...top, ...bottom) < 40")


async def test_the_slider_and_the_choice_change_the_picture(visitors: Visitors, tmp_path: Path) -> None:
    visitor = await visitors.arrive("/streams/camera-filter/", camera=write_film(tmp_path / "film.y4m", RED, GREEN))
    await visitor.page.get_by_label("Effect").select_option("grey")
    await visitor.page.get_by_label("Strength").fill("1")
    await visitor.start()
    await visitor.sees("saturation(top) < 25 && saturation(bottom) < 25")
    await visitor.page.get_by_label("Strength").fill("0")
    await expect(visitor.page.locator('[data-field="strength"] .value')).to_have_text("0")
    await visitor.sees("saturation(top) > 100 && saturation(bottom) > 60")
    await expect(visitor.page.locator('[data-output="number"]')).to_have_text(re.compile(r"^\d+(\.\d+)?$"))


async def test_the_clock_is_watched_without_a_camera(visitors: Visitors) -> None:
    visitor = await visitors.arrive("/streams/clock/", allow=False)
    await visitor.start()
    await visitor.sees_state("listening")
    await visitor.sees("window.before = all")
    await visitor.sees("all !== window.before")
    assert await visitor.page.evaluate("streamPage.outgoing") is None


async def test_the_talking_head_is_seen_and_heard(visitors: Visitors, tmp_path: Path) -> None:
    microphone = write_wav(tmp_path / "speech.wav", sentence(4)[1], silence(0.5))
    camera = write_film(tmp_path / "film.y4m", RED, BLUE)
    visitor = await visitors.arrive("/streams/talking-head/", microphone, camera=camera)
    await visitor.start()
    await visitor.sees(RED_ABOVE_BLUE)
    louder = "({detail}) => detail.rms > 0.01 && done()"
    await visitor.page.evaluate(f"new Promise((done) => streamPage.speakerMeter.addEventListener('level', {louder}))")


async def test_a_stream_that_only_watches_shows_the_camera_and_no_player(visitors: Visitors, tmp_path: Path) -> None:
    visitor = await visitors.arrive("/streams/watcher/", camera=write_film(tmp_path / "film.y4m", RED, RED))
    await visitor.start()
    await expect(visitor.page.locator('[data-output="text"] li').first).to_have_text("red")
    assert await visitor.page.evaluate("streamPage.incoming") is None
    await expect(visitor.page.locator("video.player")).to_have_count(0)


async def test_another_camera_is_used_at_once_and_remembered(visitors: Visitors, tmp_path: Path) -> None:
    visitor = await visitors.arrive("/streams/flip/")
    await visitor.start()
    await visitor.sees_state("listening")
    await visitor.sees("true")  # Chromium may stop encoding when the track is replaced after its very first frame
    session = await visitor.page.evaluate("streamPage.client.id")
    cameras = visitor.page.get_by_label("Camera", exact=True)
    labels = await cameras.locator("option").all_text_contents()
    before = await visitor.page.evaluate("streamPage.outgoing.getVideoTracks()[0].label")
    other = next(label for label in labels if label != before)
    await cameras.select_option(label=other)
    in_use = f"streamPage.outgoing?.getVideoTracks()[0].label === {other!r}"
    await visitor.page.wait_for_function(in_use)
    await visitor.sees("window.before = all")
    await visitor.sees("all !== window.before")
    assert await visitor.page.evaluate("streamPage.client.id") == session
    await visitor.page.reload()
    await visitor.start()
    await visitor.sees_state("listening")
    assert await visitor.page.evaluate(in_use)


async def test_constraints_and_parameters_of_the_stream_are_applied(visitors: Visitors) -> None:
    visitor = await visitors.arrive("/streams/small-camera/")
    set_parameters = """() => {
      const apply = RTCRtpSender.prototype.setParameters;
      RTCRtpSender.prototype.setParameters = function (given) { return apply.call(this, (window.parameters = given)) };
    }"""
    await visitor.page.evaluate(set_parameters)
    await visitor.start()
    await visitor.sees_state("listening")
    await visitor.sees("true")
    settings = await visitor.page.evaluate("streamPage.outgoing.getVideoTracks()[0].getSettings()")
    assert (settings["width"], settings["height"]) == (320, 240)
    parameters = await visitor.page.evaluate("window.parameters")
    assert parameters["degradationPreference"] == "maintain-framerate"
    assert parameters["encodings"][0]["maxBitrate"] == 300_000


async def test_a_missing_camera_is_explained(visitors: Visitors) -> None:
    visitor = await visitors.arrive("/streams/flip/")
    missing = """() => {
      navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotFoundError') };
      navigator.mediaDevices.enumerateDevices = async () => [];
    }"""
    await visitor.page.evaluate(missing)
    await visitor.start()
    await visitor.reads("No camera was found")


async def test_a_refused_camera_is_explained(visitors: Visitors) -> None:
    visitor = await visitors.arrive("/streams/talking-head/", allow=False)
    await visitor.start()
    await visitor.reads("The camera or microphone is blocked")


async def test_a_camera_in_use_is_explained(visitors: Visitors) -> None:
    visitor = await visitors.arrive("/streams/flip/")
    busy = "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotReadableError') }"
    await visitor.page.evaluate(f"() => {{ {busy} }}")
    await visitor.start()
    await visitor.reads("The camera can't be opened. Another program may be using it.")
