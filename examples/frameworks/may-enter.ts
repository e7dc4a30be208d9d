/** Stands for your application's own check of a user. */
export function mayEnter(room: string, authorization: string | null | undefined): boolean {
  return authorization === `Bearer member-of-${room}`
}
