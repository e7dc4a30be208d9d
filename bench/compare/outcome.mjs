// What a trial says about a contestant: a mark and a short fact.
export const yes = (fact) => ({ mark: '✓', fact })
export const partly = (fact) => ({ mark: '~', fact })
export const no = (fact) => ({ mark: '✗', fact })
/** The package has no such part. */
export const none = (fact = '') => ({ mark: '–', fact })
/** A number or a fact, without a verdict. */
export const figure = (fact) => ({ mark: '', fact })

export const mark = (good, half, fact) => (good ? yes(fact) : half ? partly(fact) : no(fact))

/** What an application sees of an error: its own code or name, without the wrapped error's. */
export function errorCode(error) {
  const { name, code } = error ?? {}
  if (typeof code === 'string') return code
  return name ?? String(error)
}

/** Resolves with `{ value }`, `{ error }` or, after `ms`, `{ late: true }`. */
export function settled(promise, ms = 20_000) {
  let timer
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve({ late: true }), ms)
  })
  const ended = Promise.resolve(promise).then(
    (value) => ({ value }),
    (error) => ({ error: error ?? new Error('nothing') }),
  )
  return Promise.race([ended, late]).finally(() => clearTimeout(timer))
}

export const attempt = (work, ms) => settled(Promise.resolve().then(work), ms)
