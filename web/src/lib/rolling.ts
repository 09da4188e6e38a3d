/**
 * Return the annualized Sharpe ratio of the last `size` returns at each value after the first.
 *
 * mean / sample standard deviation × √perYear (Sharpe 1994); null while there are fewer returns, where
 * they do not differ, or where a value is not positive.
 */
export function rollingSharpe(values: readonly number[], size: number, perYear: number): (number | null)[] {
  const returns = values.slice(1).map((value, at) => (values[at]! > 0 ? value / values[at]! - 1 : Number.NaN));
  return returns.map((_, at) => {
    const last = returns.slice(Math.max(0, at + 1 - size), at + 1);
    if (last.length < size || last.some(Number.isNaN)) return null;
    const mean = last.reduce((sum, one) => sum + one, 0) / size;
    const deviation = Math.sqrt(last.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (size - 1));
    return deviation > 0 ? (mean / deviation) * Math.sqrt(perYear) : null;
  });
}
