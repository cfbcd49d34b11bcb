/** Labels of a time axis: clock times, as dense as the width allows. */

const STEPS = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800];

/** The step between labels in seconds, for `seconds` over `width` CSS pixels at about `room` pixels a label. */
export function timeStep(seconds: number, width: number, room = 90): number {
  return STEPS.find((step) => (step / seconds) * width >= room) ?? 3600;
}

export function timeSplits(from: number, to: number, step: number): number[] {
  const out: number[] = [];
  for (let t = Math.ceil(from / step) * step; t <= to; t += step) out.push(t);
  return out;
}

/** `time`: seconds since the epoch, shown in local time. */
export function clock(time: number, locale: string, seconds = true): string {
  return new Intl.DateTimeFormat(locale, {
    hour: '2-digit',
    minute: '2-digit',
    ...(seconds && { second: '2-digit' }),
    hour12: false,
  }).format(time * 1000);
}
