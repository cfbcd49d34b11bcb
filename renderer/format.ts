/** Numbers as people read them. `locale` is a BCP 47 tag. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** Bytes with a binary unit, at most one decimal. */
export function formatBytes(bytes: number, locale: string): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${new Intl.NumberFormat(locale, { maximumFractionDigits: value < 10 && unit > 0 ? 1 : 0 }).format(value)} ${UNITS[unit]}`;
}

export function formatMiB(mib: number, locale: string): string {
  return formatBytes(mib * 1024 * 1024, locale);
}

/** 0.423 -> "42%". */
export function formatPercent(fraction: number, locale: string): string {
  return new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: fraction > 0 && fraction < 0.0995 ? 1 : 0 }).format(
    fraction,
  );
}

/** A part that may be very small: 0.00048 -> "0.048%". Two significant digits below a tenth; what is below 0.001% is said to be so. */
export function formatShare(fraction: number, locale: string): string {
  if (fraction > 0 && fraction < 1e-5) return `<${formatShare(1e-5, locale)}`;
  const digits = fraction > 0 && fraction < 0.0995 ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: 0 };
  return new Intl.NumberFormat(locale, { style: 'percent', ...digits }).format(fraction);
}

/** A rate or a count with an SI-like suffix: 12.3 k, 4.56 M. Three significant digits. */
export function formatCount(value: number, locale: string): string {
  const steps = [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const;
  for (const [size, suffix] of steps) {
    if (Math.abs(value) >= size) return `${new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 }).format(value / size)} ${suffix}`;
  }
  return new Intl.NumberFormat(locale, { maximumFractionDigits: value < 10 && value % 1 !== 0 ? 1 : 0 }).format(value);
}

/** A short time: 850 ns, 2.13 µs, 14 ms. Three significant digits. */
export function formatSeconds(seconds: number, locale: string): string {
  const steps = [
    [1, 's'],
    [1e-3, 'ms'],
    [1e-6, 'µs'],
  ] as const;
  const [size, unit] = steps.find(([size]) => seconds >= size) ?? [1e-9, 'ns'];
  return `${new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 }).format(seconds / size)} ${unit}`;
}

/** Seconds as h:mm:ss or m:ss. */
export function formatDuration(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n: number) => String(n).padStart(2, '0');
  const h = Math.floor(s / 3600);
  const m = Math.floor((s % 3600) / 60);
  return h > 0 ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

/** A name that a file system takes, from one that a person chose. */
export function fileName(name: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what must go
  return name.replace(/[\u0000-\u001f<>:"/\\|?*]+/g, '_').replace(/^[. ]+|[. ]+$/g, '') || 'vm';
}
