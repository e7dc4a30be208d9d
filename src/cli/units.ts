import { usage } from './failure.js'

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }
const BYTES: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1000,
  kib: 1024,
  mb: 1000 ** 2,
  mib: 1024 ** 2,
  gb: 1000 ** 3,
  gib: 1024 ** 3,
}

/** Seconds of `90`, `90s`, `15m`, `2h`, `7d` or `1w`. */
export function toSeconds(text: string): number {
  return amountOf(text, SECONDS, 's', 'a time such as 90s, 15m, 2h, 7d or 1w')
}

/** Bytes of `500`, `16KiB`, `5MB`, `5MiB` or `1GiB`. */
export function toBytes(text: string): number {
  return amountOf(text, BYTES, 'b', 'a size such as 500, 16KiB or 5MB')
}

function amountOf(text: string, units: Readonly<Record<string, number>>, unit: string, what: string): number {
  const [, digits, letters = ''] = /^(\d+)\s*([a-z]*)$/i.exec(text.trim()) ?? []
  const factor = units[letters.toLowerCase() || unit]
  const amount = Number(digits) * (factor ?? Number.NaN)
  if (!Number.isSafeInteger(amount)) throw usage(`"${text}" is not ${what}`)
  return amount
}

/** A whole number, 0 or more. */
export function toCount(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw usage(`"${text}" is not a whole number`)
  return Number(text)
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** `512 B`, `1.5 MiB`. */
export function bytesText(bytes: number): string {
  let unit = 0
  let amount = bytes
  while (amount >= 1023.95 && unit < UNITS.length - 1) {
    amount /= 1024
    unit += 1
  }
  return `${unit === 0 ? Math.round(amount) : amount.toFixed(1)} ${UNITS[unit]}`
}

/** `1 file`, `2 files`. */
export function countText(count: number, noun: string): string {
  return `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`
}

/** `2026-11-29 20:41:07`, in UTC. */
export function timeText(date: Date): string {
  return date.toISOString().slice(0, 19).replace('T', ' ')
}

/** `45 s`, `2 min 5 s`, `3 h 12 min`. */
export function durationText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}
