/** Whether a key is the page's: not typed into something, not with a modifier, not used by a control that has the focus. */
export function isPlainKey(event: KeyboardEvent): boolean {
  if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return false
  const target = event.target as Element | null
  if (target?.closest('input, select, textarea, dialog[open], [role=application]')) {
    return event.key === 'Escape' && !target.closest('dialog[open], [role=application], select')
  }
  return true
}
