import { complexes } from './complex.js'
import type { HostKernels } from './kernel.js'
import { ragged } from './ragged.js'
import { selections } from './selection.js'
import { sparse } from './sparse.js'
import { strings } from './strings.js'

/** Kernels in JavaScript, by tfjs's name: those that are not in the programs' kernels, or of types that are not. */
export const hostKernels: HostKernels = { ...complexes, ...strings, ...sparse, ...ragged, ...selections }
