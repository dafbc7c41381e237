"""The plain aiortc echo everybody writes first: the track that comes in goes out."""

import asyncio
import sys

from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from benchmarks.json_http import Json, serve_json

connections: set[RTCPeerConnection] = set()


async def answer_offer(_path: str, body: Json) -> Json:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connections.add(connection)

    @connection.on("track")
    def on_track(track: MediaStreamTrack) -> None:
        connection.addTrack(track)

    @connection.on("connectionstatechange")
    async def on_state() -> None:
        if connection.connectionState in ("closed", "failed"):
            connections.discard(connection)
            await connection.close()

    await connection.setRemoteDescription(RTCSessionDescription(body["sdp"], body["type"]))
    await connection.setLocalDescription(await connection.createAnswer())
    return {"sdp": connection.localDescription.sdp, "type": connection.localDescription.type}


if __name__ == "__main__":
    asyncio.run(serve_json(int(sys.argv[1]), answer_offer))
