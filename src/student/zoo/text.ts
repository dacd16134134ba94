import { initializers, input, type LayersModel, layers, model, type SymbolicTensor } from '@tensorflow/tfjs-layers'
import { DecantError } from '../../errors.js'
import type { StudentOptions } from '../zoo.js'
import { layersOf, tfjsSeed } from './layers.js'
import { AddPositions, Attend, TokenMean } from './text-layers.js'

// Students of tokens. With logits by position each position sees itself and what is before it; else one mean over all tokens.

/** The largest tables in use have 2^18 rows. */
const MAX_IDS = 2 ** 24

function embed(dim: number, { inputShape, input: { vocabulary = 1 }, seed }: StudentOptions) {
  if (vocabulary > MAX_IDS)
    throw new DecantError(
      `a student with a row in its table for each of ${vocabulary} ids: expected at most ${MAX_IDS}, or a module of your own that makes fewer of them`,
    )
  const tokens = input({ shape: inputShape, name: 'tokens', dtype: 'int32' })
  const embedding = layers.embedding({
    inputDim: vocabulary + 1, // 0 is padding
    outputDim: dim,
    embeddingsInitializer: initializers.randomNormal({ stddev: 0.02, seed: tfjsSeed(seed, 'init', 'embedding') }),
    name: 'embedding',
  })
  return { tokens, embedded: embedding.apply(tokens) as SymbolicTensor }
}

/** The mean of the tokens' embeddings, then a dense layer (Joulin et al. 2017). */
export function bag([dim]: [number], options: StudentOptions): LayersModel {
  const { positions, classes, seed } = options
  const { tokens, embedded } = embed(dim, options)
  const mean = new TokenMean({ causal: positions > 1, name: 'mean' }).apply([embedded, tokens]) as SymbolicTensor
  return model({
    name: 'student',
    inputs: tokens,
    outputs: layersOf(seed).dense(mean, { name: 'logits', units: classes }),
  })
}

/** Of four heads; normalised before each part (Xiong et al. 2020), the inner layer four times as wide. */
export function transformer([dim, depth]: [number, number], options: StudentOptions): LayersModel {
  const heads = 4
  if (dim % heads !== 0) throw new DecantError(`student 'transformer:${dim},${depth}': expected a multiple of ${heads}`)
  const { positions, classes, seed } = options
  const causal = positions > 1
  const { dense, add, relu } = layersOf(seed)
  const { tokens, embedded } = embed(dim, options)
  const norm = (x: SymbolicTensor, name: string) =>
    layers.layerNormalization({ name, epsilon: 1e-5 }).apply(x) as SymbolicTensor
  const places = new AddPositions({ name: 'places', seed: tfjsSeed(seed, 'init', 'places') })
  let x = places.apply(embedded) as SymbolicTensor
  for (let i = 1; i <= depth; i++) {
    const y = norm(x, `block${i}_norm1`)
    const parts = ['query', 'key', 'value'].map((name) => dense(y, { name: `block${i}_${name}`, units: dim }))
    const mixed = new Attend({ heads, causal, name: `block${i}_attend` }).apply([...parts, tokens]) as SymbolicTensor
    x = add(x, dense(mixed, { name: `block${i}_mix`, units: dim }), `block${i}_add1`)
    const inner = dense(norm(x, `block${i}_norm2`), { name: `block${i}_inner`, units: 4 * dim })
    x = add(x, dense(relu(inner, `block${i}_relu`), { name: `block${i}_outer`, units: dim }), `block${i}_add2`)
  }
  x = norm(x, 'norm')
  if (!causal) x = new TokenMean({ causal, name: 'mean' }).apply([x, tokens]) as SymbolicTensor
  return model({ name: 'student', inputs: tokens, outputs: dense(x, { name: 'logits', units: classes }) })
}
