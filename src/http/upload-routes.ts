import { Refusal } from './refusal.js'

/** The route of a request to an upload handler. */
export type UploadRoute =
  | { readonly action: 'params' }
  | { readonly action: 'create' }
  | { readonly action: 'list'; readonly id: string }
  | { readonly action: 'complete'; readonly id: string }
  | { readonly action: 'abort'; readonly id: string }
  | { readonly action: 'sign'; readonly id: string; readonly number: number }
  | { readonly action: 'store'; readonly id: string; readonly number: number }

/** The most parts of an upload on R2 and S3. */
export const MAX_PARTS = 10_000

type Actions = Readonly<Record<string, UploadRoute['action']>>

/** The routes of Uppy's Companion for S3, and the address of a part that comes through the application. */
const ROUTES: readonly { readonly path: RegExp; readonly actions: Actions }[] = [
  { path: /^params$/, actions: { GET: 'params' } },
  { path: /^multipart$/, actions: { POST: 'create' } },
  { path: /^multipart\/([\w.-]{1,2000})$/, actions: { GET: 'list', DELETE: 'abort' } },
  { path: /^multipart\/([\w.-]{1,2000})\/complete$/, actions: { POST: 'complete' } },
  { path: /^multipart\/([\w.-]{1,2000})\/([1-9]\d{0,4})$/, actions: { GET: 'sign', PUT: 'store' } },
]

/** Methods of all routes. */
export const METHODS = 'GET, POST, PUT, DELETE'

/** @throws {Refusal} 404 or 405. */
export function routeOf(method: string, path: string): UploadRoute {
  for (const { path: pattern, actions } of ROUTES) {
    const match = pattern.exec(path)
    if (!match) continue
    const action = Object.hasOwn(actions, method) ? actions[method] : undefined
    if (action === undefined) throw new Refusal(405, 'This method is not supported here.')
    const [, id = '', number = ''] = match
    if (action === 'params' || action === 'create') return { action }
    if (action !== 'sign' && action !== 'store') return { action, id }
    if (Number(number) > MAX_PARTS) break
    return { action, id, number: Number(number) }
  }
  throw new Refusal(404, 'There is nothing here.')
}
