/**
 * Links of the documents. A page of the tarball links relatively to what the tarball holds, and to all else in the
 * repository on the web: so each link leads somewhere in a clone, on GitHub, on npm and in node_modules.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('..', import.meta.url))

export interface Manifest {
  readonly name: string
  readonly version: string
  readonly repository: { readonly type: string; readonly url: string }
  readonly homepage: string
  readonly bugs: { readonly url: string }
}

export const readManifest = (): Manifest => JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))

/** The page of the repository on the web: `https://github.com/OWNER/stowage`. */
export function repositoryOf({ repository: { url } }: Manifest): string {
  const [, page] = /^git\+(https:\/\/[^/]+\/[^/]+\/[^/]+)\.git$/.exec(url) ?? []
  if (page === undefined) throw new Error(`package.json: repository.url is not git+https://….git: ${url}`)
  return page
}

/** A file or a folder of the repository on the web. `HEAD` is its main branch, whatever its name. */
const ON_THE_WEB = /^https:\/\/[^/]+\/[^/]+\/[^/]+\/(?:blob|tree|raw)\/HEAD\/([^#]*)(#.*)?$/

/** Code, which has no links, or the way to a link's address, and the address. */
const LINKS =
  /(?:^ *(`{3,})[\s\S]*?^ *\1 *$)|(?:(?<!`)(`+)(?!`)[\s\S]*?(?<!`)\2(?!`))|(\]\()([^)\s]+)|(<(?:img|a)\b[^>]*?\b(?:src|href)=")([^"]+)|(^ {0,3}\[[^\]]+\]: +)(\S+)/gm

export interface Link {
  readonly href: string
  readonly isImage: boolean
}

/** The page with other addresses. */
export function mapLinks(markdown: string, change: (link: Link) => string): string {
  return markdown.replace(LINKS, (match, ...groups: (string | undefined)[]) => {
    const [, , inline, inlineHref, tag, tagHref, reference, referenceHref] = groups
    const before = inline ?? tag ?? reference
    const href = inlineHref ?? tagHref ?? referenceHref
    if (before === undefined || href === undefined) return match
    return before + change({ href, isImage: before.startsWith('<img') })
  })
}

export function linksIn(markdown: string): Link[] {
  const links: Link[] = []
  mapLinks(markdown, (link) => {
    links.push(link)
    return link.href
  })
  return links
}

/** The file of the repository that a link of `page` leads to, and its anchor; undefined where it leads out of it. */
export function targetOf(href: string, page: string): { file: string; anchor: string } | undefined {
  const [, path, hash] = ON_THE_WEB.exec(href) ?? []
  if (path !== undefined) return { file: path.replace(/\/$/, ''), anchor: hash ?? '' }
  if (/^[a-z][a-z0-9+.-]*:/i.test(href)) return undefined
  const [to = '', anchor] = href.split('#')
  const file = to === '' ? page : posix.join(posix.dirname(page), to).replace(/\/$/, '')
  return { file, anchor: anchor === undefined ? '' : `#${anchor}` }
}

/** The address that a link of `page`, a page of the tarball, must have. */
export function packedHref(
  { href, isImage }: Link,
  page: string,
  packed: ReadonlySet<string>,
  repository: string,
): string {
  const target = targetOf(href, page)
  if (target === undefined) return href
  const { file, anchor } = target
  if (file === page) return anchor || href
  if (packed.has(file)) return posix.relative(posix.dirname(page), file) + anchor
  // npm and GitHub show a README's images from the repository by themselves, and so does an editor in a clone.
  if (page === 'README.md' && isImage) return file
  const isFolder = statSync(join(ROOT, file), { throwIfNoEntry: false })?.isDirectory()
  return `${repository}/${isImage ? 'raw' : isFolder ? 'tree' : 'blob'}/HEAD/${file}${anchor}`
}

/** The files that npm would publish. Files of `dist` are among them only after a build. */
export function packedFiles(): Set<string> {
  const { NODE_OPTIONS: _, ...env } = process.env
  const output = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: ROOT,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const [{ files }]: [{ files: { path: string }[] }] = JSON.parse(output)
  return new Set(files.map(({ path }) => path))
}

/** The documents of the repository that are not published, and may link to all of it. */
export function otherPages(packed: ReadonlySet<string>): string[] {
  return ['.', 'docs', 'bench', 'examples', 'examples/chat', '.github']
    .flatMap((folder) => readdirSync(join(ROOT, folder)).map((file) => posix.join(folder, file)))
    .filter((file) => file.endsWith('.md') && !packed.has(file))
}

/** The anchors of a page's headings, as GitHub makes them. */
export function anchorsOf(markdown: string): Set<string> {
  const anchors = new Set<string>()
  for (const [, title = ''] of markdown.replace(/^ *```[\s\S]*?^ *```$/gm, '').matchAll(/^#+ (.*)$/gm)) {
    const text = title.replace(/\]\([^)]*\)/g, '').toLowerCase()
    const slug = text.replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-')
    let anchor = slug
    for (let count = 1; anchors.has(anchor); count++) anchor = `${slug}-${count}`
    anchors.add(anchor)
  }
  return anchors
}

/** What is wrong with a link of `page`, if anything. */
export function faultOf({ href }: Link, page: string): string | undefined {
  const target = targetOf(href, page)
  if (target === undefined) return undefined
  const { file, anchor } = target
  if (!existsSync(join(ROOT, file))) return `${page}: ${href} is missing`
  if (anchor === '' || !file.endsWith('.md')) return undefined
  const anchors = anchorsOf(readFileSync(join(ROOT, file), 'utf8'))
  return anchors.has(decodeURIComponent(anchor.slice(1))) ? undefined : `${page}: ${href} has no such heading`
}
