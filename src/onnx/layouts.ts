/** How a teacher may take the rows of a source, by their kind; for messages. */
export const layouts = {
  image:
    'images as [N, C, H, W], or [N, H, W, C] where the preprocessing says so, [N, H·W·C], or [N, H, W] of one channel',
  features: 'numbers as [N, …] in the shape of the source, flat, or with axes of 1 more or less',
  tokens: 'tokens as [N, L]',
} as const
