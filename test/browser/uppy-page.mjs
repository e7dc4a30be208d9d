/** The page of the test: runs in Chromium, bundled. A user picks a file, and picks it again after a reload. */

import AwsS3 from '@uppy/aws-s3'
import Uppy from '@uppy/core'

/** Uploads the picked file. What Uppy knows of the upload outlives the page, and goes on where that was left. */
function upload(name) {
  const uppy = new Uppy().use(AwsS3, {
    companionEndpoint: location.origin,
    shouldUseMultipart: true,
    getChunkSize: () => 8 * 1024 * 1024,
  })
  const [data] = document.querySelector('input').files
  const id = uppy.addFile({ name, type: 'image/png', data })
  const kept = localStorage.getItem(name)
  // Golden Retriever does the same for files that it keeps itself.
  if (kept) uppy.setFileState(id, { s3Multipart: JSON.parse(kept) })
  window.parts = 0
  uppy.on('s3-multipart:part-uploaded', (file) => {
    window.parts += 1
    const { s3Multipart } = uppy.getFile(file.id)
    if (s3Multipart) localStorage.setItem(name, JSON.stringify(s3Multipart))
  })
  return new Promise((resolve) => {
    uppy.on('upload-success', (_, { body }) => resolve({ key: body.key, location: body.location }))
    uppy.on('upload-error', (_, error) => resolve({ error: error.message }))
    void uppy.upload()
  })
}

window.upload = upload
