// From a value to a colour: dark where idle, bright where hot, and the same order for those who do not see colours.

const STOPS = [
  [0.0, 13, 12, 40],
  [0.14, 45, 20, 96],
  [0.3, 92, 24, 126],
  [0.46, 146, 38, 119],
  [0.6, 196, 58, 92],
  [0.74, 235, 98, 54],
  [0.87, 252, 165, 48],
  [1.0, 255, 246, 178],
];
const SIZE = 1024;

function mixed(part) {
  const above = STOPS.findIndex(([at]) => at >= part);
  if (above <= 0) return STOPS[0].slice(1);
  const [low, high] = [STOPS[above - 1], STOPS[above]];
  const share = (part - low[0]) / (high[0] - low[0]);
  return [1, 2, 3].map((at) => Math.round(low[at] + share * (high[at] - low[at])));
}

/** As ImageData has it, on machines that are little-endian: all that browsers run on. */
export const PALETTE = Uint32Array.from({ length: SIZE }, (_, at) => {
  const [red, green, blue] = mixed(at / (SIZE - 1));
  return (255 << 24) | (blue << 16) | (green << 8) | red;
});

/** How bright a value is, 0..1: `brightness` 0..1 lifts small values, the largest one is always the brightest. */
export const level = (value, largest, brightness) => (largest > 0 ? Math.min(1, value / largest) ** (1.25 - 1.1 * brightness) : 0);

/** The colour of each value; what is not a number stays transparent. */
export function paint(pixels, values, largest, brightness) {
  const power = 1.25 - 1.1 * brightness;
  const factor = largest > 0 ? 1 / largest : 0;
  for (let at = 0; at < values.length; at += 1) {
    const value = values[at];
    pixels[at] = Number.isNaN(value) ? 0 : PALETTE[Math.round(Math.min(1, value * factor) ** power * (SIZE - 1))];
  }
}
