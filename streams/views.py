from pathlib import PurePath
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.csrf import ensure_csrf_cookie

from streams.forms import input_form
from streams.media import ReplyOnPause, WalkieTalkie
from streams.media.reply_on_words import ReplyOnWords
from streams.media.transports.diagnosis import CLIENT_WORDS
from streams.models import Stream, Visitor
from streams.registry import Mode, Registration


def home(request: HttpRequest) -> HttpResponse:
    return render(request, "streams/home.html", {"streams": Stream.objects.visible_to(request.user)})


@ensure_csrf_cookie
def stream(request: HttpRequest, slug: str) -> HttpResponse:
    stream = get_object_or_404(Stream, slug=slug)
    if not stream.allows(request.user):
        if request.user.is_anonymous:
            return redirect_to_login(request.get_full_path())
        raise PermissionDenied("You have no access to this stream. Ask an administrator for it.")
    if not stream.enabled:
        return problem(request, stream, "This stream is switched off at the moment.", status=403)
    if stream.registration is None:
        return problem(request, stream, "This stream is out of order: what answered here is gone.", status=503)
    # A live session belongs to its opener's Django session, so a signed-out visitor needs one that is stored.
    request.session.setdefault("streams", True)
    parts = parts_of(stream, stream.registration, request.user)
    return render(request, "streams/stream.html", {"stream": stream, **parts})


def parts_of(stream: Stream, registration: Registration, user: Visitor) -> dict[str, Any]:
    """What the page of this stream consists of."""
    hears, sees = (kind in registration.modality.split("-") for kind in ("audio", "video"))
    sends, receives = registration.mode != Mode.RECEIVE, registration.mode != Mode.SEND
    return {
        "registration": registration,
        "microphone": hears and sends,
        "camera": sees and sends,
        "sound": hears and receives,
        "picture": sees and receives,
        "inputs": input_form(registration),
        "takes_text": getattr(registration.prototype, "needs_args", False),
        "trigger": trigger_label(registration),
        "settings": {
            "mode": registration.mode,
            "modality": registration.modality,
            "trackConstraints": registration.track_constraints or {},
            "rtpParams": registration.rtp_params or {},
            "timeLimit": stream.time_limit,
            **phrases_of(stream, registration),
            "records": records_for(user),
        },
    }


def phrases_of(stream: Stream, registration: Registration) -> dict[str, list[str]]:
    """What a visitor says to be answered, and to end their turn."""
    handler = registration.prototype
    if not isinstance(handler, ReplyOnWords):
        return {}
    phrases = handler.phrases(stream.options_for_handler()).phrases
    if isinstance(handler, WalkieTalkie):
        return {"overWords": phrases}
    wake_word = getattr(handler, "wake_word", None)  # the name of a model, or the path of its file
    return {"stopWords": [*phrases, *([PurePath(wake_word).stem.replace("_", " ")] if wake_word else [])]}


def records_for(user: Visitor) -> dict[str, Any] | None:
    """Where the records of sessions are, and what to do about a connection that failed; for who may read them."""
    if not (user.is_staff and user.has_perm("streams.view_sessionrecord")):
        return None
    advice = {stage.value: advice for stage, (_, advice) in CLIENT_WORDS.items()}
    return {"url": reverse("admin:streams_sessionrecord_changelist"), "advice": advice}


def trigger_label(registration: Registration) -> str:
    """What the button says that triggers a response; empty where there is nothing to trigger."""
    if isinstance(registration.prototype, ReplyOnPause):
        return "Done speaking" if registration.mode == Mode.SEND else "Answer now"
    # A generator takes its inputs when it starts: changed ones need a new start.
    return "Start over" if registration.mode == Mode.RECEIVE and registration.inputs else ""


def problem(request: HttpRequest, stream: Stream, sentence: str, *, status: int) -> HttpResponse:
    return render(request, "streams/problem.html", {"title": stream.title, "problem": sentence}, status=status)
