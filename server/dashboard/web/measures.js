// What the live numbers mean: sums, rates and percentiles of Prometheus samples. Knows no page.
//
// A reading is what GET /dashboard/numbers gives: {time, samples: {name: [[labels, value], …]}}. Samples that are missing are 0.

// The sum of a sample over all labels, or over those that fit.
export function total(reading, name, wanted = {}) {
  const fits = ([labels]) => Object.entries(wanted).every(([label, value]) => labels[label] === value);
  return (reading.samples[name] ?? []).filter(fits).reduce((sum, [, value]) => sum + value, 0);
}

// How much more a counter has than at an earlier reading. After a restart of the server it began at 0.
export function increase(later, earlier, name, wanted) {
  const [now, then] = [total(later, name, wanted), earlier ? total(earlier, name, wanted) : 0];
  return now >= then ? now - then : now;
}

// Per second, between two readings.
export function rate(later, earlier, name, wanted) {
  return later.time > earlier.time ? increase(later, earlier, name, wanted) / (later.time - earlier.time) : 0;
}

// The values of one label of a counter, the largest first: [value, sum].
export function byLabel(reading, name, label) {
  const sums = new Map();
  for (const [labels, value] of reading.samples[name] ?? []) sums.set(labels[label], (sums.get(labels[label]) ?? 0) + value);
  return [...sums].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
}

// What a histogram counted between two readings (since the start without an earlier one): [{upTo, count}], lowest first.
export function buckets(later, earlier, name, wanted = {}) {
  const cumulative = (reading) => {
    const sums = new Map();
    for (const [{ le, ...labels }, value] of reading?.samples[name] ?? []) {
      const fits = Object.entries(wanted).every(([label, each]) => labels[label] === each);
      const upTo = le === "+Inf" ? Infinity : Number(le);
      if (fits) sums.set(upTo, (sums.get(upTo) ?? 0) + value);
    }
    return sums;
  };
  const [now, then] = [cumulative(later), cumulative(earlier)];
  const restarted = (now.get(Infinity) ?? 0) < (then.get(Infinity) ?? 0);
  // A bucket that is 0 is not told, and then all below it are; above it none is missing.
  const bounds = [...new Set([...now.keys()])].sort((a, b) => a - b);
  let below = 0;
  return bounds.map((upTo) => {
    const all = now.get(upTo) - (restarted ? 0 : (then.get(upTo) ?? 0));
    const found = { upTo, count: all - below };
    below = all;
    return found;
  });
}

// The value below which a share of what a histogram counted lies, as Prometheus works it out: evenly within a bucket. Null of nothing.
export function quantile(share, counted) {
  const all = counted.reduce((sum, { count }) => sum + count, 0);
  if (!all) return null;
  let below = 0;
  let from = 0;
  for (const { upTo, count } of counted) {
    if (below + count >= share * all) return upTo === Infinity ? from : from + (upTo - from) * ((share * all - below) / count);
    below += count;
    from = upTo;
  }
  return from;
}
