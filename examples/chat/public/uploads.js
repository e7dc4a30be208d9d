import { button, byId, bytes, el, icon } from './dom.js'
import { Problem, send, sendForm } from './requests.js'

/** Bytes from which a file goes straight to the storage, past the server. */
const DIRECT = 4 * 1024 * 1024

/** A card for something on its way, or for a problem: above the field for messages. */
export function showCard(picture, title, ...content) {
  const details = el('div', {}, el('strong', {}, title), ...content)
  const card = el('li', {}, picture, details)
  card.append(button('close', `Close ${title}`, () => card.remove()))
  byId('uploads').append(card)
  return card
}

/** Sends one file, and shows how far it is and what went wrong. */
export async function upload(file, limit, fields = {}) {
  const isDirect = file.size >= DIRECT
  const sending = `${bytes(file.size)}${isDirect ? ', straight to the storage' : ''}`
  const bar = el('progress', { max: 1, value: 0, 'aria-label': `Sending ${file.name}` })
  const words = el('p')
  const card = showCard(previewOf(file), file.name, bar, words)
  const leave = new AbortController()
  card.lastChild.addEventListener('click', () => leave.abort())
  const onProgress = (share) => {
    bar.value = share
    if (share === 1) words.textContent = 'Storing…'
  }
  const options = { onProgress, limit, signal: leave.signal }

  while (card.isConnected) {
    try {
      words.textContent = sending
      if (file.size > limit) throw new Problem(413, { limit })
      await (isDirect ? sendDirectly(file, options) : sendForm('files', fields, file, options))
      card.remove()
    } catch (problem) {
      words.textContent = problem.message
      card.classList.add('failed')
      if (!problem.canRetry) return
      await tryAgain(words)
      card.classList.remove('failed')
    }
  }
}

/** The browser asks where to send the file, sends it to the storage, and comes back to have it accepted. */
async function sendDirectly(file, options) {
  const { name: filename, size, type } = file
  const { limit } = options
  const { method, url, headers, name } = await send('POST', 'uploads', { filename, size, type }, { limit })
  await send(method, url, file, { ...options, headers })
  await send('POST', 'uploads/accept', { name, filename }, { limit })
}

function previewOf(file) {
  const sign = icon(file.type.startsWith('audio/') ? 'record' : 'document')
  if (!file.type.startsWith('image/')) return sign
  const image = el('img', { src: URL.createObjectURL(file), alt: '', onerror: () => image.replaceWith(sign) })
  image.addEventListener('load', () => URL.revokeObjectURL(image.src))
  return image
}

async function tryAgain(words) {
  const again = el('button', { type: 'button' }, icon('retry'), 'Try again')
  words.after(again)
  await new Promise((resolve) => again.addEventListener('click', resolve))
  again.remove()
}
