// node start.mjs [<contestant> <disk or s3> <server>]: imports a package and saves one small file in the working directory
// or on the server. Prints CPU time and memory of the process. Without arguments it does nothing else.
const [, , name, backend, server] = process.argv
if (name) {
  const { load } = await import('./contestants.mjs')
  const { disk, s3 } = await load(name)
  const storage = await (backend === 'disk' ? disk(process.cwd()) : s3(JSON.parse(server)))
  await storage.save('a.txt', Buffer.from('hello'))
}
const { user, system } = process.cpuUsage()
process.stdout.write(`${user + system} ${process.memoryUsage.rss()}\n`, () => process.exit())
