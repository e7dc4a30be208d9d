/** Links from the guides to the reference: the first time that a page names something of the package. */
import { type Application, type DeclarationReflection, MarkdownEvent, ReflectionKind } from 'typedoc'

/** Links and headings stay as they are; then blocks of code, and inline code. */
const CODE = /<a\b[\s\S]*?<\/a>|<h\d[\s\S]*?<\/h\d>|(<pre[\s\S]*?<\/pre>)|<code>([^<]*)<\/code>/g

/** `migrate`, `migrate(…)`, `new MemoryStorage()`, `storage.save(…)`. */
const CALL = /^(?:new )?(?:(\w+)\.)?(\w+)(?:\(.*\))?$/

/** The same in the spans of a block: `defaultStorage.</span><span class="hl-1">save</span><span class="hl-2">(`. */
const CALL_IN_BLOCK =
  /(?:(\w+)\.<\/span>|(?<!\.<\/span>))(<span class="hl-\d+">(\w+)<\/span>)(?=<span class="hl-\d+">\()/g

/** What the guides call a storage. */
const STORAGES = ['storage', 'defaultStorage']

export function linkReferences({ renderer }: Application): void {
  renderer.on(
    MarkdownEvent.PARSE,
    (event) => {
      const { page } = event
      const { router } = renderer
      if (router === undefined || !page.isReflectionEvent()) return
      const { model, project } = page
      if (!model.isProject() && !model.isDocument()) return
      const exported = new Map(project.children?.flatMap((module) => module.children ?? []).map(named))
      const methods = new Map(
        exported
          .get('Storage')
          ?.children?.filter(({ kind }) => kind === ReflectionKind.Method)
          .map(named),
      )
      const find = (owner: string | undefined, name: string) => {
        if (owner === undefined) return exported.get(name) ?? methods.get(name)
        if (STORAGES.includes(owner)) return methods.get(name)
        return exported.get(owner)?.children?.find((each) => each.name === name)
      }
      const seen = new Set<DeclarationReflection>()
      const link = (html: string, target: DeclarationReflection | undefined) => {
        if (target === undefined || seen.has(target)) return html
        seen.add(target)
        return `<a class="reference" href="${router.relativeUrl(model, target)}">${html}</a>`
      }
      event.parsedText = event.parsedText.replace(CODE, (html, block?: string, code?: string) => {
        if (block !== undefined) {
          return block.replace(
            CALL_IN_BLOCK,
            (call: string, owner: string | undefined, span: string, name: string) => {
              const target = owner === undefined ? exported.get(name) : find(owner, name)
              return call.slice(0, -span.length) + link(span, target)
            },
          )
        }
        const [, owner, name] = CALL.exec(code ?? '') ?? []
        return name === undefined ? html : link(html, find(owner, name))
      })
    },
    // After TypeDoc itself.
    -100,
  )
}

const named = (each: DeclarationReflection) => [each.name, each] as const
