// What tfjs 4.22 lacks in Node or has wrong, mended once for every engine.
import './chained.js'
import './gradients.js'
import './kernels.js'
import './lists.js'
import './masks.js'
import './pool-gradients.js'
