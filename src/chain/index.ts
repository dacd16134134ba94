export { type ChainEvent, type ChainOptions, type Link, trainChain } from './chain.js'
