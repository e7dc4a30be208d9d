// npm run docs: builds the site of guides and reference into site/dist, which a browser opens without a server.
// `--out <folder>` builds it elsewhere.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Application, Converter, IndexEvent, JSX, LogLevel, PageEvent } from 'typedoc'
import { ROOT, readManifest, repositoryOf } from './links.js'
import { writePages } from './pages.js'
import { linkReferences } from './references.js'
import { showThrownTypes } from './throws.js'

/** For whoever comes for the first time. Some browsers keep nothing for files. */
const UNFOLD_GUIDES = 'try { localStorage["tsd-accordion-Guides"] ??= "true" } catch {}'

const { values } = parseArgs({ options: { out: { type: 'string', default: join(ROOT, 'site', 'dist') } } })
const out = resolve(values.out)
const pages = mkdtempSync(join(tmpdir(), 'stowage-site-'))
try {
  await build()
} finally {
  rmSync(pages, { recursive: true, force: true })
}

async function build(): Promise<void> {
  const { readme, documents } = writePages(pages)
  const manifest = readManifest()
  const repository = repositoryOf(manifest)
  const isPlaceholder = repository.includes('/OWNER/')
  const app = await Application.bootstrap({
    name: manifest.name,
    includeVersion: true,
    entryPoints: ['index', 'http', 'testing'].map((entry) => join(ROOT, 'src', `${entry}.ts`)),
    tsconfig: join(ROOT, 'site', 'tsconfig.json'),
    readme,
    projectDocuments: documents,
    out,
    logLevel: LogLevel.Warn,
    treatWarningsAsErrors: true,
    validation: {
      notExported: true,
      invalidLink: true,
      invalidPath: true,
      rewrittenLink: true,
      notDocumented: true,
      unusedMergeModuleWith: true,
    },
    excludeExternals: true,
    excludePrivate: true,
    // Links to sources need an address.
    disableSources: isPlaceholder,
    disableGit: true,
    sourceLinkTemplate: `${repository}/blob/HEAD/{path}#L{line}`,
    basePath: ROOT,
    ...(isPlaceholder ? {} : { navigationLinks: { Repository: repository } }),
    sort: ['kind', 'alphabetical-ignoring-documents'],
    kindSortOrder: ['Document', 'Module', 'Class', 'Function', 'Variable', 'Interface', 'TypeAlias'],
    groupOrder: ['Documents', 'Modules', 'Classes', 'Functions', 'Variables', 'Interfaces', 'Type Aliases'],
    navigation: { includeFolders: false },
    headings: { readme: false, document: false },
    searchInDocuments: true,
    searchInComments: true,
    markdownItOptions: { html: true, linkify: false },
    highlightLanguages: [
      'console',
      'nginx',
      'bash',
      'css',
      'html',
      'javascript',
      'json',
      'jsx',
      'sh',
      'tsx',
      'typescript',
      'xml',
    ],
    ignoredHighlightLanguages: ['text'],
    lightHighlightTheme: 'github-light-default',
    darkHighlightTheme: 'github-dark-default',
    customCss: join(ROOT, 'site', 'site.css'),
    visibilityFilters: { protected: true, inherited: true },
    // Its anchors are not those that other pages link to.
    includeHierarchySummary: false,
    hideGenerator: true,
    githubPages: false,
  })
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    // Those that are named by a symbol are for Node and the compiler.
    const symbols = Object.values(project.reflections).filter(({ name }) => name.startsWith('['))
    for (const each of symbols) project.removeReflection(each)
  })
  app.renderer.on(IndexEvent.PREPARE_INDEX, (index) => {
    // A method is found once, where it is declared.
    for (const [place, each] of [...index.searchResults.entries()].reverse()) {
      if (each.isDeclaration() && each.inheritedFrom !== undefined) index.removeResult(place)
    }
  })
  app.renderer.hooks.on('head.begin', () =>
    JSX.createElement('script', null, JSX.createElement(JSX.Raw, { html: UNFOLD_GUIDES })),
  )
  app.renderer.on(PageEvent.END, (page) => {
    // A browser shows the list of a folder's files.
    page.contents = (page.contents ?? '').replaceAll('href="../"', 'href="../index.html"')
  })
  showThrownTypes(app)
  linkReferences(app)
  const project = await app.convert()
  if (project !== undefined) {
    app.validate(project)
    await app.generateDocs(project, out)
  }
  if (app.logger.hasErrors() || app.logger.hasWarnings()) throw new Error('The site has the faults above.')
  console.log(join(out, 'index.html'))
}
