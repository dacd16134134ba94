/**
 * An export that decodes JPEGs, against its two parts alone: decoding (shorter side to 256, centre crop 224) and inference (MobileNet V1, random
 * weights, 569 million multiply-adds). Beside it, a teacher that costs next to nothing, as one on a device of its own costs no cores. Where both run on the same cores they share them, so what they can reach together, 1/(1/decode + 1/inference), is printed too.
 * The images are synthetic: noise of falling strength over six octaves, and the grain of a sensor; 200 of them repeated, of images as cameras write them (4000x3000) 4.
 *
 *     npx tsx scripts/bench/jpeg.ts [images = 10000] [rounds = 3] [provider = cpu] [size = 500x375] [draft]
 */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { encodeModel, GraphBuilder } from '../../src/onnx/index.js'
import { random } from '../../src/random.js'
import { openSource, type Preprocess, type Source } from '../../src/source/index.js'
import { type ExportEvent, type ExportOptions, exportTargets } from '../../src/teacher/index.js'
import { loadTeacher } from '../../src/teacher/load-teacher.js'
import { type Provider, sessionOptions } from '../../src/teacher/provider.js'
import { startThread } from '../../src/thread.js'

const [images, rounds] = [Number(process.argv[2] ?? 10_000), Number(process.argv[3] ?? 3)]
const provider = (process.argv[4] ?? 'cpu') as Provider
const batch = 16
const [width, height] = (process.argv[5] ?? '500x375').split('x').map(Number) as [number, number]
const draft = process.argv[6] === 'draft'
const distinct = Math.min(images, width * height > 2 ** 20 ? 4 : 200)
const preprocess: Preprocess = {
  version: 1,
  resize: { shorter: 256, ...(draft && { draft }) },
  crop: { width: 224, height: 224 },
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
}
const folder = mkdtempSync(join(tmpdir(), 'decant-jpeg-'))
const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!

async function writeImages(into: string): Promise<number> {
  mkdirSync(into)
  let bytes = 0
  for (let i = 0; i < images; i++) {
    const path = join(into, `${String(i).padStart(6, '0')}.jpg`)
    if (i >= distinct) copyFileSync(join(into, `${String(i % distinct).padStart(6, '0')}.jpg`), path)
    else await photo(i, path)
    bytes += statSync(path).size
  }
  return bytes / images
}

async function photo(i: number, path: string): Promise<void> {
  const stream = random('photo', i)
  const sum = new Float32Array(width * height * 3).fill(128)
  for (let octave = 0; octave < 6; octave++) {
    const raw = { width: 4 << octave, height: 3 << octave, channels: 3 } as const
    const noise = Uint8Array.from({ length: raw.width * raw.height * 3 }, () => 128 + 40 * stream.normal())
    const up = await sharp(noise, { raw }).resize(width, height, { fit: 'fill', kernel: 'cubic' }).raw().toBuffer()
    for (let k = 0; k < sum.length; k++) sum[k]! += ((up[k]! - 128) * 1.2) / (1 + octave / 2)
  }
  // Of a small image grain is what its camera's reduction left of it: little.
  const grain = width * height > 2 ** 20 ? 5 : 0
  if (grain > 0)
    for (let k = 0; k < sum.length; k += 3) {
      const level = grain * stream.normal()
      for (let c = 0; c < 3; c++) sum[k + c]! += level
    }
  const pixels = Uint8ClampedArray.from(sum)
  await sharp(pixels, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 90 })
    .toFile(path)
}

/** MobileNet V1 (1704.04861, table 1), batch norms folded. */
function writeMobileNet(path: string): void {
  const stream = random('mobilenet')
  const graph = new GraphBuilder()
  let value = graph.input('image', 'float32', ['N', 3, 224, 224])
  let channels = 3
  const conv = (out: number, options: { kernel: number; stride?: number; group?: number }) => {
    const { kernel, stride = 1, group = 1 } = options
    const fan = (channels / group) * kernel * kernel
    const weights = Float32Array.from({ length: out * fan }, () => stream.normal() * Math.sqrt(2 / fan))
    const w = graph.f32(weights, [out, channels / group, kernel, kernel])
    const pad = kernel >> 1
    value = graph.node('Conv', [value, w, graph.f32(new Float32Array(out), [out])], {
      group,
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: [pad, pad, pad, pad],
    })
    value = graph.node('Relu', [value])
    channels = out
  }
  conv(32, { kernel: 3, stride: 2 })
  for (const [out, stride] of [
    [64, 1],
    [128, 2],
    [128, 1],
    [256, 2],
    [256, 1],
    [512, 2],
    ...Array.from({ length: 5 }, () => [512, 1] as const),
    [1024, 2],
    [1024, 1],
  ] as const) {
    conv(channels, { kernel: 3, stride, group: channels })
    conv(out, { kernel: 1 })
  }
  const pooled = graph.node('Flatten', [graph.node('GlobalAveragePool', [value])])
  const weights = Float32Array.from({ length: 1024 * 1000 }, () => stream.normal() / 32)
  graph.output('logits', 'float32', ['N', 1000], graph.node('MatMul', [pooled, graph.f32(weights, [1024, 1000])]))
  writeFileSync(path, encodeModel(graph.model({ name: 'mobilenet-v1' })))
}

function writeLinear(path: string): void {
  const graph = new GraphBuilder()
  const image = graph.input('image', 'float32', ['N', 3, 224, 224])
  const pooled = graph.node('Flatten', [graph.node('GlobalAveragePool', [image])])
  const weights = Float32Array.from({ length: 3000 }, (_, i) => (i % 7) - 3)
  graph.output('logits', 'float32', ['N', 1000], graph.node('MatMul', [pooled, graph.f32(weights, [3, 1000])]))
  writeFileSync(path, encodeModel(graph.model({ name: 'linear' })))
}

async function decoded(source: Source): Promise<number> {
  const started = performance.now()
  let rows = 0
  for await (const one of source.batches({ size: batch })) rows += one.rows
  return (rows / (performance.now() - started)) * 1000
}

async function inferred(source: Source, teacher: string): Promise<number> {
  const { output, read } = await loadTeacher({ teacher, source })
  const loaded = read(output.propose(output.classes))
  const workerData = {
    model: loaded.fuse({ codec: 'f16', classes: 0 }).model,
    options: sessionOptions(provider, 0),
    shape: source.input.shape,
    batch,
    rows: Math.min(source.rows, 2_000),
  }
  const worker = startThread('./bare-worker', import.meta.url, workerData)
  const { rowsPerSecond } = await new Promise<{ rowsPerSecond: number }>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  await worker.terminate()
  return rowsPerSecond
}

/** Between the plan and the manifest: hashing, syncing and renaming included, loading the teacher not. */
async function exported(options: Omit<ExportOptions, 'out' | 'onEvent'>): Promise<number> {
  const out = join(folder, 'targets')
  let began = 0
  const onEvent = (event: ExportEvent) => {
    if (event.type === 'batch') began = performance.now()
  }
  const manifest = await exportTargets({ ...options, out, onEvent })
  const seconds = (performance.now() - began) / 1000
  rmSync(out, { recursive: true })
  return manifest.rows / seconds
}

try {
  console.log(
    `${cpus()[0]!.model}, ${availableParallelism()} cores, Node ${process.version}, sharp ${sharp.versions.sharp}`,
  )
  const place = join(folder, 'images')
  const bytes = await writeImages(place)
  const teacher = join(folder, 'mobilenet.onnx')
  writeMobileNet(teacher)
  const source = await openSource(place, { preprocess })
  const linear = join(folder, 'linear.onnx')
  writeLinear(linear)
  const rates: Record<'decode' | 'inference' | 'export' | 'linear', number[]> = {
    decode: [],
    inference: [],
    export: [],
    linear: [],
  }
  for (let round = 0; round < rounds; round++) {
    rates.decode.push(await decoded(source))
    rates.inference.push(await inferred(source, teacher))
    rates.export.push(await exported({ source, teacher, batch, provider }))
    rates.linear.push(await exported({ source, teacher: linear, batch, provider }))
  }
  await source.close()
  const [decode, inference, both] = [median(rates.decode), median(rates.inference), median(rates.export)]
  const light = median(rates.linear)
  const shared = 1 / (1 / decode + 1 / inference)
  console.log(
    [
      `${images} JPEGs of ${width}×${height} (${distinct} distinct)${draft ? ', draft' : ''}, ${Math.round(bytes / 1000)} KB each, medians of ${rounds}, ${provider}, batch ${batch}`,
      `decode alone     ${decode.toFixed(1)} images/s`,
      `inference alone  ${inference.toFixed(1)} images/s`,
      `export           ${both.toFixed(1)} images/s`,
      `export, a teacher that costs nothing  ${light.toFixed(1)} images/s, ${(light / decode).toFixed(3)} of decode alone`,
      `export / min     ${(both / Math.min(decode, inference)).toFixed(3)}`,
      `export / what cores shared by both can reach (${shared.toFixed(1)})  ${(both / shared).toFixed(3)}`,
    ].join('\n'),
  )
} finally {
  rmSync(folder, { recursive: true, force: true })
}
