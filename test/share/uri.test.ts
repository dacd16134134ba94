import { describe, expect, it } from 'vitest'
import { formatPlace, isRemote, nameOf, parsePlace } from '../../src/share/uri.js'

const digits = 'ab'.repeat(32)

describe('parsePlace', () => {
  it.each([
    ['targets', { kind: 'folder', path: 'targets' }],
    ['/data/a#b', { kind: 'folder', path: '/data/a#b' }],
    ['C:\\data', { kind: 'folder', path: 'C:\\data' }],
    [`out#sha256=${digits}`, { kind: 'folder', path: 'out', sha256: digits }],
    ['https://host/a/b', { kind: 'http', url: 'https://host/a/b/' }],
    [`http://h:8080/#sha256=${digits.toUpperCase()}`, { kind: 'http', url: 'http://h:8080/', sha256: digits }],
    ['s3://bucket', { kind: 's3', bucket: 'bucket', prefix: '' }],
    ['s3://bucket/a@b:c@d/', { kind: 's3', bucket: 'bucket', prefix: 'a@b:c@d/' }],
    ['s3://bucket/a/b/', { kind: 's3', bucket: 'bucket', prefix: 'a/b/' }],
    ['hf://datasets/org/name', { kind: 'hub', repo: 'org/name', prefix: '' }],
    ['hf://datasets/org/na.me@v1/a', { kind: 'hub', repo: 'org/na.me', prefix: 'a/', revision: 'v1' }],
    ['hf://datasets/org/name@refs%2Fpr%2F1', { kind: 'hub', repo: 'org/name', prefix: '', revision: 'refs/pr/1' }],
  ])('%s', (text, place) => {
    expect(parsePlace(text)).toEqual(place)
    expect(parsePlace(formatPlace(parsePlace(text)))).toEqual(place)
  })

  it.each([
    ['', 'found nothing'],
    ['ftp://host/a', "'ftp://' is not known"],
    ['file:///etc', 'without file://'],
    ['http://', 'cannot be read'],
    ['https://host/a?x=1', 'found a query'],
    ['https://host/a#b', 'found a query or a fragment'],
    ['s3://B/a', 'expected s3://bucket/prefix'],
    ['s3://bucket/../other', 'no . or ..'],
    ['s3://name:secret@bucket/x', /^s3:\/\/…@bucket\/x: expected s3:\/\/bucket\/prefix$/],
    ['hf://user:secret@datasets/org/name', /^hf:\/\/…@datasets\/org\/name: expected hf/],
    ['s3://AKIA:sec/ret@bucket/x', /^s3:\/\/…@bucket\/x: expected s3:\/\/bucket\/prefix$/],
    ['hf://datasets/org/name@%zz', "found revision '%zz'"],
    ['hf://datasets/name', 'expected hf://datasets/org/name'],
    ['hf://org/name', 'expected hf://datasets/org/name'],
    ['hf://datasets/org/name@-x', "found revision '-x'"],
    ['a#sha256=12', "found '12'"],
  ])('refuses %s', (text, message) => {
    expect(() => parsePlace(text)).toThrow(message)
  })

  it('keeps a password out of the message that refuses it', () => {
    for (const uri of ['https://user:secret@host/a', 'https://secret@host/a']) {
      expect(() => parsePlace(uri)).toThrow(/^https:\/\/host\/a: a URL with a password/)
      expect(() => parsePlace(uri)).not.toThrow('secret')
    }
  })

  it('takes a revision for the hub alone, and one', () => {
    expect(parsePlace('hf://datasets/org/name', { revision: 'v2' })).toMatchObject({ revision: 'v2' })
    expect(() => parsePlace('hf://datasets/org/name@v1', { revision: 'v2' })).toThrow('--revision says v2')
    expect(() => parsePlace('https://host/a', { revision: 'v2' })).toThrow('only hf:// has revisions')
  })

  it('knows what is remote, and a name for a folder of it', () => {
    expect(['a', 'C:\\a', 'C://a', 'https://h/a', 'hf://datasets/o/n'].map(isRemote)).toEqual([
      false,
      false,
      false,
      true,
      true,
    ])
    const names = [
      'https://h/a/b/',
      'hf://datasets/o/n@v1',
      's3://bucket',
      'https://h',
      'https://h/a%2F..',
      'https://h/100%',
      'x/y/',
    ].map((uri) => nameOf(parsePlace(uri)))
    expect(names).toEqual(['b', 'n', 'bucket', 'h', 'a-..', '100-', 'y'])
  })
})
