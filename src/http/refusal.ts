/** A request that is refused for what it is, before or without any storage. */
export class Refusal extends Error {
  /** The HTTP status. */
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}
