import type { Device } from './device.js'
import type { Feeds, TeacherOutput } from './run-rows.js'

/** Batches kept with each device: one runs and two wait; more of them where they are small, so that the device never idles while the writer flushes. */
const IN_FLIGHT = { least: 3, most: 8, bytes: 16 * 2 ** 20 }

/**
 * Runs every batch on whichever device has the least to do and yields the outputs in the order of the batches; an output is usable until the next is asked for.
 * At most 8 batches of together 16 MiB with their outputs a device, or 3 larger ones, are in flight, so memory does not grow with the source.
 */
export async function* runInOrder<B extends { rows: number }>(
  batches: AsyncIterable<B>,
  devices: Device[],
  options: {
    feed: (batch: B) => Feeds
    batch: number
    /** Of a row, input and targets. */
    rowBytes: number
  },
): AsyncGenerator<{ batch: B; output: TeacherOutput | undefined }> {
  const queue: { batch: B; device: Device; output: Promise<TeacherOutput> | undefined }[] = []
  async function* settle(most: number) {
    while (queue.length > most) {
      const { batch, device, output: running } = queue.shift()!
      const output = await running
      yield { batch, output }
      if (output) device.takeBack(output)
    }
  }
  for await (const batch of batches) {
    const depth = Math.floor(IN_FLIGHT.bytes / Math.max(1, batch.rows * options.rowBytes))
    // A batch whose rows were all left out still takes its place: shards are counted in source rows.
    const device = leastBusy(devices)
    const output = batch.rows > 0 ? device.run(options.feed(batch), batch.rows, options.batch) : undefined
    output?.catch(() => {}) // reported where it is awaited, in its turn
    queue.push({ batch, device, output })
    yield* settle(devices.length * Math.min(Math.max(depth, IN_FLIGHT.least), IN_FLIGHT.most) - 1)
  }
  yield* settle(0)
}

function leastBusy(devices: Device[]): Device {
  return devices.reduce((least, device) => (device.pending < least.pending ? device : least))
}
