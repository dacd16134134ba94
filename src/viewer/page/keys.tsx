/** Controls that use some keys themselves, but no letters and digits. */
const POINTED = 'input[type=range], input[type=radio], input[type=checkbox]'

/** Whether a key is the page's: not typed into something, not with a modifier, not used by a control that has the focus. */
export function isPlainKey(event: KeyboardEvent): boolean {
  if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return false
  const target = event.target as Element | null
  if (target?.closest('dialog[open], [role=application]'))
    return /^[0-9?]$/.test(event.key) && !target.closest('dialog')
  if (target?.matches(POINTED)) return !event.key.startsWith('Arrow')
  return !target?.matches('input, select, textarea') || (event.key === 'Escape' && !target.matches('select'))
}
