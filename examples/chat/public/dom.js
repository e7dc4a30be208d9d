/** Makes an element. Text is always text: nothing that a user wrote becomes markup. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else if (value !== undefined && value !== false) element.setAttribute(name, value)
  }
  element.append(...children)
  return element
}

export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use')
  svg.setAttribute('aria-hidden', 'true')
  use.setAttribute('href', `/icons.svg#${name}`)
  svg.append(use)
  return svg
}

export function button(name, label, onclick) {
  return el(
    'button',
    { type: 'button', class: 'round', title: label, 'aria-label': label, onclick },
    icon(name),
  )
}

export const byId = (id) => document.getElementById(id)

export const next = (target, event) =>
  new Promise((resolve) => target.addEventListener(event, resolve, { once: true }))

export const clock = (seconds) =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`

export const bytes = (size) =>
  size < 2 ** 20 ? `${Math.ceil(size / 1024)} KB` : `${Math.round((size / 2 ** 20) * 10) / 10} MB`
