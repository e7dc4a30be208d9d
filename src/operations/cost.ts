import { inContext, Problem } from '../errors.js'
import type { Usage } from './usage.js'

/** The use of the files in a month. */
export interface MonthlyTraffic {
  /** Requests that read: class B on R2, GET and HEAD on S3. */
  reads: number
  /** Requests that write or list: class A on R2; PUT, COPY, POST and LIST on S3. */
  writes: number
  /** Gigabytes (10⁹ bytes) that are sent to the Internet. */
  egressGb: number
}

/** A month's bill in US dollars. */
export interface Cost {
  /** For what is stored. */
  readonly storage: number
  /** For requests that read. */
  readonly reads: number
  /** For requests that write or list. */
  readonly writes: number
  /** For what is sent to the Internet. */
  readonly egress: number
  /** All of them. */
  readonly total: number
}

/** The same month at two providers. */
export interface MonthlyCost {
  /** Cloudflare R2, Standard storage. */
  readonly r2: Cost
  /** Amazon S3, Standard storage in us-east-1. */
  readonly s3: Cost
  /** The month in which the prices were read: `2026-11`. */
  readonly pricesOf: string
}

/** One thing that is paid for. */
interface Price {
  /** Units a month that cost nothing. */
  readonly free: number
  /** Dollars a unit, up to a number of paid units. The last step has no end. */
  readonly steps: readonly { readonly upTo: number; readonly dollars: number }[]
  /** Whether a part of a unit is paid as a whole one. */
  readonly whole: boolean
}

type Prices = { readonly [Item in Exclude<keyof Cost, 'total'>]: Price }

/** Units: gigabytes of 10⁹ bytes, and millions of requests. */
const flat = (dollars: number, free = 0, whole = false): Price => ({
  free,
  steps: [{ upTo: Number.POSITIVE_INFINITY, dollars }],
  whole,
})

const PRICES_OF = '2026-11'

/** https://developers.cloudflare.com/r2/pricing/: the free tier first, then whole units. */
const R2: Prices = {
  storage: flat(0.015, 10, true),
  writes: flat(4.5, 1, true),
  reads: flat(0.36, 10, true),
  egress: flat(0),
}

/** https://aws.amazon.com/s3/pricing/, us-east-1, without the free tier of new accounts. */
const S3: Prices = {
  storage: {
    free: 0,
    steps: [
      { upTo: 50_000, dollars: 0.023 },
      { upTo: 500_000, dollars: 0.022 },
      { upTo: Number.POSITIVE_INFINITY, dollars: 0.021 },
    ],
    whole: false,
  },
  writes: flat(5),
  reads: flat(0.4),
  egress: {
    free: 100,
    steps: [
      { upTo: 10_000, dollars: 0.09 },
      { upTo: 50_000, dollars: 0.085 },
      { upTo: 150_000, dollars: 0.07 },
      { upTo: Number.POSITIVE_INFINITY, dollars: 0.05 },
    ],
    whole: false,
  },
}

const GIGA = 1e9
const MILLION = 1e6

/**
 * The price of a month of this usage on Cloudflare R2 and on Amazon S3, in US dollars before taxes. The free tier is
 * subtracted first. R2 bills whole gigabytes and whole millions of requests, so its units are rounded up then. An
 * estimate: it takes what is stored now for what is stored all month.
 *
 * @throws {StorageError} `InvalidArgument` for a number that is negative or missing.
 * @example
 * const { r2, s3 } = monthlyCost(await usage(storage), { reads: 2e6, writes: 1e5, egressGb: 500 })
 */
export function monthlyCost(usage: Pick<Usage, 'bytes'>, traffic: MonthlyTraffic): MonthlyCost {
  return inContext({ operation: 'monthlyCost' }, () => {
    const units = {
      storage: toAmount('usage.bytes', usage?.bytes) / GIGA,
      reads: toAmount('reads', traffic?.reads) / MILLION,
      writes: toAmount('writes', traffic?.writes) / MILLION,
      egress: toAmount('egressGb', traffic?.egressGb),
    }
    return { r2: bill(units, R2), s3: bill(units, S3), pricesOf: PRICES_OF }
  })
}

function toAmount(what: string, amount: number | undefined): number {
  if (typeof amount !== 'number' || !Number.isFinite(amount) || amount < 0) {
    throw new Problem('InvalidArgument', `${what} must be a number, 0 or more`)
  }
  return amount
}

function bill(units: { readonly [Item in keyof Prices]: number }, prices: Prices): Cost {
  const storage = price(units.storage, prices.storage)
  const reads = price(units.reads, prices.reads)
  const writes = price(units.writes, prices.writes)
  const egress = price(units.egress, prices.egress)
  return { storage, reads, writes, egress, total: rounded(storage + reads + writes + egress) }
}

function price(units: number, { free, steps, whole }: Price): number {
  // 11.1 − 10 is a little more than 1.1, which must not make another unit of it.
  const paid = Math.max(0, rounded(units - free))
  let left = whole ? Math.ceil(paid) : paid
  let begin = 0
  let dollars = 0
  for (const step of steps) {
    const taken = Math.min(left, step.upTo - begin)
    dollars += taken * step.dollars
    left -= taken
    begin = step.upTo
  }
  return rounded(dollars)
}

/** Without the last digits of binary fractions: to a billionth, which is one byte or less. */
function rounded(value: number): number {
  return Number.isSafeInteger(Math.round(value)) ? Math.round(value * 1e9) / 1e9 : value
}
