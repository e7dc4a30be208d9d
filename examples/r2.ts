import { R2Storage, setDefaultStorage } from 'stowage'

/** For applications whose settings are not in the environment. */
export function useR2(settings: { accountId: string; bucket: string; keyId: string; secret: string }): void {
  // #region r2-in-code
  const storage = new R2Storage({
    accountId: settings.accountId,
    bucket: settings.bucket,
    accessKeyId: settings.keyId,
    secretAccessKey: settings.secret,
    publicBaseUrl: 'https://cdn.example.com',
  })
  setDefaultStorage(storage)
  // #endregion
}
