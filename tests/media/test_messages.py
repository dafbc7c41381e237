import json

from streams.media.messages import encode, log, message


def test_the_shape_on_the_wire() -> None:
    assert encode(message("error", "no")) == '{"type":"error","data":"no"}'
    assert encode(log("started_talking")) == '{"type":"log","data":"started_talking"}'


def test_data_is_there_also_when_there_is_none() -> None:
    assert message("send_input") == {"type": "send_input", "data": ""}


def test_any_text_survives() -> None:
    text = 'quote " newline \n snow ☃ emoji 🎤'
    assert json.loads(encode(message("warning", text)))["data"] == text
