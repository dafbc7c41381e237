"""Errors that people meet.

    StreamsError                  has a wire code, an HTTP status hint and a sentence for people
    ├── OfferError                the offer cannot be answered                            400
    │   ├── OfferTooLarge                                                                  413
    │   └── UnsupportedMedia      it asks for media that the stream does not have         400
    ├── InvalidCandidate          FastRTC's ``invalid_candidate_format``                  200
    ├── UnknownConnection         no such session, or it is somebody else's               200
    ├── ConnectionAlreadyExists   the id is in use                                        200
    ├── ConnectionClosed          the session has ended                                   200
    ├── ConcurrencyLimitReached   the stream is full; carries ``limit``                   200
    ├── ServerFull                this worker is full                                     503
    ├── PortsExhausted            no UDP port is left in the configured range             503
    ├── NoCandidates              the server has no address to offer a client             503
    └── ShuttingDown              this worker takes no new sessions                       503
    WebRTCError                   raised by a handler: its text is shown to the client

The codes that FastRTC has answer 200, because its clients read the body and not the status.
"""

from __future__ import annotations

from typing import Any


class StreamsError(Exception):
    """A refusal with a wire ``code``, an HTTP ``status`` hint and ``detail``, a sentence for people."""

    code = "error"
    status = 400
    detail = "The request could not be carried out."

    def __init__(self, detail: str = "", **meta: Any) -> None:
        self.detail = detail or self.detail
        self.meta = meta
        super().__init__(self.detail)

    def body(self) -> dict[str, Any]:
        """The failure on the wire. FastRTC's clients compare its own word for word, so those carry nothing more."""
        detail = {} if self.status == 200 else {"detail": self.detail}
        return {"status": "failed", "meta": {"error": self.code, **self.meta, **detail}}


class OfferError(StreamsError):
    code = "invalid_offer"
    detail = "The offer is not a session description that can be answered."


class OfferTooLarge(OfferError):
    code = "offer_too_large"
    status = 413
    detail = "The offer is larger than any browser's. Send only the session description."


class UnsupportedMedia(OfferError):
    code = "unsupported_media"


class InvalidCandidate(StreamsError):
    code = "invalid_candidate_format"
    status = 200
    detail = "The ICE candidate could not be read."


class UnknownConnection(StreamsError):
    code = "unknown_connection"
    status = 200
    detail = "There is no such connection. Connect first."


class ConnectionAlreadyExists(StreamsError):
    code = "connection_already_exists"
    status = 200
    detail = "This connection id is in use. Choose another."


class ConnectionClosed(StreamsError):
    code = "connection_closed"
    status = 200
    detail = "The connection has ended. Connect again."


class ConcurrencyLimitReached(StreamsError):
    code = "concurrency_limit_reached"
    status = 200
    detail = "Too many people are using this stream. Try again in a moment."


class ServerFull(StreamsError):
    code = "server_full"
    status = 503
    detail = "The server has as many sessions as it can carry. Try again in a moment."


class PortsExhausted(StreamsError):
    code = "ports_exhausted"
    status = 503
    detail = "The server has no network port left for another connection. Try again in a moment."


class NoCandidates(StreamsError):
    code = "no_candidates"
    status = 503
    detail = "The server cannot be reached for sound and picture: it has no network address to offer."


class ShuttingDown(StreamsError):
    code = "shutting_down"
    status = 503
    detail = "The server is restarting. Try again in a moment."


class WebRTCError(Exception):
    """Raise it in a handler to show ``message`` to the client; the session goes on."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)
