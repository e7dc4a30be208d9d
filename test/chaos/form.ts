/**
 * How long these tests run: `quick` (minutes, for CI), `long` (`npm run test:chaos`, whose figures are in docs/robustness.md)
 * or `soak` (`npm run soak`, an hour).
 */
export type Form = 'quick' | 'long' | 'soak'

export const FORM: Form = toForm(process.env.CHAOS_FORM)

function toForm(mode: string | undefined): Form {
  return mode === 'long' || mode === 'soak' ? mode : 'quick'
}

/** What the random choices begin with: always the same in the quick form, which is to tell changes of the code apart. */
export const SEED = Number(process.env.STOWAGE_SEED ?? (FORM === 'quick' ? 1 : Date.now() % 2 ** 31))
console.log(`seed ${SEED} (STOWAGE_SEED repeats it), form ${FORM}`)

/** A random number from 0 to 1, the same ones for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
