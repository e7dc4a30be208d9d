const FLAGS: readonly (readonly [option: RegExp, flag: string])[] = [
  [/ifExists: '(\w+)'/g, '--if-exists $1'],
  [/force: true/g, '--force'],
  [/maxDeletes/g, '--max-deletes'],
  [/(: )expiresIn must be .*/, '$1--expires must be a time from 1s to 7d'],
  [/(: )contentType must/, '$1--type must'],
  [/(: )cacheControl must/, '$1--cache-control must'],
  [/(: )concurrency must/, '$1--concurrency must'],
  [/(: )depth must/, '$1--depth must'],
  [/(: )headers must be an array of/, '$1--header takes'],
  [/(: )origins must be an array of/, '$1--set takes'],
]

/** A message of the library in the words of the command line. */
export function inFlags(message: string): string {
  return FLAGS.reduce((text, [option, flag]) => text.replace(option, flag), message)
}
