import { setTimeout } from 'node:timers/promises'

/** Stands in for a voice service: a voice that sings, one soft note for each letter, as WAV. */

const RATE = 22_050
const NOTE_SECONDS = 0.14
const NOTE_SAMPLES = Math.round(RATE * NOTE_SECONDS)
const RING_SAMPLES = NOTE_SAMPLES * 3
/** Semitones above A3: two octaves and a half of the pentatonic scale. */
const SCALE = [0, 3, 5, 7, 10, 12, 15, 17, 19, 22, 24, 27, 29]

/** Yields the speech while it is made, three times as fast as one hears it. */
export async function* speak(text: string): AsyncGenerator<Uint8Array> {
  const notes = [...text.toLowerCase(), ' ', ' '].map(noteOf)
  yield header(notes.length * NOTE_SAMPLES * 2)
  for (let index = 0; index < notes.length; index++) {
    yield sound(notes.slice(Math.max(0, index - 2), index + 1).reverse())
    await setTimeout((NOTE_SECONDS * 1000) / 3)
  }
}

/** The picture of the sound: one digit a letter, as voice notes have. */
export function waveOf(text: string): string {
  const notes = [...text.toLowerCase()].map(noteOf)
  const bars = Math.min(48, notes.length)
  return Array.from({ length: bars }, (_, bar) => {
    const note = notes[Math.floor((bar * notes.length) / bars)]
    return note === undefined ? 1 : 2 + Math.floor((note / SCALE.length) * 8)
  }).join('')
}

/** A step of the scale; undefined is a pause. */
function noteOf(letter: string): number | undefined {
  return /[\p{L}\p{N}]/u.test(letter) ? (letter.codePointAt(0) ?? 0) % SCALE.length : undefined
}

/** The samples of one note. The notes before it still ring: `notes[1]` began one note ago. */
function sound(notes: readonly (number | undefined)[]): Uint8Array {
  const samples = new Int16Array(NOTE_SAMPLES)
  notes.forEach((note, age) => {
    if (note === undefined) return
    const turn = (2 * Math.PI * 220 * 2 ** ((SCALE[note] ?? 0) / 12)) / RATE
    for (let index = 0; index < NOTE_SAMPLES; index++) {
      const at = index + age * NOTE_SAMPLES
      const loudness = Math.min(1, at / 200) * Math.exp((-4 * at) / RING_SAMPLES) * (1 - at / RING_SAMPLES)
      const wave = Math.sin(turn * at) + 0.35 * Math.sin(2 * turn * at) + 0.12 * Math.sin(3 * turn * at)
      samples[index] = (samples[index] ?? 0) + 9000 * loudness * wave
    }
  })
  return new Uint8Array(samples.buffer)
}

/** The header of a WAV file: 16 bits, one channel. */
function header(bytes: number): Uint8Array {
  const head = Buffer.alloc(44)
  head.write('RIFF', 0)
  head.writeUInt32LE(36 + bytes, 4)
  head.write('WAVEfmt ', 8)
  head.writeUInt32LE(16, 16)
  head.writeUInt16LE(1, 20)
  head.writeUInt16LE(1, 22)
  head.writeUInt32LE(RATE, 24)
  head.writeUInt32LE(RATE * 2, 28)
  head.writeUInt16LE(2, 32)
  head.writeUInt16LE(16, 34)
  head.write('data', 36)
  head.writeUInt32LE(bytes, 40)
  return head
}
