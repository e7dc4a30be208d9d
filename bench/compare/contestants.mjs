/** The columns of the table, in order. Each has a module in contestants/, loaded alone in a process of its own. */
export const CONTESTANTS = ['stowage', 'flydrive', 'files-sdk', 'flystorage', 'aws-sdk']

export const load = (name) => import(`./contestants/${name}.mjs`)
