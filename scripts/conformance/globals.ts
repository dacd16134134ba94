/** Makes jasmine's functions (describe, it, expect, ...) global: tfjs-core's tests use them while they are imported. */
import { createRequire } from 'node:module'

// As a CommonJS module outside the bundle, so that tfjs-core's own `require` of jasmine finds this very instance.
const jasmine: { boot(jasmine: unknown): unknown } = createRequire(import.meta.url)('jasmine-core')
jasmine.boot(jasmine)
