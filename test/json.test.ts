import { describe, expect, test } from 'vitest'
import { FormatError } from '../src/errors.js'
import { parseJson } from '../src/json.js'

const nested = (depth: number, [open, close] = ['[', ']']) => `${open.repeat(depth)}1${close.repeat(depth)}`

describe('JSON of others', () => {
  test('is read as JSON.parse reads it', () => {
    const text = '{"a":[1,-2.5e3,null,true,"x\\"]}[{","\\u00e9"],"b":{"c":{}},"d":[[]]}'
    expect(parseJson(text, 'a.json')).toEqual(JSON.parse(text))
  })

  test('may have 128 brackets in each other, not more; those in texts and side by side do not count', () => {
    expect(parseJson(nested(128), 'a.json')).toBeInstanceOf(Array)
    expect(parseJson(`["${'['.repeat(500)}","\\"${'{'.repeat(500)}"]`, 'a.json')).toHaveLength(2)
    expect(parseJson(`[${Array(500).fill('[[]]').join()}]`, 'a.json')).toHaveLength(500)
    for (const deep of [nested(129), nested(129, ['{"a":', '}']), nested(1_000_000), '['.repeat(1_000_000)])
      expect(() => parseJson(deep, 'a.json')).toThrow('a.json: not JSON: brackets in more than 128 brackets')
  })

  test('may have 2^24 values, not more', () => {
    const many = `[${'{},'.repeat(2 ** 24)}0]`
    expect(() => parseJson(many, 'a.json')).toThrow(/^a.json: not JSON: \d+ values, expected at most 16777216$/)
  })

  test.each(['{"__proto__":{}}', '[{"a":{"\\u005f_proto_\\u005F":1}}]', '{"_\\u005fp\\u0072oto__":1}'])(
    'with the key __proto__ is refused: %s',
    (text) => {
      expect(() => parseJson(text, 'a.json')).toThrow('a.json: not JSON: the key __proto__ is not allowed')
      expect(parseJson(text, 'a.json', { anyKey: true })).toEqual(JSON.parse(text))
    },
  )

  test.each(['', '{', 'ARROW1', '[1,]', '"\n"'])('that is none is refused in one line: %j', (text) => {
    const read = () => parseJson(text, 'a.json')
    expect(read).toThrow(FormatError)
    expect(read).toThrow(/^a.json: not JSON: [^\n]+$/)
  })
})
