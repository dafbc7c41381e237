"""FastRTC's ``Stream``, so that code written for it ports by its imports. New code calls ``register``."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from django.forms import BaseForm

from streams.live.manager import manager
from streams.live.outbox import Output
from streams.media.outputs import AdditionalOutputs
from streams.registry import RTCConfiguration, register


class Stream:
    """Registers ``handler`` and offers what FastRTC's custom routes call.

    name: of the handler; by default ``ui_args["title"]`` or the function's or class's own name
    additional_inputs: a django.forms.Form class, where FastRTC has Gradio components
    additional_outputs: how the page shows outputs: "text", "number", "json", "chat" or "image", or a list of these
    rtc_configuration, server_rtc_configuration: a dict or a function that returns one; None: the site's settings
    The arguments that concern Gradio are accepted and ignored.
    """

    def __init__(
        self,
        handler: Any,
        *,
        additional_outputs_handler: Callable[..., Any] | None = None,
        mode: str = "send-receive",
        modality: str = "video",
        concurrency_limit: int | None = 10,
        time_limit: float | None = None,
        allow_extra_tracks: bool = False,
        rtp_params: dict[str, Any] | None = None,
        rtc_configuration: RTCConfiguration | None = None,
        server_rtc_configuration: RTCConfiguration | None = None,
        track_constraints: dict[str, Any] | None = None,
        additional_inputs: type[BaseForm] | None = None,
        additional_outputs: str | list[str] | None = None,
        ui_args: Mapping[str, Any] | None = None,
        verbose: bool = True,
        name: str = "",
    ) -> None:
        ui = ui_args or {}
        self.name = name or _slug(str(ui.get("title") or _own_name(handler)))
        register(
            self.name,
            handler,
            modality=modality,
            mode=mode,
            inputs=additional_inputs,
            outputs=additional_outputs,
            concurrency_limit=concurrency_limit,
            time_limit=time_limit,
            allow_extra_tracks=allow_extra_tracks,
            rtp_params=rtp_params,
            rtc_configuration=rtc_configuration,
            server_rtc_configuration=server_rtc_configuration,
            track_constraints=track_constraints,
            **({"title": str(ui["title"])} if ui.get("title") else {}),
            **({"description": str(ui["subtitle"])} if ui.get("subtitle") else {}),
        )

    def set_input(self, webrtc_id: str, *args: Any) -> None:
        """Hand a session's handler new inputs. Raises UnknownConnection."""
        manager.trusted(webrtc_id).session.set_inputs(args)

    async def output_stream(self, webrtc_id: str) -> AsyncIterator[AdditionalOutputs]:
        """Follow what a session's handler publishes, until the session ends. Raises UnknownConnection."""
        async for output in manager.trusted(webrtc_id).outbox.follow():
            if isinstance(output, Output):
                yield output.published

    async def fetch_latest_output(self, webrtc_id: str) -> AdditionalOutputs:
        """Return the newest output, waiting for a first one. Raises UnknownConnection."""
        latest = manager.trusted(webrtc_id).outbox.latest
        return latest.published if latest is not None else await anext(self.output_stream(webrtc_id))


def _own_name(handler: Any) -> str:
    function = getattr(handler, "fn", handler)
    return getattr(function, "__name__", type(function).__name__)


def _slug(text: str) -> str:
    return re.sub(r"[^\w]+", "-", text, flags=re.ASCII).strip("-").lower()[:50] or "stream"
