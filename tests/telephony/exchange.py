"""Twilio's REST, as its documentation has it, on a port of this machine: places calls, and knows its numbers."""

from __future__ import annotations

import asyncio
import base64
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from telephony.simulator import Caller, TwilioSide
from telephony.simulator.caller import Open, Post

ACCOUNT = "AC" + "7" * 32
OWN_NUMBER = "+4930500500"
PERSON = "+4930600600"
Talk = Callable[[Caller], Awaitable[None]]


def error(status: int, code: int, message: str) -> web.Response:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return web.json_response({"code": code, "message": message, "more_info": more, "status": status}, status=status)


async def hang_up(person: Caller) -> None:
    person.hang_up()


class Exchange:
    """``post`` and ``open_socket`` are the ways to the site, ``outcome`` is what becomes of calls."""

    def __init__(self, auth_token: str, post: Post, open_socket: Open) -> None:
        self.url = ""
        self.outcome = "answered"
        """Or busy, no-answer, failed, canceled; "answered first" is told late that it has rung."""
        self.answered_by = ""
        self.talk: Talk = hang_up
        """What the person does who is called, once they have picked up."""
        self.trouble: Callable[[], Awaitable[web.Response]] | None = None
        """Answers in the place of everything else."""
        self.orders: list[Mapping[str, Any]] = []
        self.people: list[Caller] = []
        self.calls: list[asyncio.Task[None]] = []
        self.numbers: dict[str, dict[str, Any]] = {OWN_NUMBER: {"sid": "PN1", "phone_number": OWN_NUMBER}}
        self.forgetful = False
        """Says yes to a change, and does not make it."""
        self._auth_token, self._post, self._open = auth_token, post, open_socket

    # -- REST

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self.trouble is not None:
            return await self.trouble()
        secret = base64.b64encode(f"{ACCOUNT}:{self._auth_token}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {secret}":
            return error(401, 20003, "Authenticate")
        response: web.StreamResponse = await handler(request)
        return response

    async def _order(self, request: web.Request) -> web.Response:
        form = await request.post()
        order: dict[str, Any] = {name: values[0] if len(values := form.getall(name)) == 1 else values for name in form}
        if not re.fullmatch(r"\+[1-9]\d{6,14}", order["To"]) or order["To"] == "+4990000000":
            return error(400, 21211, f"The 'To' number {order['To']} is not a valid phone number.")
        if order["From"] not in self.numbers:
            return error(400, 21210, f"The source phone number provided, {order['From']}, is not yet verified.")
        self.orders.append(order)
        side = TwilioSide(self._auth_token)
        self.calls.append(asyncio.create_task(self._call(side, order)))
        about = {"sid": side.call_id, "status": "queued", "to": order["To"], "from": order["From"]}
        return web.json_response(about, status=201)

    async def _list(self, request: web.Request) -> web.Response:
        wanted = request.query.get("PhoneNumber", "")
        found = [number for name, number in self.numbers.items() if wanted in name]
        return web.json_response({"incoming_phone_numbers": found, "page": 0, "page_size": 50, "next_page_uri": None})

    async def _update(self, request: web.Request) -> web.Response:
        (number,) = (each for each in self.numbers.values() if each["sid"] == request.match_info["sid"])
        names = {"VoiceUrl": "voice_url", "StatusCallback": "status_callback", "VoiceMethod": "voice_method"}
        changes = {names[name]: value for name, value in (await request.post()).items() if name in names}
        if not self.forgetful:
            number.update(changes)
        return web.json_response({**number, **changes})

    # -- the call

    async def _call(self, side: TwilioSide, order: Mapping[str, Any]) -> None:
        first_answered = self.outcome == "answered first"
        await self._tell(side, order, "initiated")
        if not first_answered:
            await self._tell(side, order, "ringing")
        if not self.outcome.startswith("answered"):
            await self._tell(side, order, self.outcome)
            return
        await self._tell(side, order, "in-progress")
        if first_answered:
            await self._tell(side, order, "ringing")
        person = self._person(side, order)
        self.people.append(person)
        talking = asyncio.create_task(self._converse(person))
        try:
            await person.call()
        finally:
            talking.cancel()
        await self._tell(side, order, "completed", CallDuration=str(math.ceil(person.line_seconds)))

    async def _converse(self, person: Caller) -> None:
        await person.picked_up()
        await self.talk(person)
        person.hang_up()

    def _person(self, side: TwilioSide, order: Mapping[str, Any]) -> Caller:
        url = urlsplit(order["Url"])
        details = {"Direction": "outbound-api", "CallStatus": "in-progress"}
        if "MachineDetection" in order:
            details["AnsweredBy"] = self.answered_by or "human"
        return Caller(
            f"{url.scheme}://{url.netloc}",
            url.path,
            side,
            number=order["From"],
            called=order["To"],
            details=details,
            post=self._post,
            open_socket=self._open,
        )

    async def _tell(self, side: TwilioSide, order: Mapping[str, Any], status: str, **more: str) -> None:
        form = {"CallSid": side.call_id, "From": order["From"], "To": order["To"], "CallStatus": status, **more}
        body, url = urlencode(form).encode(), order["StatusCallback"]
        status_code, _ = await self._post(url, body, side.headers(url, form, body))
        assert status_code < 300

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Exchange]:
        app = web.Application(middlewares=[self._guard])
        account = f"/2010-04-01/Accounts/{ACCOUNT}"
        app.router.add_post(f"{account}/Calls.json", self._order)
        app.router.add_get(f"{account}/IncomingPhoneNumbers.json", self._list)
        app.router.add_post(f"{account}/IncomingPhoneNumbers/{{sid}}.json", self._update)
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield self
            async with asyncio.timeout(20):
                await asyncio.gather(*self.calls)
        finally:
            for call in self.calls:
                call.cancel()
            await runner.cleanup()
