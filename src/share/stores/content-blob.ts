import type { Content } from '../store.js'

interface Part {
  from?: number
  to?: number
  onSent?: ((bytes: number) => void) | undefined
}

/** A content as a Blob, which is what @huggingface/hub and fetch take: read when it is asked for, as often as it is. */
export class ContentBlob extends Blob {
  readonly #content: Content
  readonly #from: number
  readonly #to: number
  /** of this blob and its slices, for who sends them */
  readonly onSent: ((bytes: number) => void) | undefined

  constructor(content: Content, { from = 0, to = content.bytes, onSent }: Part = {}) {
    super([])
    this.onSent = onSent
    this.#content = content
    this.#from = from
    this.#to = to
  }

  // @ts-expect-error: the types of Blob have a property here, which in every engine is an accessor
  override get size(): number {
    return this.#to - this.#from
  }

  override slice(from = 0, to = this.size): ContentBlob {
    const at = (index: number) => Math.min(this.size, Math.max(0, index < 0 ? this.size + index : index))
    const start = at(from)
    return new ContentBlob(this.#content, {
      from: this.#from + start,
      to: this.#from + Math.max(start, at(to)),
      onSent: this.onSent,
    })
  }

  override stream(): ReturnType<Blob['stream']> {
    const pieces = this.#content.read(this.#from, this.#to)[Symbol.asyncIterator]()
    return new ReadableStream({
      async pull(controller) {
        const { done, value } = await pieces.next()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      async cancel() {
        await pieces.return?.()
      },
    }) as ReturnType<Blob['stream']>
  }

  override async arrayBuffer(): Promise<ArrayBuffer> {
    const all = new Uint8Array(this.size)
    let at = 0
    for await (const piece of this.#content.read(this.#from, this.#to)) {
      all.set(piece, at)
      at += piece.length
    }
    return all.buffer
  }

  override async text(): Promise<string> {
    return Buffer.from(await this.arrayBuffer()).toString()
  }
}
