from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from telephony import records, services
from telephony.providers import Provider, get_provider

Webhook = Callable[..., Coroutine[Any, Any, HttpResponse]]


def webhook(answer: Webhook) -> Webhook:
    """A view that answers the provider of its URL, and nobody else. It is called with the provider, not its name."""

    @csrf_exempt  # the provider signs what it sends
    @require_POST
    @wraps(answer)
    async def view(request: HttpRequest, provider: str = "twilio", **kwargs: Any) -> HttpResponse:
        it = get_provider(provider)
        if not services.verify(it, request):
            return HttpResponse("The signature is missing or wrong.", status=403, content_type="text/plain")
        return await answer(it, request, **kwargs)

    return view


@webhook
async def status(provider: Provider, request: HttpRequest, pk: int | None = None) -> HttpResponse:
    await records.follow(provider.name, provider.call(request), pk)
    return HttpResponse(status=204)


incoming = webhook(services.answer)
answered = webhook(services.answer_for_us)
after = webhook(services.after)


@csrf_exempt
@require_POST
async def at_door(request: HttpRequest) -> HttpResponse:
    return await services.answer_at_door(get_provider("twilio"), request)
