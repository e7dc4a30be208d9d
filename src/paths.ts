import { crypto } from './crypto.js'
import { inContext, Problem } from './errors.js'
import { sanitize } from './filenames.js'
import { toName } from './names.js'

/** An id as databases give it. An id that is empty or has `/`, `\` or `..` in it is refused. */
export type Id = string | number | bigint

/**
 * `documents/{roomId}/{filename}`, the file name sanitised.
 * @throws {InvalidNameError} for an id that is no plain id, or a file name that nothing is left of.
 * @example documentPath(42, 'Annual report.pdf') // 'documents/42/Annual_report.pdf'
 */
export function documentPath(roomId: Id, filename: string): string {
  return build('documentPath', () => ['documents', plain({ roomId }), sanitize(filename)])
}

/** `voice_notes/{roomId}/{filename}`, the file name sanitised. @throws {InvalidNameError} as {@link documentPath}. */
export function voiceNotePath(roomId: Id, filename: string): string {
  return build('voiceNotePath', () => ['voice_notes', plain({ roomId }), sanitize(filename)])
}

/**
 * `chat_uploads/{uuid}.{ext}`: a random UUID, and the extension in lower case if there is one.
 * @throws {InvalidNameError} for a file name that nothing is left of.
 */
export function chatUploadPath(filename: string): string {
  return build('chatUploadPath', () => ['chat_uploads', `${crypto().randomUUID()}${extensionOf(filename)}`])
}

/** `ai_speech/{roomId}/reply_{messageId}.mp3`. @throws {InvalidNameError} for an id that is no plain id. */
export function aiSpeechPath(roomId: Id, messageId: Id): string {
  return build('aiSpeechPath', () => ['ai_speech', plain({ roomId }), `reply_${plain({ messageId })}.mp3`])
}

/**
 * `user_avatars/{userId}.{ext}`. One name per user and type: save it with `ifExists: 'overwrite'`. Where ids may have
 * dots in them, refuse pictures without an extension: user `a.png` and the `.png` of user `a` would share a name.
 * @throws {InvalidNameError} as {@link documentPath}.
 */
export function userAvatarPath(userId: Id, filename: string): string {
  return build('userAvatarPath', () => ['user_avatars', `${plain({ userId })}${extensionOf(filename)}`])
}

function build(operation: string, segments: () => string[]): string {
  return inContext({ operation }, () => toName(segments().join('/')))
}

/** The text of one id, given as `{ roomId }` so that the error can name it. */
function plain(given: Readonly<Record<string, Id>>): string {
  const [[parameter, id] = ['', '']] = Object.entries(given)
  const isId = typeof id === 'string' || typeof id === 'bigint' || Number.isSafeInteger(id)
  const text = isId ? String(id) : ''
  if (text.trim() === '' || /[/\\]|\.\.|^\.$/.test(text)) {
    throw new Problem(
      'InvalidName',
      `${parameter} must be a plain id: a whole number, or text that is not empty and has no "/", "\\" or ".." in it`,
      { file: text },
    )
  }
  return text
}

/** `.png` of `Photo.PNG`, nothing of `photo` or `.hidden`. */
function extensionOf(filename: string): string {
  return /[^.]\.([^.]+)$/.exec(sanitize(filename))?.[1]?.toLowerCase().replace(/^/, '.') ?? ''
}
