// The guides are unfolded for whoever comes for the first time. Some browsers keep nothing for files.
try {
  const key = 'tsd-accordion-Guides'
  if (localStorage.getItem(key) === null) localStorage.setItem(key, 'true')
} catch {}
