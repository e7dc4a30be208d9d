/** A field of an error of any kind. `instanceof Error` fails for errors of another realm, such as Node's own in Jest. */
export function readField(error: unknown, field: string): unknown {
  return typeof error === 'object' && error !== null ? Reflect.get(error, field) : undefined
}

/** The same for a text. Undefined for an empty one. */
export function readText(error: unknown, field: string): string | undefined {
  const found = readField(error, field)
  return typeof found === 'string' && found !== '' ? found : undefined
}
