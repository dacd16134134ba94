import { FormatError } from '../errors.js'

/** What a block, a column or a batch may unpack to whatever its bytes in the file: no more than a machine of today has to spare. */
const FREE_BYTES = 2 ** 28
/** Beyond that, so many bytes for each in the file. Columns of one value reach thousands, but not of such sizes in files that people keep. */
const RATIO = 128
/** A value that is not in the file (a null, one of a run) takes a place in an array. */
export const VALUE_BYTES = 8

/** Bytes that `packed` bytes of a file may unpack to. */
export const mostUnpacked = (packed: number): number => Math.max(FREE_BYTES, RATIO * packed)

/** @throws FormatError where `packed` bytes of a file claim to hold far more than they could. `what` begins the message */
export function checkUnpacked(what: string, { unpacked, packed }: { unpacked: number; packed: number }): void {
  const most = mostUnpacked(packed)
  if (!(unpacked >= 0 && unpacked <= most))
    throw new FormatError(
      `${what}: ${packed} bytes that unpack to ${unpacked}, at most ${most} are read; write the file with smaller row groups or batches`,
    )
}
