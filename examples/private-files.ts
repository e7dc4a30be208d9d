import { defaultStorage } from 'stowage'

/** An address for one reader. First check that this user may read the file: anyone with the address can. */
export async function linkForReader(name: string): Promise<string> {
  return defaultStorage.signedUrl(name, { expiresIn: 300, download: 'Contract.pdf' })
}

/** The same address for an hour at a time, so that browsers can cache the file. */
export async function linkForPage(name: string): Promise<string> {
  return defaultStorage.signedUrl(name, { expiresIn: 600, stableFor: 3600 })
}
