// The contestants of the filesystem cases: the bare system calls, stowage, and the peers' local drivers. Each has its
// own folder on the same disk. Only stowage and the floor never overwrite; files-sdk writes all or nothing as well.
import fs from 'node:fs'
import { join } from 'node:path'
import { stowage } from './stowage.mjs'

export const FS_CONTESTANTS = {
  floor: ofSystemCalls,
  stowage: ofStowage,
  flydrive: ofFlydrive,
  'files-sdk': ofFilesSdk,
  flystorage: ofFlystorage,
  unstorage: ofUnstorage,
}

const { O_CREAT, O_EXCL, O_RDONLY, O_WRONLY } = fs.constants

/** The cheapest way in Node: callbacks, and one promise for each operation. */
function ofSystemCalls(root) {
  const temp = join(root, '.temp')
  fs.mkdirSync(temp, { recursive: true })
  let serial = 0

  function save(name, bytes, durable, overwrite, resolve, reject) {
    const target = `${root}/${name}`
    const path = `${temp}/${serial++}`
    const published = (error) => {
      if (error) return reject(error)
      let open = 2
      const end = (failed) => {
        if (failed) reject(failed)
        else if (--open === 0) resolve()
      }
      if (overwrite) end()
      else fs.unlink(path, end)
      if (durable) syncFolder(target.slice(0, target.lastIndexOf('/')), end)
      else end()
    }
    fs.open(path, O_WRONLY | O_CREAT | O_EXCL, 0o644, (error, fd) => {
      if (error) return reject(error)
      const close = (failed) => {
        if (failed) return reject(failed)
        fs.close(fd, (notClosed) => {
          if (notClosed) reject(notClosed)
          else if (overwrite) fs.rename(path, target, published)
          else fs.link(path, target, published)
        })
      }
      fs.write(fd, bytes, 0, bytes.length, null, (notWritten) => {
        if (notWritten || !durable) close(notWritten)
        else fs.fsync(fd, close)
      })
    })
  }

  const saving = (durable, overwrite) => (name, bytes) =>
    new Promise((resolve, reject) => save(name, bytes, durable, overwrite, resolve, reject))

  return {
    save: saving(false, false),
    saveOver: saving(false, true),
    saveDurable: saving(true, false),
    open: (name) =>
      new Promise((resolve, reject) => {
        fs.open(`${root}/${name}`, O_RDONLY, (error, fd) => {
          if (error) return reject(error)
          fs.fstat(fd, (unknown, stats) => {
            if (unknown) return reject(unknown)
            const bytes = Buffer.allocUnsafe(stats.size)
            fs.read(fd, bytes, 0, bytes.length, 0, (unread) => {
              fs.close(fd, (unclosed) => (unread || unclosed ? reject(unread ?? unclosed) : resolve(bytes)))
            })
          })
        })
      }),
    exists: (name) =>
      new Promise((resolve, reject) => {
        fs.stat(`${root}/${name}`, (error) => (error ? reject(error) : resolve(true)))
      }),
  }
}

function syncFolder(path, done) {
  fs.open(path, O_RDONLY, (error, fd) => {
    if (error) return done(error)
    fs.fsync(fd, (failed) => fs.close(fd, (unclosed) => done(failed ?? unclosed)))
  })
}

async function ofStowage(root) {
  const { FileSystemStorage } = await stowage()
  const storage = new FileSystemStorage({ location: root, fsync: false })
  const durable = new FileSystemStorage({ location: root })
  return {
    save: (name, bytes) => storage.save(name, bytes),
    saveOver: (name, bytes) => storage.save(name, bytes, { ifExists: 'overwrite' }),
    saveDurable: (name, bytes) => durable.save(name, bytes),
    open: async (name) => (await storage.open(name)).bytes(),
    exists: (name) => storage.exists(name),
  }
}

/** The peers have one kind of save, without `fsync`. All except files-sdk write straight into the file. */
const plain = (save, open, exists) => ({ save, saveOver: save, open, exists })

async function ofFlydrive(root) {
  const { Disk } = await import('flydrive')
  const { FSDriver } = await import('flydrive/drivers/fs')
  const disk = new Disk(new FSDriver({ location: root, visibility: 'private' }))
  return plain(
    (name, bytes) => disk.put(name, bytes),
    (name) => disk.getBytes(name),
    (name) => disk.exists(name),
  )
}

async function ofFilesSdk(root) {
  const { Files } = await import('files-sdk')
  const { fs: adapter } = await import('files-sdk/fs')
  const files = new Files({ adapter: adapter({ root }) })
  return plain(
    (name, bytes) => files.upload(name, bytes),
    async (name) => (await files.download(name)).arrayBuffer(),
    (name) => files.exists(name),
  )
}

async function ofFlystorage(root) {
  const { FileStorage } = await import('@flystorage/file-storage')
  const { LocalStorageAdapter } = await import('@flystorage/local-fs')
  const storage = new FileStorage(new LocalStorageAdapter(root))
  return plain(
    (name, bytes) => storage.write(name, bytes),
    (name) => storage.readToUint8Array(name),
    (name) => storage.fileExists(name),
  )
}

async function ofUnstorage(root) {
  const { createStorage } = await import('unstorage')
  const { default: driver } = await import('unstorage/drivers/fs')
  const storage = createStorage({ driver: driver({ base: root }) })
  return plain(
    (name, bytes) => storage.setItemRaw(name, bytes),
    (name) => storage.getItemRaw(name),
    (name) => storage.hasItem(name),
  )
}
