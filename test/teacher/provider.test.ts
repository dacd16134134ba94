import { describe, expect, it } from 'vitest'
import { chooseProvider, missingFor, sessionOptions, shareCores } from '../../src/teacher/provider.js'

const hasCuda = missingFor('cuda') === undefined

describe('choosing a provider', () => {
  it('takes cpu where it is asked for, with its one device', () => {
    expect(chooseProvider('cpu')).toEqual({ provider: 'cpu', devices: [0], why: '--provider cpu' })
    expect(() => chooseProvider('cpu', [0, 1])).toThrow('provider cpu has one device, 0; found --device 0,1')
  })

  it.skipIf(hasCuda)('says why auto takes cpu, and never drops devices that were asked for', () => {
    expect(chooseProvider('auto')).toMatchObject({ provider: 'cpu', devices: [0] })
    expect(chooseProvider('auto').why).toMatch(/^auto: no CUDA provider/)
    expect(() => chooseProvider('auto', [0, 1])).toThrow(/^--device 0,1 needs cuda; provider cuda: /)
  })
})

it('a session runs on the provider alone, so that what it cannot run is an error and no detour', () => {
  expect(sessionOptions('cuda', 3).executionProviders).toEqual([{ name: 'cuda', deviceId: 3 }])
  expect(sessionOptions('cpu', 0).executionProviders).toEqual(['cpu'])
})

it('gives each core a session of a small teacher, a large teacher all cores together, a GPU one session', () => {
  const long = { seconds: 60 }
  expect(shareCores('cpu', { ...long, weightBytes: 5e6 }, 16)).toEqual({ sessions: 16, threads: 1 })
  expect(shareCores('cpu', { ...long, weightBytes: 3e8 }, 16)).toEqual({ sessions: 3, threads: 5 })
  expect(shareCores('cpu', { ...long, weightBytes: 4e9 }, 16)).toEqual({ sessions: 1, threads: 16 })
  expect(shareCores('cpu', { ...long, weightBytes: 5e6 }, 1)).toEqual({ sessions: 1, threads: 1 })
  expect(shareCores('cpu', { seconds: 0.5, weightBytes: 5e6 }, 16)).toEqual({ sessions: 1 })
  expect(shareCores('cuda', { ...long, weightBytes: 5e6 }, 16)).toEqual({ sessions: 1 })
})
