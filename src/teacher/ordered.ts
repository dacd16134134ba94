import type { Device } from './device.js'
import type { TeacherOutput } from './run-rows.js'

/** Batches kept with each device: one runs, one waits, so that the device never idles while its last output is written. */
const IN_FLIGHT = 2

/**
 * Runs every batch on whichever device has the least to do and yields the outputs in the order of the batches.
 * At most 2 batches a device are in flight, so memory does not grow with the source.
 */
export async function* runInOrder<B extends { inputs: Uint8Array; rows: number }>(
  batches: AsyncIterable<B>,
  devices: Device[],
): AsyncGenerator<{ batch: B; output: TeacherOutput | undefined }> {
  const queue: { batch: B; output: Promise<TeacherOutput> | undefined }[] = []
  async function* settle(most: number) {
    while (queue.length > most) {
      const { batch, output } = queue.shift()!
      yield { batch, output: await output }
    }
  }
  for await (const batch of batches) {
    // A batch whose rows were all left out still takes its place: shards are counted in source rows.
    const output = batch.rows > 0 ? leastBusy(devices).run(batch.inputs, batch.rows) : undefined
    output?.catch(() => {}) // reported where it is awaited, in its turn
    queue.push({ batch, output })
    yield* settle(devices.length * IN_FLIGHT - 1)
  }
  yield* settle(0)
}

function leastBusy(devices: Device[]): Device {
  return devices.reduce((least, device) => (device.pending < least.pending ? device : least))
}
