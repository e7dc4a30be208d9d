import { randomUUID } from 'node:crypto'
import { isStorageError, defaultStorage as storage } from 'stowage'

/** Somebody in a room. `avatar` is the version of the picture; 0 is none. */
interface Person {
  name: string
  avatar: number
}

/** `name` is the one in the storage, `filename` the one that the user knows. */
interface SharedFile {
  name: string
  filename: string
  contentType: string
  size: number
}

interface Content {
  text?: string
  file?: SharedFile
  /** The text is also spoken. The file follows when the speech is stored. */
  spoken?: boolean
  /** Loudness of a recording, one digit a bar, and its length in seconds. */
  wave?: string
  seconds?: number
}

interface Message extends Content {
  id: string
  at: number
  user: string
}

type Listener = (event: string, data: unknown) => void

const KEPT = 500

/** The people and messages of one room: in memory, and as a JSON file in the storage. */
export class Room {
  readonly people: Record<string, Person> = {}
  readonly messages: Message[] = []
  readonly #name: string
  readonly #listeners = new Set<Listener>()
  #saving: Promise<unknown> = Promise.resolve()

  private constructor(id: string) {
    this.#name = `rooms/${id}.json`
  }

  static async load(id: string): Promise<Room> {
    const room = new Room(id)
    try {
      const { people, messages }: Room = JSON.parse(await (await storage.open(room.#name)).text())
      Object.assign(room.people, people)
      room.messages.push(...messages)
    } catch (error) {
      if (!(isStorageError(error) && error.code === 'NotFound')) throw error
    }
    return room
  }

  find(id: string): Message | undefined {
    return this.messages.find((message) => message.id === id)
  }

  /** Everyone in the room sees the message once it is stored. */
  async add(user: string, content: Content): Promise<Message> {
    const message = { id: randomUUID(), at: Date.now(), user, ...content }
    if (message.file) message.file = toShared(message.file)
    this.messages.push(message)
    try {
      await this.#save()
    } catch (error) {
      this.messages.splice(this.messages.indexOf(message), 1)
      throw error
    }
    this.messages.splice(0, this.messages.length - KEPT)
    this.#tell('message', message)
    return message
  }

  async attach(message: Message, file: SharedFile): Promise<void> {
    message.file = toShared(file)
    this.#tell('message', message)
    await this.#save()
  }

  async meet(user: string, person: Person): Promise<void> {
    this.people[user] = person
    this.#tell('person', { user, ...person })
    await this.#save()
  }

  /** Returns a function that leaves again. */
  join(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #tell(event: string, data: unknown): void {
    for (const listener of this.#listeners) listener(event, data)
  }

  /** One after another, so that the last one to be written is the newest. */
  #save(): Promise<unknown> {
    const save = () => {
      const { people, messages } = this
      return storage.save(this.#name, JSON.stringify({ people, messages }), { ifExists: 'overwrite' })
    }
    this.#saving = this.#saving.then(save, save)
    return this.#saving
  }
}

function toShared({ name, filename, contentType, size }: SharedFile): SharedFile {
  return { name, filename, contentType, size }
}

const rooms = new Map<string, Promise<Room>>()

/** The room of an id; a new one is empty. */
export function roomOf(id: string): Promise<Room> {
  const room = rooms.get(id) ?? Room.load(id)
  rooms.set(id, room)
  room.catch(() => rooms.delete(id))
  return room
}
