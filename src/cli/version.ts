import { readFileSync } from 'node:fs'

/** The version in a `package.json`. */
export function versionOf(manifest: URL): string {
  const { version }: { version: string } = JSON.parse(readFileSync(manifest, 'utf8'))
  return version
}
