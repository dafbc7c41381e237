from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.csrf import ensure_csrf_cookie

from streams.models import Stream


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
    return render(request, "streams/stream.html", {"stream": stream, "registration": stream.registration})


def problem(request: HttpRequest, stream: Stream, sentence: str, *, status: int) -> HttpResponse:
    return render(request, "streams/problem.html", {"title": stream.title, "problem": sentence}, status=status)
