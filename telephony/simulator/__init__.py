"""A telephone provider and a person who calls, for tests, for load, and for trying a stream without a telephone."""

from telephony.simulator.caller import Caller, CallFailed, Happening, Socket
from telephony.simulator.network import Jumble
from telephony.simulator.provider_side import Misbehaved, ProviderSide, TelnyxSide, TwilioSide

__all__ = [
    "CallFailed",
    "Caller",
    "Happening",
    "Jumble",
    "Misbehaved",
    "ProviderSide",
    "Socket",
    "TelnyxSide",
    "TwilioSide",
]
