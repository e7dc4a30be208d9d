// npm run links: writes the addresses of the repository, of which package.json has the one place, `repository.url`, into
// its `homepage` and `bugs` and into the links of the documents that npm publishes.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { mapLinks, packedFiles, packedHref, ROOT, readManifest, repositoryOf } from './links.js'

const manifest = readManifest()
const repository = repositoryOf(manifest)
write('package.json', (text) => {
  const { homepage, bugs } = manifest
  return text
    .replace(`"${homepage}"`, `"${repository}#readme"`)
    .replace(`"${bugs.url}"`, `"${repository}/issues"`)
})

const packed = packedFiles()
for (const page of packed) {
  if (!page.endsWith('.md')) continue
  write(page, (text) => mapLinks(text, (link) => packedHref(link, page, packed, repository)))
}

function write(file: string, change: (text: string) => string): void {
  const path = join(ROOT, file)
  const text = readFileSync(path, 'utf8')
  const changed = change(text)
  if (changed === text) return
  writeFileSync(path, changed)
  console.log(`${file}: written`)
}
