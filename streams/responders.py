"""What the assistant says: from the messages of a chat to pieces of text."""

from __future__ import annotations

import asyncio
import json
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, cached_property
from typing import Any

from streams.sums import calculate

Message = Mapping[str, str]
"""{"role": "system" | "user" | "assistant", "content": text}, as chat endpoints want it."""


NO_ANSWER = "Sorry, I cannot think of an answer now. Please try again later."
TOO_LONG = "Sorry, that takes me too long. Please ask me again in a moment."
CUT_OFF = "Sorry, I have lost my train of thought."


class Responder(ABC):
    """One serves one conversation."""

    @abstractmethod
    def respond(self, messages: Sequence[Message]) -> AsyncGenerator[str]:
        """Answer the last of ``messages``, in pieces that make up the text. Raises ResponderError.

        Who breaks off closes the generator, and whatever makes the answer is let go of.
        """

    def prepare(self) -> None:  # noqa: B027 - nothing to do is a fine default
        """Load what takes time. Called off the event loop."""

    async def close(self) -> None:  # noqa: B027
        """The conversation is over."""


class ResponderError(RuntimeError):
    """There is no answer, or no more of it. The message is for the log; ``spoken`` is what a visitor may hear."""

    def __init__(
        self, message: str, spoken: str = "Sorry, I cannot think of an answer now. Please try again later."
    ) -> None:
        super().__init__(message)
        self.spoken = spoken


# -- by rules -----------------------------------------------------------------------------------------------------

ABILITIES = "I can tell you the time and the date, do sums, remember your name, and repeat what I said."


class RuleResponder(Responder):
    """Answers a few things by rules, the same every time, and needs nothing.

    now: what time it is
    """

    def __init__(self, now: Callable[[], datetime] = datetime.now) -> None:
        self._now = now

    async def respond(self, messages: Sequence[Message]) -> AsyncGenerator[str]:
        yield self.answer(messages)

    def answer(self, messages: Sequence[Message]) -> str:
        said = messages[-1]["content"].strip()
        if result := calculate(said):
            return result
        for pattern, answer in RULES:
            if found := re.search(pattern, said, re.IGNORECASE):
                return answer if isinstance(answer, str) else answer(self, messages, found)
        if said.endswith("?"):
            return f"I do not know that. {ABILITIES}"
        return f"You said: {said.rstrip('.!')}. What would you like to know?"

    def _greet(self, messages: Sequence[Message], found: re.Match[str]) -> str:
        name = _name(messages)
        return f"{found[1].capitalize()}{', ' + name if name else ''}! What can I do for you?"

    def _time(self, messages: Sequence[Message], found: re.Match[str]) -> str:
        now = self._now()
        return f"It is {now.hour % 12 or 12}:{now:%M %p}."

    def _date(self, messages: Sequence[Message], found: re.Match[str]) -> str:
        now = self._now()
        return f"Today is {now:%A}, {now:%B} {now.day}, {now.year}."

    def _meet(self, messages: Sequence[Message], found: re.Match[str]) -> str:
        return f"Nice to meet you, {found[1]}. What can I do for you?"

    def _recall(self, messages: Sequence[Message], found: re.Match[str]) -> str:
        name = _name(messages)
        return f"Your name is {name}." if name else "You have not told me your name yet. What is it?"

    def _repeat(self, messages: Sequence[Message], found: re.Match[str]) -> str:
        before = [message["content"] for message in messages if message["role"] == "assistant"]
        return before[-1] if before else "I have not said anything yet."


MY_NAME = r"\bmy name(?: is|'s|’s) (\w+)"

RULES: Sequence[tuple[str, str | Callable[[RuleResponder, Sequence[Message], re.Match[str]], str]]] = (
    (MY_NAME, RuleResponder._meet),
    (r"\b(?:what is|what's|what’s|know|remember|say) my name\b", RuleResponder._recall),
    (r"\b(?:what|which|tell me the|know the)\b.*\b(?:date|day)\b", RuleResponder._date),
    (r"\b(?:what|tell me|know|have you got)\b.*\btime\b", RuleResponder._time),
    (r"\b(?:what|how)\b.*\b(?:can|do) (?:you|i) (?:do|ask|help)|^help\b", ABILITIES),
    (r"\b(?:repeat|say that again|say it again|pardon|what did you say)\b", RuleResponder._repeat),
    (r"\bhow (?:are you|do you do|is it going)\b", "I am very well, thank you. And you?"),
    (r"\b(?:who are you|your name)\b", "I am the assistant of this site. My words come from simple rules."),
    (r"\bthank(?:s| you)\b", "You are welcome. Is there anything else?"),
    (r"\b(?:good ?bye|bye|see you)\b", "Goodbye! It was nice to talk to you."),
    (r"^(?:please )?(?:stop|wait|be quiet|quiet|never ?mind)\b", "All right. I am listening."),
    (r"^(hello|hi|hey|good (?:morning|afternoon|evening|day))\b", RuleResponder._greet),
)
"""The first pattern that is found in what was said gives the answer."""


def _name(messages: Sequence[Message]) -> str:
    """What the user said last that their name is."""
    said = " \n".join(message["content"] for message in messages if message["role"] == "user")
    names = re.findall(MY_NAME, said, re.IGNORECASE)
    return str(names[-1]) if names else ""


# -- an OpenAI-compatible endpoint --------------------------------------------------------------------------------

LAST_SECONDS = 0.2
"""How long the end of the connection's answer is waited for, once the text is complete."""


@dataclass
class OpenAIResponder(Responder):
    """Streams answers of any endpoint that speaks OpenAI's chat completions over server-sent events.

    url: of the API, such as http://127.0.0.1:11434/v1, or of its chat/completions
    connect_timeout, first_timeout, total_timeout: seconds until there is a connection, until the first piece of text,
        and that an answer may be waited for in all. The time in which nobody wants the next piece does not count.
    """

    url: str
    model: str
    api_key: str = field(default="", repr=False)
    connect_timeout: float = 3.0
    first_timeout: float = 10.0
    total_timeout: float = 60.0

    def __post_init__(self) -> None:
        if not re.match(r"https?://\w", self.url):
            raise ValueError(f"ASSISTANT_URL is {self.url!r}, but must begin with http:// or https:// and name a host.")
        if not self.model:
            raise ValueError(f"ASSISTANT_MODEL is not set: say which model {self.url} is to answer with.")
        if not (self.api_key.isascii() and self.api_key.isprintable()):
            raise ValueError("ASSISTANT_API_KEY has characters that no key has. Copy it again.")

    @property
    def endpoint(self) -> str:
        base = self.url.rstrip("/")
        return base if base.endswith("/chat/completions") else f"{base}/chat/completions"

    @cached_property
    def _client(self) -> Any:
        """One for the conversation: the second question needs no new connection."""
        import httpx

        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        timeout = httpx.Timeout(self.total_timeout, connect=self.connect_timeout)
        return httpx.AsyncClient(headers=headers, timeout=timeout, verify=_authorities())

    def prepare(self) -> None:
        _ = self._client

    async def close(self) -> None:
        if "_client" in self.__dict__:
            await self._client.aclose()
            del self._client

    async def respond(self, messages: Sequence[Message]) -> AsyncGenerator[str]:
        loop, first, left = asyncio.get_running_loop(), True, self.total_timeout
        async with aclosing(self._pieces(messages)) as pieces:
            while True:
                started, patience = loop.time(), min(left, self.first_timeout) if first else left
                try:
                    async with asyncio.timeout(patience):  # around no yield: the timeout is this task's alone
                        piece = await anext(pieces, None)
                except TimeoutError:
                    raise ResponderError(self._late(first), TOO_LONG) from None
                if piece is None:
                    return
                left -= loop.time() - started
                first = False
                yield piece

    async def _pieces(self, messages: Sequence[Message]) -> AsyncGenerator[str]:
        import httpx

        body = {"model": self.model, "messages": [dict(message) for message in messages], "stream": True}
        try:
            async with self._client.stream("POST", self.endpoint, json=body) as response:
                if response.status_code != httpx.codes.OK:
                    await response.aread()
                    raise ResponderError(self._refused(response))
                async with aclosing(self._texts(response)) as texts:
                    async for text in texts:
                        yield text
        except (httpx.RemoteProtocolError, httpx.ReadError):
            raise ResponderError(
                f"{self.endpoint} broke off in the middle of an answer. See its own log.", CUT_OFF
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ResponderError(
                f"{self.endpoint} cannot be reached ({str(error) or type(error).__name__}). "
                "Is it running, and is ASSISTANT_URL right?"
            ) from error

    async def _texts(self, response: Any) -> AsyncGenerator[str]:
        """The texts in the answer's events, to its end."""
        finished = False
        lines = response.aiter_lines()
        async for line in lines:
            if not line.startswith("data:"):  # a comment, another field, or the end of an event
                continue
            data = line.removeprefix("data:").strip()
            if data == "[DONE]":
                await _to_the_end(lines)
                return
            text, ended = self._understood(data)
            finished = finished or ended
            if text:
                yield text
        if not finished:
            raise ResponderError(
                f"{self.endpoint} ended its answer without finishing it. Does it speak OpenAI's protocol?", CUT_OFF
            )

    def _understood(self, data: str) -> tuple[str, bool]:
        """The text of one event, and whether it is the last."""
        try:
            event = json.loads(data)
            if problem := event.get("error"):
                raise ResponderError(f"{self.endpoint} reports: {_message_of(problem)}")
            choice: dict[str, Any] = next(iter(event["choices"]), {})  # an event with the costs has no choice
            text = (choice.get("delta") or {}).get("content") or ""
            if not isinstance(text, str):
                raise TypeError("the content is no text")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ResponderError(
                f"{self.endpoint} sent what is no chat completion: {data[:100]!r}. Does ASSISTANT_URL name the API?"
            ) from error
        return text, choice.get("finish_reason") is not None

    def _refused(self, response: Any) -> str:
        try:
            said = _message_of(response.json()["error"])
        except (ValueError, KeyError, TypeError):
            said = response.text[:200]
        advice = {
            401: "Set ASSISTANT_API_KEY to a key that it takes.",
            403: "Set ASSISTANT_API_KEY to a key that may use the model.",
            404: "Check ASSISTANT_URL and ASSISTANT_MODEL.",
            429: "The quota is used up, or there are too many visitors at once.",
        }
        what_to_do = advice.get(response.status_code, "See its own log.")
        return f"{self.endpoint} answered {response.status_code}: {said or 'nothing'}. {what_to_do}"

    def _late(self, first: bool) -> str:
        if first:
            return f"{self.endpoint} gave no answer within {self.first_timeout:g} s. Is it overloaded?"
        return (
            f"{self.endpoint} did not finish its answer within {self.total_timeout:g} s. "
            "Ask for shorter ones in the system prompt."
        )


async def _to_the_end(lines: AsyncIterator[str]) -> None:
    """A connection can be used again only if all has been read."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LAST_SECONDS):
            async for _ in lines:
                pass


@cache
def _authorities() -> Any:
    """Reading them takes longer than all the rest of a connection."""
    import httpx

    return httpx.create_ssl_context()


def _message_of(problem: Any) -> str:
    """The words of an "error", which is an object in OpenAI's protocol and a text in some others."""
    return str(problem.get("message", problem) if isinstance(problem, dict) else problem)[:200]
