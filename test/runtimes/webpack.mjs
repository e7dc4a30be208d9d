import { createRequire } from 'node:module'
import webpack from 'webpack'

const config = createRequire(import.meta.url)('./webpack.config.cjs')
webpack(config, (error, stats) => {
  if (error) throw error
  if (stats.hasErrors() || stats.hasWarnings()) console.log(stats.toString('errors-warnings'))
  if (stats.hasErrors()) process.exitCode = 1
})
