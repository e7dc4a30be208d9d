import { type Content, defaultStorage, userAvatarPath } from 'stowage'

export async function setAvatar(userId: number, picture: Content): Promise<string> {
  const options = { ifExists: 'overwrite', allowedTypes: ['image/png'], maxSize: 1024 * 1024 } as const
  const name = await defaultStorage.save(userAvatarPath(userId, 'avatar.png'), picture, options)
  return defaultStorage.url(name)
}
