import type { Staged } from '../driver.js'
import type { Name } from '../names.js'
import type { CompletedUpload, PartReceiver, UploadDriver } from '../upload-driver.js'

/** Another driver's uploads under other names. `relative` is undefined for a name that has none here. */
export function renamed(
  inner: UploadDriver,
  full: (name: Name) => Name,
  relative: (full: Name) => Name | undefined,
): UploadDriver {
  const to = <Request extends { readonly name: Name }>(request: Request): Request => ({
    ...request,
    name: full(request.name),
  })
  const { receiver } = inner
  return {
    create: (request) => inner.create(to(request)),
    list: (request) => inner.list(to(request)),
    signPart: (request) => inner.signPart(to(request)),
    complete: async (request) => {
      const publishing = (staged: Staged): Staged => ({
        publish: (name, createOnly) => staged.publish(full(name), createOnly),
        discard: () => staged.discard(),
      })
      return staging(await inner.complete(to(request)), publishing)
    },
    isPublished: (request, as) => inner.isPublished(to(request), full(as)),
    abort: (request) => inner.abort(to(request)),
    receiver: receiver && renamedReceiver(receiver, to, relative),
  }
}

function renamedReceiver(
  receiver: PartReceiver,
  to: <Request extends { readonly name: Name }>(request: Request) => Request,
  relative: (full: Name) => Name | undefined,
): PartReceiver {
  return {
    verify: (address) => {
      const grant = receiver.verify(address)
      const name = grant && relative(grant.name)
      return name === undefined ? undefined : { name }
    },
    store: (request) => receiver.store(to(request)),
  }
}

/** Another driver's uploads, whose publication goes through `guard`. */
export function guarded(
  inner: UploadDriver,
  guard: (staged: Staged, signal: AbortSignal | undefined) => Staged,
): UploadDriver {
  return {
    create: (request) => inner.create(request),
    list: (request) => inner.list(request),
    signPart: (request) => inner.signPart(request),
    complete: async (request) =>
      staging(await inner.complete(request), (staged) => guard(staged, request.signal)),
    isPublished: (request, as) => inner.isPublished(request, as),
    abort: (request) => inner.abort(request),
    receiver: inner.receiver,
  }
}

function staging(completed: CompletedUpload, change: (staged: Staged) => Staged): CompletedUpload {
  return {
    size: completed.size,
    contentType: completed.contentType,
    sample: () => completed.sample(),
    stage: async (contentType) => change(await completed.stage(contentType)),
    discard: () => completed.discard(),
  }
}
