import { defaultStorage } from 'stowage'

/** The address for one reader. Check first that this user may read the file: whoever has the address may. */
export async function linkForReader(name: string): Promise<string> {
  return defaultStorage.signedUrl(name, { expiresIn: 300, download: 'Contract.pdf' })
}

/** The same address for an hour at a time, so that browsers keep what they have loaded. */
export async function linkForPage(name: string): Promise<string> {
  return defaultStorage.signedUrl(name, { expiresIn: 600, stableFor: 3600 })
}
