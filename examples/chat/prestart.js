// `npm start` runs this first. In the repository of stowage it builds the package once. With stowage from npm there is
// nothing to build, and nothing happens.
import { execSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const built = fileURLToPath(import.meta.resolve('stowage'))
if (!existsSync(built)) {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  console.log('Building stowage: this takes a minute, and happens once.')
  execSync('npm ci && npm run build', { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
}
