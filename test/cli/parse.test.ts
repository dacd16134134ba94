import { InvalidArgumentError } from 'commander'
import { describe, expect, it } from 'vitest'
import { integer, list, number, oneOf, temperature } from '../../src/cli/parse.js'

const refused = (parse: (text: string) => unknown, texts: string[], message: RegExp) => {
  for (const text of texts) {
    expect(() => parse(text), text).toThrow(InvalidArgumentError)
    expect(() => parse(text), text).toThrow(message)
  }
}

describe('option parsers take what they understand and nothing else', () => {
  it('whole numbers', () => {
    expect(integer(1)('128')).toBe(128)
    refused(
      integer(1),
      ['0', '-1', '1.5', '1e3', ' 1', '', 'x', '99999999999999999999'],
      /whole number of at least 1, found/,
    )
    refused(integer(0, 63), ['64'], /whole number from 0 to 63, found '64'/)
  })

  it('numbers', () => {
    expect(number(0, 1)('0.9')).toBe(0.9)
    expect(number(0)('1e-3')).toBe(1e-3)
    refused(number(0, 1), ['-0.1', '1.01', 'NaN', '', ' ', '0,5'], /number from 0 to 1, found/)
    refused(number(0), ['Infinity'], /number of at least 0, found 'Infinity'/)
  })

  it('temperatures', () => {
    expect(temperature('0.5')).toBe(0.5)
    refused(temperature, ['0', '-1', 'Infinity', '', 'hot'], /number above 0, found/)
  })

  it('words of a list', () => {
    expect(oneOf(['f16', 'f32'])('f16')).toBe('f16')
    refused(oneOf(['f16', 'f32']), ['f64', 'F16', ''], /expected f16, f32; found/)
  })

  it('lists, by commas, by several flags or both', () => {
    const parse = list(temperature)
    expect(parse('4', parse('1, 2'))).toEqual([1, 2, 4])
    refused(parse, ['1,,2', '1,'], /found ''/)
  })
})
