from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import BaseModel, Field

from streams.media.transports.diagnosis import Stage

CandidateKind = Literal["host", "srflx", "prflx", "relay", "mdns"]
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


class Trickled(Success):
    candidates: list[dict[str, Any]] | None = None
    """The server's own that were found after its answer, for ``addIceCandidate``. The end of yours (an empty
    ``candidate``) is answered once no more can come."""


class Connection(Schema):
    webrtc_id: WebrtcId


class Report(Schema):
    """What a client saw of a connection that failed."""

    stage: Stage
    candidates: Annotated[dict[CandidateKind, Annotated[int, Field(ge=0, le=999)]], Field(max_length=5)] = {}
    """How many of its own, by kind."""
    errors: Annotated[list[Annotated[int, Field(ge=300, le=999)]], Field(max_length=8)] = []
    """Codes of ``icecandidateerror`` events."""


class Closing(Connection):
    report: Report | None = None


class InputBody(BaseModel, extra="allow"):  # a Schema of ninja's loses what is extra
    """The inputs by name, beside ``webrtc_id`` or in ``inputs``; there also as a list, in field order."""

    webrtc_id: WebrtcId
    inputs: dict[str, Any] | list[Any] | None = None

    def values(self) -> dict[str, Any] | list[Any]:
        return self.inputs if self.inputs is not None else dict(self.__pydantic_extra__ or {})


class Trigger(Connection):
    text: Annotated[str, Field(max_length=10_000)] = ""
    """What was typed; empty for push-to-talk."""
