import { byId } from './dom.js'
import { sendForm } from './requests.js'

const SIZE = 256
const canvas = byId('picture')
const paper = canvas.getContext('2d')

/** Shows who the user is. `face` is the element of the picture or letter that is shown now. */
export function editProfile(name, face) {
  const image = face.querySelector('img')
  paper.fillStyle = getComputedStyle(face).backgroundColor
  paper.fillRect(0, 0, SIZE, SIZE)
  if (image) paper.drawImage(image, 0, 0, SIZE, SIZE)
  byId('name').value = name
  byId('profile-problem').textContent = ''
  byId('profile').showModal()
}

/** The middle of a picture, as a square. */
byId('picture-file').onchange = async ({ target }) => {
  try {
    const image = await createImageBitmap(target.files[0])
    const side = Math.min(image.width, image.height)
    paper.drawImage(image, (image.width - side) / 2, (image.height - side) / 2, side, side, 0, 0, SIZE, SIZE)
  } catch {
    byId('profile-problem').textContent = 'This picture cannot be read.'
  }
}

byId('profile-cancel').onclick = () => byId('profile').close()

byId('profile').onsubmit = async (event) => {
  event.preventDefault()
  try {
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.85))
    await sendForm('me', { name: byId('name').value }, new File([blob], 'avatar.jpg'), { limit: 1e6 })
    byId('profile').close()
  } catch ({ message }) {
    byId('profile-problem').textContent = message
  }
}
