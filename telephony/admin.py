from typing import Any

from asgiref.sync import async_to_sync
from django.contrib import admin, messages
from django.contrib.admin.helpers import AdminForm
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from telephony import records
from telephony.forms import OrderForm
from telephony.models import Call, PhoneNumber
from telephony.services import CallNotPlaced, place_call


@admin.register(PhoneNumber)
class PhoneNumberAdmin(admin.ModelAdmin):
    list_display = ["number", "stream", "language", "enabled"]
    list_filter = ["enabled", "stream"]
    search_fields = ["number"]
    autocomplete_fields = ["stream"]
    actions = ["call_from"]
    fieldsets = [
        (None, {"fields": ["number", "stream", "enabled"]}),
        ("What callers hear", {"fields": ["language", "greeting"]}),
        ("When the stream does not answer", {"fields": ["words_when_full", "words_when_closed", "words_when_failed"]}),
    ]

    def has_call_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("telephony.place_call")

    def get_urls(self) -> list[Any]:
        return [
            path("<int:pk>/call/", self.admin_site.admin_view(self.call_view), name="telephony_phonenumber_call"),
            *super().get_urls(),
        ]

    @admin.action(description="Call somebody from the selected number", permissions=["call"])
    def call_from(self, request: HttpRequest, queryset: QuerySet[PhoneNumber]) -> HttpResponse | None:
        numbers = list(queryset[:2])
        if len(numbers) == 1:
            return HttpResponseRedirect(reverse("admin:telephony_phonenumber_call", args=[numbers[0].pk]))
        self.message_user(request, "Select one number: the one that calls.", messages.WARNING)
        return None

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {**(extra_context or {}), "has_call_permission": self.has_call_permission(request)}
        return super().change_view(request, object_id, form_url, context)

    def call_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask whom to call, and call them."""
        number = get_object_or_404(PhoneNumber.objects.select_related("stream"), pk=pk)
        if not self.has_call_permission(request):
            raise PermissionDenied
        form = OrderForm(request.POST or None)
        if form.is_valid():
            order = form.cleaned_data
            try:
                call = async_to_sync(place_call)(number.stream, order["to"], number.number, machine=order["machine"])
            except CallNotPlaced as error:
                form.add_error(None, str(error))
            else:
                self.message_user(request, f"{call.called} is being called.", messages.SUCCESS)
                return HttpResponseRedirect(self._where_it_shows(request, call))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Call somebody",
            "subtitle": str(number),
            "original": number,
            "form": form,
            "adminform": AdminForm(form, [(None, {"fields": list(form.fields)})], {}),  # type: ignore[arg-type]
        }
        return TemplateResponse(request, "admin/telephony/phonenumber/call.html", context)

    def _where_it_shows(self, request: HttpRequest, call: Call) -> str:
        if request.user.has_perm("telephony.view_call"):
            return reverse("admin:telephony_call_change", args=[call.pk])
        return reverse("admin:telephony_phonenumber_changelist")


@admin.register(Call)
class CallAdmin(admin.ModelAdmin):
    """A record, not a form."""

    list_display = ["created_at", "status", "direction", "caller", "called", "duration", "stream", "end_reason"]
    list_filter = ["status", "direction", "stream"]
    search_fields = ["caller", "called", "call_id"]
    date_hierarchy = "created_at"
    readonly_fields = ["created_at", *(field.name for field in Call._meta.fields if field.editable), "session"]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        async_to_sync(records.close_abandoned)()  # so that nobody seems to talk whose server has died
        return super().changelist_view(request, extra_context)

    @admin.display(description="Duration")
    def duration(self, call: Call) -> str:
        if call.seconds is None:
            return "–"
        minutes, seconds = divmod(round(call.seconds), 60)
        return f"{minutes}:{seconds:02d}"

    @admin.display(description="Session")
    def session(self, call: Call) -> SafeString:
        url = reverse("admin:streams_sessionrecord_changelist", query={"session_id": call.session_id})
        return format_html('<a href="{}">{}</a>', url, call.session_id)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Call | None = None) -> bool:
        return False
