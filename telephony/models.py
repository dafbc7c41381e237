from __future__ import annotations

from datetime import timedelta

from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from streams.models import Stream

E164 = RegexValidator(
    r"^\+[1-9]\d{6,14}$", "Write the number as +49301234567: with the country's code, without spaces."
)


class PhoneNumber(models.Model):
    """A number that people call, and the stream that answers there."""

    number = models.CharField(max_length=16, unique=True, validators=[E164])
    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="phone_numbers")
    enabled = models.BooleanField(default=True)
    language = models.CharField(
        max_length=16, default="en-US", help_text="Of the words below, as the provider names it: en-US, de-DE."
    )
    greeting = models.CharField(
        max_length=300, blank=True, help_text="Said before the stream answers. Empty: it answers at once."
    )
    words_when_full = models.CharField(
        max_length=300, default="All lines are busy at the moment. Please call again in a few minutes."
    )
    words_when_closed = models.CharField(max_length=300, default="Nobody answers here at the moment. Goodbye.")
    words_when_failed = models.CharField(max_length=300, default="Something went wrong. Please call again.")

    class Meta:
        ordering = ["number"]

    def __str__(self) -> str:
        return self.number


class Call(models.Model):
    """One call, from the first webhook to its end."""

    class Direction(models.TextChoices):
        IN = "in", "Incoming"
        OUT = "out", "Outgoing"

    class Status(models.TextChoices):
        QUEUED = "queued", "Queued"
        RINGING = "ringing", "Ringing"
        ANSWERED = "answered", "Answered"  # picked up, and its audio not here yet
        TALKING = "talking", "Talking"
        REFUSED = "refused", "Refused"
        BUSY = "busy", "Busy"
        NO_ANSWER = "no-answer", "No answer"
        FAILED = "failed", "Failed"
        ENDED = "ended", "Ended"

    class Machine(models.TextChoices):
        """What is done when an answering machine answers."""

        UNASKED = "", "Do not find out: it is talked to like a person"
        HANG_UP = "hang_up", "Hang up"
        TALK = "talk", "Talk to it after its beep"

    provider = models.CharField(max_length=20)
    call_id = models.CharField("call at the provider", max_length=64, blank=True, db_index=True)
    direction = models.CharField(max_length=3, choices=Direction.choices, default=Direction.IN)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.RINGING)
    caller = models.CharField(max_length=64, blank=True)
    called = models.CharField(max_length=64, blank=True)
    stream = models.ForeignKey(Stream, null=True, on_delete=models.SET_NULL, related_name="calls")
    phone_number = models.ForeignKey(PhoneNumber, null=True, on_delete=models.SET_NULL, related_name="calls")
    token = models.CharField(max_length=64, blank=True, editable=False)  # SHA-256 of the socket's one-time token
    machine = models.CharField("answering machine", max_length=8, blank=True, choices=Machine.choices)
    answered_by = models.CharField(max_length=24, blank=True)  # in the provider's words
    parameters = models.JSONField(default=dict, blank=True)  # what place_call gives to the handler
    transfer_to = models.CharField(max_length=16, blank=True)
    end_reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField("last heard of", default=timezone.now)
    billed_seconds = models.PositiveIntegerField("seconds by the provider's count", null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            # An outgoing call has a record before the provider has given it an id.
            models.UniqueConstraint(
                fields=["provider", "call_id"], condition=~models.Q(call_id=""), name="one_record_per_call"
            )
        ]
        permissions = [("place_call", "Can place calls")]

    def __str__(self) -> str:
        return f"{self.caller or 'unknown'} → {self.called or 'unknown'}"

    @property
    def session_id(self) -> str:
        return f"call-{self.pk}"

    @property
    def seconds(self) -> float | None:
        """How long they talked."""
        if self.answered_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.answered_at).total_seconds()


class FastPhone(models.Model):
    """A temporary number of FastRTC's service, while ``manage.py fastphone`` runs: its calls need no signature."""

    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="+")
    public_url = models.CharField(max_length=200)
    seen_at = models.DateTimeField(default=timezone.now)

    BEAT_SECONDS = 20.0
    """Between two signs of life of the command. When three have not come, the door is shut."""

    def __str__(self) -> str:
        return self.public_url

    @classmethod
    async def open(cls) -> FastPhone | None:
        fresh = timezone.now() - timedelta(seconds=3 * cls.BEAT_SECONDS)
        return await cls.objects.select_related("stream").filter(seen_at__gte=fresh).order_by("-pk").afirst()
