// libwebrtc clients: play a known signal into each session and note what is heard, and when, on this process's clock.
// node wrtc_client.mjs PLAN.json; the plan: {"node_folder", "signal", "seconds", "sessions": [{"url", "burst", "out"}]}
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { randomUUID } from 'node:crypto'

const plan = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const { RTCPeerConnection, nonstandard } = createRequire(`${plan.node_folder}/`)('@roamhq/wrtc')
const RATE = 48000
const CHUNK = RATE / 100
const BURST_CHUNKS = 100
const CONNECT_TIMEOUT = 15000
const signal = new Int16Array(new Uint8Array(readFileSync(plan.signal)).buffer)
const sessions = []

const seconds = () => performance.now() / 1000

function hear (session, track) {
  session.sink = new nonstandard.RTCAudioSink(track)
  session.sink.ondata = ({ samples, sampleRate, channelCount, numberOfFrames }) => {
    const repeat = RATE / sampleRate // 16 kHz silence until the first packet comes, RATE from then on
    const mono = new Int16Array(numberOfFrames * repeat)
    for (let i = 0; i < mono.length; i++) mono[i] = samples[Math.floor(i / repeat) * channelCount]
    session.rates[sampleRate] = (session.rates[sampleRate] ?? 0) + 1
    session.heard.push(mono)
    session.heardAt.push(seconds())
  }
}

function connected (pc) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not connected: ${pc.connectionState}`)), CONNECT_TIMEOUT)
    pc.onconnectionstatechange = () => {
      if (pc.connectionState === 'connected') { clearTimeout(timer); resolve() }
      if (pc.connectionState === 'failed') { clearTimeout(timer); reject(new Error('the connection failed')) }
    }
  })
}

async function open (settings) {
  const pc = new RTCPeerConnection({ iceServers: [] })
  const source = new nonstandard.RTCAudioSource()
  const session = { ...settings, pc, source, heard: [], heardAt: [], pushedAt: [], rates: {} }
  const channel = pc.createDataChannel('text')
  channel.onopen = () => channel.send('handshake')
  pc.ontrack = ({ track }) => hear(session, track)
  pc.addTrack(source.createTrack())
  await pc.setLocalDescription(await pc.createOffer())
  while (pc.iceGatheringState !== 'complete') await new Promise(resolve => setTimeout(resolve, 5))
  const response = await fetch(settings.url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ sdp: pc.localDescription.sdp, type: 'offer', webrtc_id: randomUUID() })
  })
  const answer = await response.json()
  if (!answer.sdp) throw new Error(`${settings.url} answered ${response.status}: ${JSON.stringify(answer)}`)
  const ready = connected(pc)
  await pc.setRemoteDescription({ type: 'answer', sdp: answer.sdp })
  await ready
  session.started = seconds()
  sessions.push(session)
}

function push (session) {
  const i = session.pushedAt.length
  const samples = signal.slice(i * CHUNK, (i + 1) * CHUNK)
  session.source.onData({ samples, sampleRate: RATE, bitsPerSample: 16, channelCount: 1, numberOfFrames: CHUNK })
  session.pushedAt.push(seconds())
}

function pushWhatIsDue () {
  for (const session of sessions) {
    const due = Math.floor((seconds() - session.started) * 100) + (session.burst ? BURST_CHUNKS : 1)
    const end = Math.min(due, Math.floor(signal.length / CHUNK))
    while (session.pushedAt.length < end) push(session)
  }
}

function save (session) {
  const heard = new Int16Array(session.heard.reduce((sum, chunk) => sum + chunk.length, 0))
  const starts = []
  let at = 0
  for (const chunk of session.heard) { heard.set(chunk, at); starts.push(at); at += chunk.length }
  writeFileSync(`${session.out}.s16`, heard)
  const { pushedAt, heardAt, rates } = session
  writeFileSync(`${session.out}.json`, JSON.stringify({ pushedAt, heardAt, starts, rates, chunk: CHUNK }))
}

const timer = setInterval(pushWhatIsDue, 2)
for (const settings of plan.sessions) await open(settings)
await new Promise(resolve => setTimeout(resolve, plan.seconds * 1000))
clearInterval(timer)
for (const session of sessions) { save(session); session.sink?.stop(); session.pc.close() }
process.exit(0)
