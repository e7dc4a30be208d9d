/** One part of the names, for one of several machines. */
export interface Shard {
  /** Which part: 0 to `of` − 1. */
  readonly index: number
  /** How many parts there are. Every machine MUST use the same number. */
  readonly of: number
}

/**
 * Whether a name belongs to a part. Each name belongs to exactly one, on every machine and in every version of this
 * package: FNV-1a over the UTF-16 units of the name.
 */
export function isInShard(name: string, { index, of }: Shard): boolean {
  let hash = 0x811c9dc5
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  // The low bits of FNV follow the last characters closely.
  hash ^= hash >>> 16
  return (hash >>> 0) % of === index
}
