// The first save to S3 of a fresh process, after the import: its time, the memory it takes and the packages it loads.
// node bench/first-save.mjs [runs]; STOWAGE_DIST names another build. Milliseconds and MiB, medians.
import { fork } from 'node:child_process'
import { Session } from 'node:inspector'
import { fileURLToPath } from 'node:url'
import { stowage } from './stowage.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const [, file, runs = '9', endpoint] = process.argv

if (endpoint === undefined) {
  const { server, endpoint } = await startServer()
  const lines = []
  for (let run = 0; run < Number(runs); run++)
    lines.push(await measure(run === 0 ? 'modules' : 'plain', endpoint))
  server.disconnect()
  const median = (field) =>
    lines
      .slice(1)
      .map((line) => line[field])
      .sort((a, b) => a - b)[(lines.length - 1) >> 1]
  process.stdout.write(
    `${JSON.stringify({ import: median('import'), save: median('save'), cpu: median('cpu'), rss: median('rss'), second: median('second'), loaded: lines[0].loaded })}\n`,
  )
} else {
  const session = new Session()
  session.connect()
  const urls = new Set()
  if (runs === 'modules') {
    session.on('Debugger.scriptParsed', ({ params: { url } }) => urls.add(url))
    session.post('Debugger.enable')
  }
  const begun = performance.now()
  const { R2Storage } = await stowage()
  const imported = performance.now()
  const keys = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' }
  const storage = new R2Storage({ bucket: 'bench', endpoint, region: 'us-east-1', ...keys })
  const before = process.memoryUsage.rss()
  const cpuBefore = process.cpuUsage()
  const start = performance.now()
  await storage.save('first.txt', 'hello')
  const saved = performance.now()
  const cpu = process.cpuUsage(cpuBefore)
  const rss = process.memoryUsage.rss()
  await storage.save('second.txt', 'hello')
  const second = performance.now() - saved
  const packages = [...urls].flatMap((url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1] ?? [])
  process.send({
    import: Number((imported - begun).toFixed(1)),
    save: Number((saved - start).toFixed(1)),
    rss: Number(((rss - before) / 2 ** 20).toFixed(1)),
    cpu: Number(((cpu.user + cpu.system) / 1000).toFixed(1)),
    second: Number(second.toFixed(1)),
    loaded: [...new Set(packages)],
  })
}

/** `modules`: with the debugger on, which sees what is loaded, and takes time and memory. */
function measure(mode, endpoint) {
  return new Promise((resolve, reject) => {
    const child = fork(file, [mode, endpoint])
    child.once('message', (line) => {
      resolve(line)
      child.kill()
    })
    child.once('error', reject)
  })
}

async function startServer() {
  const server = fork(`${here}server.mjs`)
  const endpoint = await new Promise((resolve) =>
    server.once('message', (message) => resolve(message.endpoint)),
  )
  return { server, endpoint }
}
