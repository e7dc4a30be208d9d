import type { NextFunction, Request, Response } from 'express'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** Stands for your application's own check of a user. */
export function mayEnter(room: string | undefined, authorization: string | null | undefined): boolean {
  return authorization === `Bearer member-of-${room}`
}

/** The same for Express. */
export function members(req: Request, res: Response, next: NextFunction): void {
  if (mayEnter(String(req.params.room), req.headers.authorization)) next()
  else res.sendStatus(403)
}

/** The same for Fastify. */
export async function onlyMembers({ params, headers }: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { room } = params as { room?: string }
  if (room !== undefined && !mayEnter(room, headers.authorization)) await reply.code(403).send()
}

/** Stands for your application's own sign-in. Express finds the user in `res.locals` afterwards. */
export function signedIn(req: Request, res: Response, next: NextFunction): void {
  const [, user] = /^Bearer user-(\d+)$/.exec(req.headers.authorization ?? '') ?? []
  if (user === undefined) return void res.sendStatus(401)
  res.locals.user = user
  next()
}
