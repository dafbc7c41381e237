from typing import Annotated, Literal

from ninja import Schema
from pydantic import Field

WebrtcId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w.:-]+$")]


class Candidate(Schema):
    """RTCIceCandidate.toJSON(); an empty ``candidate`` ends them."""

    candidate: Annotated[str, Field(max_length=2000)] = ""
    sdpMid: str | None = None
    sdpMLineIndex: int | None = None


class Offer(Schema):
    """A session description (``type: "offer"``), or a trickled candidate (``type: "ice-candidate"``)."""

    type: Literal["offer", "ice-candidate"]
    webrtc_id: WebrtcId
    sdp: str | None = None
    candidate: Candidate | None = None


class Answer(Schema):
    sdp: str
    type: Literal["answer"] = "answer"
    webrtc_id: str
    token: str | None = None
    """For callers without cookies: send it as ``Authorization: Bearer …`` in later calls about this session."""


class Success(Schema):
    status: Literal["success"] = "success"


class Connection(Schema):
    webrtc_id: WebrtcId
