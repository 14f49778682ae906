// Numbers as an operator reads them. `null` and `undefined`: there is none.

const none = (value) => value === null || value === undefined;

export function amount(value) {
  if (none(value)) return "–";
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)} M`;
  if (value >= 1e4) return `${(value / 1e3).toFixed(0)} k`;
  return Number.isInteger(value) || value >= 100 ? value.toFixed(0) : value.toFixed(1);
}

export const percent = (value) => (none(value) ? "–" : `${(100 * value).toFixed(0)} %`);

export function seconds(value) {
  if (none(value)) return "–";
  if (value >= 120) return `${(value / 60).toFixed(0)} min`;
  return value >= 10 ? `${value.toFixed(0)} s` : `${value.toFixed(2)} s`;
}

/** How long ago `at` was, in seconds since the epoch. */
export function since(at) {
  const minutes = Math.max(0, Date.now() / 1000 - at) / 60;
  if (minutes < 120) return `${minutes.toFixed(0)} min`;
  const hours = minutes / 60;
  return hours < 48 ? `${hours.toFixed(0)} h` : `${(hours / 24).toFixed(0)} d`;
}
