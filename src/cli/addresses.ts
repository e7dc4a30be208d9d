import { usage } from './failure.js'

/**
 * Refuses `s3://bucket/a.txt`, as other programs have it, where a name belongs. As a name it would be the file `a.txt` in
 * the folder `s3:/bucket` of another storage.
 */
export function refuseAddresses(values: readonly unknown[]): void {
  for (const value of values.flat()) {
    if (typeof value !== 'string') continue
    const [, scheme, bucket, name] = /^(\w[\w+.-]*):\/\/([^/]*)\/*(.*)$/s.exec(value) ?? []
    if (scheme === undefined) continue
    const isBucket = /^(?:s3|r2)$/i.test(scheme)
    const advice = isBucket
      ? `give --storage ${scheme.toLowerCase()}:${bucket}${name ? ` and the name ${name}` : ''}`
      : 'give the name of the file in the storage'
    throw usage(`${value} is an address: ${advice}`)
  }
}

/** Refuses `r2:bucket/a.txt` as the name of a new file, too. There may be such files, but hardly anybody means one. */
export function refuseAddressedTarget(name: string): void {
  const [, address = '', rest = ''] = /^((?:s3|r2|fs):[^/]*)(.*)$/s.exec(name) ?? []
  if (address === '') return
  throw usage(
    `${name} looks like an address: give --storage ${address} (cp and mv: --to) and the name; a file of this name is ./${address}${rest}`,
  )
}
