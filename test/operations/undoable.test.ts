import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import {
  type DeleteFailure,
  type DeleteManyError,
  MemoryStorage,
  type Storage,
  type UndoableUnit,
  undoable,
} from 'stowage'
import { afterEach, describe, it } from 'vitest'
import { failingDeletes, namesIn, STORAGES } from './storages.js'

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

describe.each(STORAGES)('undoable on %s', (_, make) => {
  async function filled() {
    const { storage, close } = await make()
    closing.push(close)
    await storage.save('old', 'old')
    await storage.save('source', 'source')
    return storage
  }

  async function change(unit: UndoableUnit): Promise<void> {
    assert.equal(await unit.save('new', 'new'), 'new')
    assert.match(await unit.save('old', 'other'), /^old_/)
    assert.equal(await unit.copy('source', 'copy'), 'copy')
    assert.equal(await unit.move('source', 'moved'), 'moved')
    await unit.delete('old')
    await unit.delete('never there')
  }

  it('keeps everything with a commit', async () => {
    const storage = await filled()
    const unit = undoable(storage)
    await change(unit)
    const before = await namesIn(storage)
    assert.deepEqual(
      [...before].filter((name) => !name.startsWith('old_')),
      ['copy', 'moved', 'new', 'old', 'source'],
    )
    await unit.commit()
    const after = await namesIn(storage)
    assert.deepEqual(
      after.filter((name) => !name.startsWith('old_')),
      ['copy', 'moved', 'new'],
    )
    assert.equal(after.length, 4)
  })

  it('undoes everything with a rollback', async () => {
    const storage = await filled()
    const unit = undoable(storage)
    await change(unit)
    await unit.rollback()
    assert.deepEqual(await namesIn(storage), ['old', 'source'])
    assert.equal(await (await storage.open('old')).text(), 'old')
  })
})

describe('undoable', () => {
  async function filled(...names: string[]): Promise<Storage> {
    const storage = new MemoryStorage()
    for (const name of names) await storage.save(name, name)
    return storage
  }

  it.each([
    ['save', (unit: UndoableUnit) => unit.save('a', 'x', { ifExists: 'overwrite' })],
    ['copy', (unit: UndoableUnit) => unit.copy('a', 'b', { ifExists: 'overwrite' })],
    ['move', (unit: UndoableUnit) => unit.move('a', 'b', { ifExists: 'overwrite' })],
  ])('cannot overwrite by %s', async (operation, call) => {
    const storage = await filled('a', 'b')
    await assert.rejects(call(undoable(storage)), { code: 'Unsupported', operation, file: 'a' })
    assert.equal(await (await storage.open('b')).text(), 'b')
  })

  it('refuses every call after its end', async () => {
    const ends: ((unit: UndoableUnit) => Promise<void>)[] = [
      (unit) => unit.commit(),
      (unit) => unit.rollback(),
    ]
    for (const end of ends) {
      const storage = await filled('a')
      const unit = undoable(storage)
      await end(unit)
      const stream = Readable.from(['x'])
      const calls = [
        unit.save('b', stream),
        unit.copy('a', 'b'),
        unit.move('a', 'b'),
        unit.delete('a'),
        unit.deleteMany(['a']),
        unit.commit(),
        unit.rollback(),
      ]
      for (const call of calls) await assert.rejects(call, { code: 'InvalidArgument' })
      assert.equal(stream.destroyed, true)
      assert.deepEqual(await namesIn(storage), ['a'])
    }
  })

  it('checks names when they are given, and deletes none of a list with a wrong one', async () => {
    const storage = await filled('a')
    const unit = undoable(storage)
    await assert.rejects(unit.delete('../a'), { code: 'InvalidName', operation: 'delete', file: '../a' })
    await assert.rejects(unit.deleteMany(['a', '/b']), { code: 'InvalidName', operation: 'deleteMany' })
    await assert.rejects(unit.move('a', '../b'), { code: 'InvalidName', operation: 'move' })
    await unit.commit()
    assert.deepEqual(await namesIn(storage), ['a'])
  })

  it('leaves a file alone that is moved onto itself', async () => {
    const storage = await filled('a')
    const unit = undoable(storage)
    assert.equal(await unit.move('a', './a'), 'a')
    await assert.rejects(unit.move('none', 'none'), { code: 'NotFound' })
    await unit.commit()
    assert.deepEqual(await namesIn(storage), ['a'])
  })

  it('keeps what is saved after its delete', async () => {
    const storage = await filled()
    const unit = undoable(storage)
    await unit.delete('a')
    assert.equal(await unit.save('a', 'x'), 'a')
    await unit.save('b', 'x')
    await unit.delete('b')
    await unit.commit()
    assert.deepEqual(await namesIn(storage), ['a'])
  })

  it('waits for saves that still run', async () => {
    for (const end of ['commit', 'rollback'] as const) {
      const storage = await filled()
      const unit = undoable(storage)
      const open = new Readable({ read() {} })
      const saved = unit.save('late', open)
      const ending = unit[end]()
      open.push('x')
      open.push(null)
      await Promise.all([saved, ending])
      assert.deepEqual(await namesIn(storage), end === 'commit' ? ['late'] : [])
    }
  })

  it('waits for a move that nobody has waited for', async () => {
    for (const end of ['commit', 'rollback'] as const) {
      const storage = await filled('a')
      const unit = undoable(storage)
      const moved = unit.move('a', 'b')
      await unit[end]()
      assert.equal(await moved, 'b')
      assert.deepEqual(await namesIn(storage), end === 'commit' ? ['b'] : ['a'])
    }
  })

  it('rolls back what `await using` leaves', async () => {
    const storage = await filled()
    const fail = async () => {
      await using unit = undoable(storage)
      await unit.save('a', 'x')
      throw new Error('the database failed')
    }
    await assert.rejects(fail(), /the database failed/)
    {
      await using unit = undoable(storage)
      await unit.save('b', 'x')
      await unit.commit()
    }
    assert.deepEqual(await namesIn(storage), ['b'])
  })

  it('names every file that it could not delete, by a commit and by a rollback', async () => {
    const named = (operation: string, names: string[]) => (error: DeleteManyError) => {
      const { code, operation: by, storage } = error
      assert.deepEqual([code, by, storage], ['PartialDelete', operation, 'MemoryStorage'])
      assert.deepEqual(
        error.failures.map(({ name }) => name),
        names,
      )
      return true
    }
    for (const isBroken of [(name: string) => name === 'a', () => true]) {
      const storage = await filled('a', 'b')
      const unit = undoable(failingDeletes(storage, isBroken))
      await unit.deleteMany(new Set(['a', 'b']))
      await assert.rejects(unit.commit(), named('commit', ['a', 'b'].filter(isBroken)))
      await assert.rejects(unit.commit(), { code: 'InvalidArgument' })
      const other = undoable(failingDeletes(storage, (name) => name === 'x'))
      await other.save('x', '1')
      await other.save('y', '1')
      await assert.rejects(other.rollback(), named('rollback', ['x']))
    }
  })

  it('names them also where the storage fails as a whole, or the caller has enough', async () => {
    const storage = await filled('a', 'b')
    const unit = undoable(storage)
    await unit.deleteMany(['a', 'b'])
    await assert.rejects(unit.commit({ signal: AbortSignal.abort() }), (error) => {
      const failures: DeleteFailure[] = Reflect.get(Object(error), 'failures')
      assert.deepEqual(
        failures.map(({ name, error: { code } }) => [name, code]),
        [
          ['a', 'Aborted'],
          ['b', 'Aborted'],
        ],
      )
      return true
    })
  })
})
