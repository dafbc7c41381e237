import inspect

import pytest

import streams.media
from streams.media import ReplyOnPause


def test_what_is_announced_is_there() -> None:
    for name in streams.media.__all__:
        assert hasattr(streams.media, name)


@pytest.mark.parametrize(
    "name",
    [
        "AdditionalOutputs",
        "AlgoOptions",
        "AsyncStreamHandler",
        "CloseStream",
        "ReplyOnPause",
        "SileroVadOptions",
        "StreamHandler",
        "WebRTCError",
        "audio_to_float32",
        "audio_to_int16",
        "get_current_context",
        "get_silero_model",
        "wait_for_item",
    ],
)
def test_names_that_code_written_for_fastrtc_imports(name: str) -> None:
    assert name in streams.media.__all__


def test_reply_on_pause_takes_fastrtcs_parameters() -> None:
    parameters = inspect.signature(ReplyOnPause).parameters
    assert list(parameters)[:9] == [
        "fn",
        "startup_fn",
        "algo_options",
        "model_options",
        "can_interrupt",
        "expected_layout",
        "output_sample_rate",
        "output_frame_size",
        "input_sample_rate",
    ]
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    assert defaults["can_interrupt"] is True
    assert (defaults["output_sample_rate"], defaults["input_sample_rate"]) == (24000, 48000)
