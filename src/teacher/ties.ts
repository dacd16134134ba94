/**
 * The larger of two logits is nearer to the other than 1e-4 of itself, or of 1: they are equal but for rounding, as the shares of a forest often are, and another order of
 * sums may make the other one the larger.
 */
export const isTie = (larger: number, other: number): boolean => larger - other <= 1e-4 * Math.max(1, Math.abs(larger))
