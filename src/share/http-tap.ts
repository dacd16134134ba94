import type { Agent, ClientRequestArgs, IncomingMessage } from 'node:http'
import type { NetConnectOpts, Socket } from 'node:net'

// node:http hands a body out in pieces of 64 KiB, each in memory of its own and through two queues, which costs more than receiving it. With
// `onread` a socket's bytes arrive in one piece of memory, again and again. All of them go to node's parser, as ever, until the body of a large answer
// is tapped: what is left of it then goes to its reader past the parser, and the connection is closed behind it.

/** Read at once; less where less has come. */
const PIECE = 2 ** 18
/** Of smaller bodies the connection is worth more: it is kept. */
const WORTH_BYTES = 2 ** 20

interface Tap {
  /** @returns whether to read on */
  take?: (piece: Uint8Array) => boolean
}

const taps = new WeakMap<Socket, Tap>()

/** Makes the connections of an agent such that `tapBody` works on them. */
export function tapConnections(agent: Agent): void {
  const connect = agent.createConnection.bind(agent)
  agent.createConnection = (options: ClientRequestArgs & { socket?: Socket }, callback) => {
    if (options.socket) return connect(options, callback) // encrypted over another connection: it reads from that
    const tap: Tap = {}
    const onread: NetConnectOpts['onread'] = {
      buffer: Buffer.allocUnsafeSlow(PIECE),
      callback: (bytes, buffer) => {
        const piece = buffer.subarray(0, bytes)
        if (tap.take) return tap.take(piece)
        socket.push(Buffer.from(piece))
        return true
      },
    }
    const socket = connect({ ...options, onread } as ClientRequestArgs, callback) as Socket
    taps.set(socket, tap)
    return socket
  }
}

/**
 * The body of an answer of known length, in pieces that are overwritten once the next is asked for; undefined where it is not worth it, or the
 * connection is not one of these.
 */
export function tapBody(response: IncomingMessage): AsyncIterable<Uint8Array> | undefined {
  const { socket, headers } = response
  const tap = taps.get(socket)
  const bytes = Number(headers['content-length'])
  return tap && bytes >= WORTH_BYTES && socket.readableLength === 0 ? receive(response, { tap, bytes }) : undefined
}

async function* receive(
  response: IncomingMessage,
  { tap, bytes }: { tap: Tap; bytes: number },
): AsyncGenerator<Uint8Array> {
  let piece: Uint8Array | undefined
  let wake = () => {}
  tap.take = (taken) => {
    piece = taken
    wake()
    return false
  }
  response.once('close', () => wake())
  const begun = response.read() as Buffer | null // what had come with the head
  let left = bytes - (begun?.length ?? 0)
  if (begun) yield begun
  while (left > 0) {
    if (!piece) {
      const woken = new Promise<void>((resolve) => {
        wake = resolve
      })
      response.socket.resume()
      if (!response.destroyed) await woken
    }
    if (!piece) throw response.errored ?? new Error('it was closed')
    const part: Uint8Array = piece.length > left ? piece.subarray(0, left) : piece
    left -= part.length
    piece = undefined
    yield part
  }
}
