import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DecantError, FormatError } from '../errors.js'
import { diskError, replaceFile } from './files.js'
import { MANIFEST, readManifestBytes, SIGNATURE } from './folder.js'
import { withLock } from './lock.js'
import { parseManifest } from './manifest.js'

// FORMAT.md, "Signature": Ed25519 (RFC 8032) of the bytes of manifest.json, which name all others by their hashes.

const SIGNATURE_BYTES = 64

/**
 * Signs a finished dataset: writes manifest.json.sig.
 * @param key a private Ed25519 key, PEM
 * @returns SHA-256 of the manifest that was signed
 */
export async function signTargets(dir: string, { key }: { key: string | Uint8Array }): Promise<string> {
  const known = privateKey(key)
  await readSound(dir) // a folder that is no dataset gets no lock
  return withLock(dir, async () => {
    const bytes = await readSound(dir)
    await replaceFile(join(dir, SIGNATURE), sign(null, bytes, known))
    return createHash('sha256').update(bytes).digest('hex')
  })
}

/** The manifest's bytes: nobody signs what no reader takes. */
async function readSound(dir: string): Promise<Buffer> {
  const bytes = await readManifestBytes(dir)
  if (!bytes) throw new DecantError(`${dir}: expected a finished soft-target dataset, found no ${MANIFEST}`)
  parseManifest(bytes.toString(), join(dir, MANIFEST))
  return bytes
}

/**
 * @param path of the manifest, for messages
 * @throws FormatError where there is no signature, or it is not of these bytes by this key
 */
export function checkSignature(
  manifest: Uint8Array,
  signature: Uint8Array | undefined,
  { key, path }: { key: string | Uint8Array; path: string },
): void {
  const known = publicKey(key)
  if (!signature) throw new FormatError(`${path}: is not signed: there is no ${SIGNATURE} beside it`)
  if (signature.length !== SIGNATURE_BYTES)
    throw new FormatError(`${path}: its signature has ${signature.length} bytes, expected ${SIGNATURE_BYTES}`)
  if (!verify(null, manifest, known, signature))
    throw new FormatError(`${path}: its signature is not of this manifest by this key`)
}

/** The bytes of a key's file. No message says what is in it. */
export async function readKey(path: string): Promise<Buffer> {
  return readFile(path).catch((error) => {
    throw diskError(error, path)
  })
}

function privateKey(pem: string | Uint8Array): KeyObject {
  return parseKey('a private Ed25519 key in PEM (openssl genpkey -algorithm ed25519)', () => {
    const text = Buffer.from(pem).toString()
    if (/ENCRYPTED/.test(text))
      throw new DecantError(
        'the private key has a passphrase: openssl pkey -in key.pem writes it without to a pipe: --key <(openssl pkey -in key.pem)',
      )
    return createPrivateKey(text)
  })
}

function publicKey(pem: string | Uint8Array): KeyObject {
  return parseKey('a public Ed25519 key in PEM (openssl pkey -in private.pem -pubout)', () => {
    const text = Buffer.from(pem).toString()
    if (/PRIVATE KEY/.test(text))
      throw new DecantError('expected the public key, found a private one: it is for who signs, and for nobody else')
    return createPublicKey(text)
  })
}

function parseKey(expected: string, parse: () => KeyObject): KeyObject {
  let key: KeyObject | undefined
  try {
    key = parse()
  } catch (error) {
    if (error instanceof DecantError) throw error
  }
  if (key?.asymmetricKeyType !== 'ed25519') throw new DecantError(`the key: expected ${expected}`)
  return key
}
