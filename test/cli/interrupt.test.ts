import { expect, it, vi } from 'vitest'
import { interruptible, isStopping } from '../../src/cli/interrupt.js'

it.each(['SIGINT', 'SIGTERM'] as const)(
  'the first %s asks to stop, the second kills by the same signal',
  async (name) => {
    const listeners = process.listenerCount(name)
    const kill = vi.spyOn(process, 'kill').mockReturnValue(true)
    const told = vi.fn()
    await interruptible(async (signal) => {
      expect(signal.aborted).toBe(false)
      process.emit(name, name)
      expect(signal.aborted).toBe(true)
      expect(kill).not.toHaveBeenCalled()
      process.emit(name, name)
      expect(kill).toHaveBeenCalledWith(process.pid, name)
      expect(process.listenerCount(name)).toBe(listeners) // so that the signal does what it does by default
    }, told)
    expect(told).toHaveBeenCalledOnce()
    kill.mockRestore()
  },
)

it('a terminal that is closed, SIGHUP once or twice and no place to write to, asks to stop and kills nothing', async () => {
  const kill = vi.spyOn(process, 'kill').mockReturnValue(true)
  const told = vi.fn()
  await interruptible(async (signal) => {
    process.emit('SIGHUP', 'SIGHUP')
    expect(signal.aborted).toBe(true)
    expect(isStopping()).toBe(true)
    process.emit('SIGHUP', 'SIGHUP')
    expect(kill).not.toHaveBeenCalled()
    process.emit('SIGTERM', 'SIGTERM') // but who asks again is heard
    expect(kill).toHaveBeenCalledWith(process.pid, 'SIGTERM')
  }, told)
  expect(told).toHaveBeenCalledOnce()
  expect(isStopping()).toBe(false)
  kill.mockRestore()
})

it('leaves the signals alone when the work is done, or has failed', async () => {
  const before = process.listenerCount('SIGINT')
  expect(await interruptible(async () => 7, vi.fn())).toBe(7)
  await expect(interruptible(() => Promise.reject(new Error('no')), vi.fn())).rejects.toThrow('no')
  expect(process.listenerCount('SIGINT')).toBe(before)
})
