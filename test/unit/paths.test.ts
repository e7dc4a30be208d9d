import assert from 'node:assert/strict'
import { aiSpeechPath, chatUploadPath, documentPath, userAvatarPath, voiceNotePath } from 'stowage'
import { describe, it } from 'vitest'

const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}'

describe('paths', () => {
  it('put a document below its room, under a safe name', () => {
    assert.equal(documentPath(42, 'Annual report (final).pdf'), 'documents/42/Annual_report_final.pdf')
    assert.equal(documentPath('room-7', '../../etc/passwd'), 'documents/room-7/passwd')
    assert.equal(documentPath(12345678901234567890n, 'a.txt'), 'documents/12345678901234567890/a.txt')
  })

  it('put a voice note below its room', () => {
    assert.equal(voiceNotePath(42, 'note 1.webm'), 'voice_notes/42/note_1.webm')
  })

  it('give a chat upload a random name and its extension in lower case', () => {
    assert.match(chatUploadPath('Photo.PNG'), new RegExp(`^chat_uploads/${UUID}\\.png$`))
    assert.match(chatUploadPath('archive.tar.gz'), new RegExp(`^chat_uploads/${UUID}\\.gz$`))
    assert.match(chatUploadPath('photo'), new RegExp(`^chat_uploads/${UUID}$`))
    assert.match(chatUploadPath('.hidden'), new RegExp(`^chat_uploads/${UUID}$`))
    assert.match(chatUploadPath('🎉.PNG'), new RegExp(`^chat_uploads/${UUID}\\.png$`))
    assert.notEqual(chatUploadPath('a.png'), chatUploadPath('a.png'))
  })

  it('put AI speech below its room', () => {
    assert.equal(aiSpeechPath(42, 7), 'ai_speech/42/reply_7.mp3')
    assert.equal(aiSpeechPath('a', 'msg-1'), 'ai_speech/a/reply_msg-1.mp3')
  })

  it('have one avatar for each user and type', () => {
    assert.equal(userAvatarPath(42, 'Me.JPEG'), 'user_avatars/42.jpeg')
    assert.equal(userAvatarPath(42, 'me'), 'user_avatars/42')
    assert.equal(userAvatarPath(0, 'me.png'), 'user_avatars/0.png')
  })

  const ids = [
    '',
    ' ',
    '.',
    '..',
    'a/b',
    'a\\b',
    '../a',
    'a..b',
    '/',
    'a\nb',
    'a\0',
    '\ud800',
    'x'.repeat(300),
  ]
  const odd = [Number.NaN, Number.POSITIVE_INFINITY, 1.5, 2 ** 53, undefined, null, {}, [], true]
  const builders: [string, (id: unknown) => unknown][] = [
    ['documentPath', (id) => Reflect.apply(documentPath, undefined, [id, 'a.txt'])],
    ['voiceNotePath', (id) => Reflect.apply(voiceNotePath, undefined, [id, 'a.webm'])],
    ['aiSpeechPath (room)', (id) => Reflect.apply(aiSpeechPath, undefined, [id, 1])],
    ['aiSpeechPath (message)', (id) => Reflect.apply(aiSpeechPath, undefined, [1, id])],
    ['userAvatarPath', (id) => Reflect.apply(userAvatarPath, undefined, [id, 'a.png'])],
  ]
  it.each(builders)('%s refuses an id that is no plain one', (_, build) => {
    for (const id of [...ids, ...odd]) {
      assert.throws(() => build(id), { code: 'InvalidName', name: 'InvalidNameError' }, `id ${String(id)}`)
    }
  })

  it('refuse a file name that nothing is left of', () => {
    for (const filename of ['', '..', '/', '😀']) {
      assert.throws(() => documentPath(1, filename), { code: 'InvalidName' })
      assert.throws(() => voiceNotePath(1, filename), { code: 'InvalidName' })
      assert.throws(() => chatUploadPath(filename), { code: 'InvalidName' })
      assert.throws(() => userAvatarPath(1, filename), { code: 'InvalidName' })
    }
  })
})
