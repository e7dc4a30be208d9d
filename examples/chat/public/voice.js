import { button, byId, clock, el, icon, next } from './dom.js'

const BARS = 48
const TYPE = 'audio/webm;codecs=opus'

/** Records until the user sends or discards. Resolves to `{ file, wave, seconds }`, or to nothing. */
export async function record(onStart) {
  if (!MediaRecorder.isTypeSupported(TYPE)) throw new Error('no WebM')
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true })
  const recorder = new MediaRecorder(stream, { mimeType: TYPE })
  const context = new AudioContext()
  const analyser = new AnalyserNode(context, { fftSize: 1024 })
  context.createMediaStreamSource(stream).connect(analyser)
  const parts = []
  recorder.ondataavailable = ({ data }) => parts.push(data)
  recorder.start(1000)
  onStart()

  const begun = performance.now()
  const seconds = () => (performance.now() - begun) / 1000
  const levels = []
  const samples = new Float32Array(analyser.fftSize)
  byId('meter').replaceChildren()
  const watch = setInterval(() => {
    analyser.getFloatTimeDomainData(samples)
    levels.push(Math.max(...samples.map(Math.abs)))
    byId('time').value = clock(seconds())
    byId('meter').append(barOf(Math.min(9, levels.at(-1) * 15)))
  }, 80)

  const isWanted = await new Promise((resolve) => {
    byId('stop').onclick = () => resolve(true)
    byId('discard').onclick = () => resolve(false)
    byId('recorder').onkeydown = ({ key }) => key === 'Escape' && resolve(false)
  })
  clearInterval(watch)
  const result = { seconds: seconds(), wave: waveOf(levels) }
  recorder.stop()
  await next(recorder, 'stop')
  for (const track of stream.getTracks()) track.stop()
  await context.close()
  const filename = `Voice note ${new Date().toISOString().slice(0, 19).replaceAll(':', '-')}.webm`
  return isWanted ? { ...result, file: new File(parts, filename, { type: 'audio/webm' }) } : undefined
}

/** One digit a bar: the loudest moment of each part. */
function waveOf(levels) {
  const part = Math.max(1, levels.length / BARS)
  const loudest = Math.max(0.02, ...levels)
  const bars = Array.from({ length: Math.min(BARS, levels.length) }, (_, bar) =>
    Math.max(...levels.slice(Math.floor(bar * part), Math.floor((bar + 1) * part))),
  )
  return bars.map((level) => Math.round((level / loudest) * 9)).join('')
}

function barOf(level) {
  const bar = el('i')
  bar.style.height = `${12 + level * 9.7}%`
  return bar
}

/** Sounds fetch their beginning when they come into view. */
const inView = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (isIntersecting) target.querySelector('audio').preload = 'metadata'
  }
})

/** A player with the picture of the sound as its seek bar. */
export function player(url, label, { wave = '5'.repeat(BARS), seconds = 0, isStored = true }) {
  const audio = el('audio', { src: url, preload: 'none' })
  const bars = [...wave].map((level) => barOf(Number(level)))
  const seek = el('input', { type: 'range', step: 'any', value: 0, 'aria-label': `Position in ${label}` })
  const time = el('time')
  const toggle = button('play', '', () => (audio.paused ? play() : audio.pause()))

  const show = () => {
    const { currentTime, duration, paused } = audio
    const total = Number.isFinite(duration) ? duration : seconds
    seek.max = total || 1
    seek.value = currentTime
    seek.setAttribute('aria-valuetext', `${clock(currentTime)} of ${clock(total)}`)
    time.textContent = total ? clock(currentTime || total) : ''
    bars.forEach((bar, index) => {
      bar.classList.toggle('played', index < (currentTime / total) * bars.length)
    })
    toggle.title = `${paused ? 'Play' : 'Pause'} ${label}`
    toggle.setAttribute('aria-label', toggle.title)
    toggle.replaceChildren(icon(paused ? 'play' : 'pause'))
  }
  show()
  for (const event of ['play', 'pause', 'timeupdate', 'durationchange']) audio.addEventListener(event, show)
  audio.addEventListener('error', () => {
    time.textContent = 'cannot be played'
  })

  let prepared
  const prepare = () => {
    prepared ??= loadLength(audio)
    return prepared
  }
  const play = () => prepare().then(() => audio.play())
  seek.addEventListener('input', async () => {
    const wanted = Number(seek.value)
    await prepare()
    audio.currentTime = wanted
  })
  const element = el(
    'div',
    { class: 'player' },
    toggle,
    el('div', { class: 'wave' }, ...bars, seek),
    time,
    audio,
  )
  if (isStored) inView.observe(element)
  return { element, play }
}

/** A recorder's file does not say how long it is. A seek past its end makes the browser look. */
async function loadLength(audio) {
  if (audio.readyState === 0) {
    audio.preload = 'auto'
    await next(audio, 'loadedmetadata')
  }
  if (audio.duration !== Number.POSITIVE_INFINITY) return
  audio.currentTime = 1e9
  await next(audio, 'durationchange')
  audio.currentTime = 0
  await next(audio, 'seeked')
}
