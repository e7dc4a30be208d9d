import { byId, bytes, el, icon } from './dom.js'
import { editProfile } from './profile.js'
import { Problem, send } from './requests.js'
import { showCard, upload } from './uploads.js'
import { player, record } from './voice.js'

const state = { me: '', people: {}, maxSize: 0 }
/** Whether the next speech of this user was asked for here, and is to be heard at once. */
let hearNext = false
let atEnd = true

const [, , room] = location.pathname.split('/')
document.title = `#${room}`
byId('title').textContent = document.title

// What is shown

/** A picture, or the first letter of the name on a colour of its own. */
function avatar(user) {
  const { name = '?', avatar: version } = state.people[user] ?? {}
  const face = el('span', { class: 'avatar', title: name, 'data-avatar': user }, name[0].toUpperCase())
  face.style.setProperty('--hue', Number.parseInt(user.slice(0, 4), 16) % 360)
  if (version) face.replaceChildren(el('img', { src: `/avatars/${user}?v=${version}`, alt: '' }))
  return face
}

function contentOf({ id, user, text, file, spoken, wave, seconds }) {
  const link = { href: `files/${id}`, target: '_blank', rel: 'noopener' }
  if (spoken) {
    const sound = player(file ? link.href : `speech/${id}`, 'the speech', { wave, isStored: Boolean(file) })
    if (hearNext && user === state.me) sound.play()
    hearNext = false
    return [
      sound.element,
      el('p', {}, text),
      el('small', { class: 'stored', hidden: !file }, icon('stored'), 'Stored'),
    ]
  }
  if (!file) return [el('p', {}, text)]
  if (file.contentType.startsWith('audio/'))
    return [player(link.href, file.filename, { wave, seconds }).element]
  if (file.contentType.startsWith('image/')) {
    const image = el('img', { src: link.href, alt: file.filename, loading: 'lazy' })
    image.onload = () => image.classList.add('loaded')
    return [el('a', { ...link, class: 'image' }, image)]
  }
  const details = `${file.filename.split('.').at(-1).toUpperCase()}, ${bytes(file.size)}`
  const about = el('span', {}, el('strong', {}, file.filename), el('small', {}, details))
  return [el('a', { ...link, class: 'document' }, icon('document'), about)]
}

function show(message) {
  const { id, user, at, file } = message
  const shown = byId(id)
  if (shown) {
    for (const mark of shown.querySelectorAll('.stored')) mark.hidden = !file
    return
  }
  const date = new Date(at)
  const day = date.toLocaleDateString(undefined, { weekday: 'long', day: 'numeric', month: 'long' })
  const before = byId('messages').lastElementChild?.dataset ?? {}
  if (before.day !== day) byId('messages').append(el('li', { class: 'day', 'data-day': day }, day))
  const classes = [user === state.me ? 'mine' : 'theirs']
  if (before.user === user && at - before.at < 300_000) classes.push('follows')
  if (file?.contentType.startsWith('image/')) classes.push('with-image')
  const content = el(
    'article',
    { title: file?.name },
    el('span', { class: 'name', 'data-name': user }),
    ...contentOf(message),
  )
  content.append(el('time', {}, date.toLocaleTimeString(undefined, { timeStyle: 'short' })))
  const data = { id, 'data-user': user, 'data-at': at, 'data-day': day, class: classes.join(' ') }
  byId('messages').append(el('li', data, avatar(user), content))
  showName(content.firstChild)
  byId('empty').hidden = true
  if (atEnd || user === state.me) toEnd()
  else byId('down').hidden = false
}

const showName = (element) => {
  element.textContent = state.people[element.dataset.name]?.name
}

function showPeople() {
  const users = Object.keys(state.people)
  const others = users.filter((user) => user !== state.me)
  byId('people').replaceChildren(...others.slice(-5).map((user) => el('li', {}, avatar(user))))
  byId('me').replaceChildren(avatar(state.me))
  byId('status').textContent = users.length === 1 ? 'Only you' : `${users.length} people`
  document.querySelectorAll('[data-name]').forEach(showName)
  for (const face of document.querySelectorAll('#messages [data-avatar]')) {
    face.replaceWith(avatar(face.dataset.avatar))
  }
}

const main = document.querySelector('main')
const toEnd = () => main.scrollTo(0, main.scrollHeight)
let lastTop = 0
/** Whoever reads the newest message goes on to do so, until they scroll up. */
main.onscroll = () => {
  if (main.scrollHeight - main.scrollTop - main.clientHeight < 40) atEnd = true
  else if (main.scrollTop < lastTop) atEnd = false
  lastTop = main.scrollTop
  byId('down').hidden = atEnd
}
const growth = new ResizeObserver(() => atEnd && toEnd())
growth.observe(main)
growth.observe(byId('messages'))
byId('down').onclick = toEnd

/** One sound at a time. */
document.addEventListener(
  'play',
  ({ target }) => {
    for (const audio of document.querySelectorAll('audio')) if (audio !== target) audio.pause()
  },
  true,
)

// What the server says

function listen() {
  const events = new EventSource('events')
  const on = (type, work) => events.addEventListener(type, ({ data }) => work(JSON.parse(data)))
  on('room', ({ messages, ...others }) => {
    Object.assign(state, others)
    byId('messages').ariaBusy = true
    messages.forEach(show)
    byId('messages').ariaBusy = false
    byId('empty').hidden = messages.length > 0
    showPeople()
  })
  on('person', ({ user, ...person }) => {
    state.people[user] = person
    showPeople()
  })
  on('message', show)
  events.onerror = () => {
    byId('status').textContent = 'Connecting again…'
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 3000)
  }
}
listen()

// What the user does

const text = byId('text')

/** A message that cannot be sent stays in its field. */
async function post(spoken) {
  const content = text.value.trim()
  if (content === '' || text.readOnly) return
  text.readOnly = true
  hearNext = spoken
  try {
    await send('POST', 'messages', { text: content, spoken })
    text.value = ''
  } catch (problem) {
    complain('The message was not sent', problem)
  }
  text.readOnly = false
  text.focus()
}

function complain(title, problem) {
  const reason = problem instanceof Problem ? problem.message : 'The browser does not allow it.'
  showCard(icon('alert'), title, el('p', {}, reason)).classList.add('failed')
}

function sendFiles(files) {
  for (const file of files) void upload(file, state.maxSize)
}

function showRecorder(isRecording) {
  byId('composer').hidden = isRecording
  byId('recorder').hidden = !isRecording
  byId(isRecording ? 'stop' : 'record').focus()
}

byId('composer').onsubmit = (event) => {
  event.preventDefault()
  void post(false)
}
byId('speak').onclick = () => post(true)
text.onkeydown = (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
  event.preventDefault()
  void post(false)
}
byId('picker').onchange = ({ target }) => {
  sendFiles([...target.files])
  target.value = ''
}
byId('record').onclick = async () => {
  try {
    const recording = await record(() => showRecorder(true))
    showRecorder(false)
    if (recording)
      await upload(recording.file, state.maxSize, { wave: recording.wave, seconds: recording.seconds })
  } catch (problem) {
    showRecorder(false)
    complain('Nothing can be recorded', problem)
  }
}
byId('me').onclick = () => editProfile(state.people[state.me].name, byId('me').firstChild)

document.onpaste = ({ clipboardData }) => sendFiles(clipboardData.files)
document.ondragover = (event) => {
  event.preventDefault()
  document.body.classList.toggle('dropping', event.dataTransfer.types.includes('Files'))
}
document.ondragleave = ({ relatedTarget }) => relatedTarget ?? document.body.classList.remove('dropping')
document.ondrop = (event) => {
  event.preventDefault()
  document.body.classList.remove('dropping')
  sendFiles(event.dataTransfer.files)
}
