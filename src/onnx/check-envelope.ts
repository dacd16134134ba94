/**
 * Is this ONNX at all? Answered from the outermost level of the file, before anything is decoded: a protobuf message
 * whose fields are those of ModelProto (onnx.proto3), each within the file.
 */

/** Wire types of protobuf's encoding; the two group types (3, 4) are not used by ONNX. */
const varint = 0
const fixed64 = 1
const lengthDelimited = 2
const fixed32 = 5

/** Fields of ModelProto and the wire type of each. Later ONNX versions may add others. */
const modelFields = new Map([
  [1, varint], // ir_version
  [2, lengthDelimited], // producer_name
  [3, lengthDelimited], // producer_version
  [4, lengthDelimited], // domain
  [5, varint], // model_version
  [6, lengthDelimited], // doc_string
  [7, lengthDelimited], // graph
  [8, lengthDelimited], // opset_import
  [14, lengthDelimited], // metadata_props
  [20, lengthDelimited], // training_info
  [25, lengthDelimited], // functions
  [26, lengthDelimited], // configuration
])

const graphField = 7
const opsetField = 8

/** What is wrong with the bytes as an ONNX file, in a few words; undefined where they look like one. */
export function findEnvelopeFault(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0) return 'the file is empty'
  const other = recognise(bytes)
  if (other) return `not an ONNX file: it is ${other}`
  const seen = new Set<number>()
  let position = 0
  while (position < bytes.length) {
    const tag = readVarint(bytes, position)
    const field = tag && Math.floor(tag.value / 8)
    const wire = tag && tag.value % 8
    const expected = field === undefined ? undefined : modelFields.get(field)
    if (!tag || !field || (expected ?? wire) !== wire || (seen.size === 0 && expected === undefined)) {
      return tag || seen.size === 0 ? 'not an ONNX file: its bytes are no ONNX model' : truncated(bytes)
    }
    const end = endOfField(bytes, tag.end, wire)
    if (end === 'malformed') return 'not an ONNX file: its bytes are no ONNX model'
    if (end > bytes.length)
      return seen.size === 0 ? 'not an ONNX file: its bytes are no ONNX model' : truncated(bytes, end)
    seen.add(field)
    position = end
  }
  if (!seen.has(graphField)) return 'no ONNX model: it holds no graph'
  if (!seen.has(opsetField)) return 'no complete ONNX model: it names no operator set (the file may be truncated)'
  return undefined
}

function truncated(bytes: Uint8Array, end = bytes.length + 1): string {
  return `truncated ONNX file: expected at least ${end} bytes, found ${bytes.length}`
}

function endOfField(bytes: Uint8Array, start: number, wire: number | undefined): number | 'malformed' {
  if (wire === fixed64) return start + 8
  if (wire === fixed32) return start + 4
  if (wire !== varint && wire !== lengthDelimited) return 'malformed'
  const number = readVarint(bytes, start)
  if (!number) return start + 10 > bytes.length ? bytes.length + 1 : 'malformed'
  return wire === varint ? number.end : number.end + number.value
}

/** A base-128 number of at most 10 bytes; undefined where it does not end. Exact up to 2^53, which no file reaches. */
function readVarint(bytes: Uint8Array, start: number): { value: number; end: number } | undefined {
  let value = 0
  for (let i = 0; i < 10 && start + i < bytes.length; i++) {
    const byte = bytes[start + i]!
    value += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) return { value, end: start + i + 1 }
  }
  return undefined
}

/** Files that are given for ONNX by mistake, by what they start with; `at` is where the signature stands. */
const signatures: { at: number; starts: string; is: string }[] = [
  { at: 0, starts: '\x89PNG', is: 'a PNG image' },
  { at: 0, starts: '\xff\xd8\xff', is: 'a JPEG image' },
  { at: 0, starts: 'PK\x03\x04', is: 'a zip archive (a PyTorch checkpoint? export it with torch.onnx.export)' },
  { at: 0, starts: '\x80\x02', is: 'a Python pickle (a PyTorch checkpoint? export it with torch.onnx.export)' },
  { at: 0, starts: '\x1f\x8b', is: 'gzip-compressed (decompress it first)' },
  { at: 0, starts: '\x89HDF', is: 'an HDF5 file (a Keras model? convert it with tf2onnx)' },
  { at: 0, starts: 'version https://git-lfs', is: 'a Git LFS pointer (run `git lfs pull`)' },
  { at: 4, starts: 'TFL3', is: 'a TensorFlow Lite model' },
  { at: 4, starts: 'ORTM', is: 'an ORT-format model (give the .onnx file that it was made from)' },
]

function recognise(bytes: Uint8Array): string | undefined {
  const head = Buffer.from(bytes.subarray(0, 64)).toString('latin1')
  const known = signatures.find(({ at, starts }) => head.startsWith(starts, at))
  if (known) return known.is
  // A protobuf starts with a tag byte below 0x20 here; printable text cannot be one.
  return /^[\t\n\r\x20-\x7e\x80-\xff]{4,}$/.test(head) && /^[\x20-\x7e]/.test(head) ? 'text' : undefined
}
