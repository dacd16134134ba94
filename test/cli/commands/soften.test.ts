import { expect, it } from 'vitest'
import { eventsOf, runCommand } from '../output.js'

it("prints the soft targets of Hinton's example to four places", async () => {
  const { out } = await runCommand('soften', '1,2,3', '-T', '1', '-T', '5')
  expect(out).toBe('T=1  {0.0900, 0.2447, 0.6652}\nT=5  {0.2693, 0.3289, 0.4018}\n')
})

it('takes T = 1 where none is given, and negative logits behind --', async () => {
  const { out } = await runCommand('soften', '--json', '--', '-1,0')
  const [event, ...more] = eventsOf(out)
  const p = 1 / (1 + Math.E)
  expect(event).toMatchObject({ type: 'soft-targets', temperature: 1 })
  expect((event!.targets as number[])[0]).toBeCloseTo(p, 12)
  expect(more).toEqual([])
})

it.each([['a,b'], ['1,,2'], ['1,Infinity'], ['']])('refuses the logits %j', async (text) => {
  const error = await runCommand('soften', text).catch((error) => error)
  expect(error).toMatchObject({
    code: 'commander.invalidArgument',
    message: expect.stringMatching(/a logit is a number/),
  })
})
