from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from telephony import services
from telephony.providers import get_provider


@csrf_exempt  # the provider signs what it sends
@require_POST
async def incoming(request: HttpRequest, provider: str = "twilio", slug: str | None = None) -> HttpResponse:
    it = get_provider(provider)
    if not services.verify(it, request):
        return HttpResponse("The signature is missing or wrong.", status=403, content_type="text/plain")
    return await services.answer(it, request, slug)


@csrf_exempt
@require_POST
async def after(request: HttpRequest, provider: str, pk: int) -> HttpResponse:
    it = get_provider(provider)
    if not services.verify(it, request):
        return HttpResponse("The signature is missing or wrong.", status=403, content_type="text/plain")
    return await services.after(it, pk)
