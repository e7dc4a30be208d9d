/** The reference shows which error a `@throws {Type}` names. TypeDoc itself leaves types in braces out. */
import {
  type Application,
  type CommentTag,
  type Context,
  Converter,
  type DeclarationReflection,
  type Reflection,
  ReflectionKind,
} from 'typedoc'
import ts from 'typescript'

export function showThrownTypes({ converter }: Application): void {
  converter.on(Converter.EVENT_RESOLVE_BEGIN, (context) => {
    const { project } = context
    const exported = new Map(
      project.children?.flatMap((module) => module.children ?? []).map((each) => [each.name, each]),
    )
    for (const signature of project.getReflectionsByKind(ReflectionKind.SomeSignature)) {
      const tags = signature.comment?.getTags('@throws') ?? []
      const types = tags.length > 0 ? thrownTypes(context, signature) : []
      for (const [index, tag] of tags.entries()) name(tag, types[index], exported)
    }
  })
}

/** The types of the `@throws` of a function or method, in their order. */
function thrownTypes(context: Context, signature: Reflection): (string | undefined)[] {
  const { parent } = signature
  const declarations: readonly ts.Node[] =
    (parent && context.getSymbolFromReflection(parent)?.declarations) ?? []
  return declarations
    .flatMap((declaration) => ts.getJSDocTags(declaration).filter(ts.isJSDocThrowsTag))
    .map(({ typeExpression }) => typeExpression?.type.getText())
}

function name(
  tag: CommentTag,
  type: string | undefined,
  exported: ReadonlyMap<string, DeclarationReflection>,
): void {
  const target = type === undefined ? undefined : exported.get(type)
  if (type === undefined) return
  tag.content.unshift(
    target ? { kind: 'inline-tag', tag: '@link', text: type, target } : { kind: 'code', text: `\`${type}\`` },
    { kind: 'text', text: ' ' },
  )
}
