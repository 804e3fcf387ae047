const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 600;

/** One line of a chart: its points by x, which need not be evenly spaced. */
export interface Series {
  readonly name: string;
  /** A colour of CSS. */
  readonly color: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** How a chart is drawn. */
export interface ChartOptions {
  /** What is said to those who do not see it. */
  readonly label: string;
  /** Height for a width of 600; the chart is as wide as there is room. */
  readonly height?: number;
  /** The x that the chart begins and ends with; that of the points where it is not given. */
  readonly from?: number;
  readonly to?: number;
  /** Lines across the chart, such as a limit. */
  readonly marks?: readonly { readonly y: number; readonly color: string }[];
  readonly formatX?: (x: number) => string;
  readonly formatY?: (y: number) => string;
  /** Bars from zero rather than lines. */
  readonly bars?: boolean;
}

/** A chart as an SVG image: lines or bars over an axis, with the least and the greatest value at its side. */
export function chart(series: readonly Series[], options: ChartOptions): SVGSVGElement {
  const { label, height = 160, marks = [], formatX = String, formatY = String, bars = false } = options;
  const points = series.flatMap(({ points }) => points);
  const ys = [...points.map(([, y]) => y), ...marks.map(({ y }) => y), ...(bars ? [0] : [])];
  const from = options.from ?? leastOf(points.map(([x]) => x));
  const to = options.to ?? greatestOf(points.map(([x]) => x));
  const [bottom, top] = [leastOf(ys), greatestOf(ys)];
  const [left, right, base] = [44, WIDTH - 6, height - 18];
  const toX = (x: number): number => left + ((right - left) * (x - from)) / (to - from || 1);
  const toY = (y: number): number => base - ((base - 8) * (y - bottom)) / (top - bottom || 1);

  const image = svg('svg', {
    viewBox: `0 0 ${WIDTH} ${height}`,
    role: 'img',
    'aria-label': label,
    class: 'chart',
  });
  image.append(svg('line', { x1: left, x2: right, y1: base, y2: base, class: 'axis' }));
  for (const { y, color } of marks)
    image.append(svg('line', { x1: left, x2: right, y1: toY(y), y2: toY(y), stroke: color, class: 'mark' }));
  if (points.length > 0) {
    image.append(text(formatY(top), 4, 14), text(formatY(bottom), 4, base));
    image.append(text(formatX(from), left, height - 4), text(formatX(to), right, height - 4, 'end'));
  }
  const barWidth = Math.max(1, ((right - left) / Math.max(1, points.length)) * 0.8);
  for (const { color, points } of series) {
    if (bars)
      for (const [x, y] of points) {
        const top = toY(Math.max(y, 0));
        const place = {
          x: toX(x) - barWidth / 2,
          y: top,
          width: barWidth,
          height: toY(Math.min(y, 0)) - top,
        };
        image.append(svg('rect', { ...place, fill: color }));
      }
    else {
      const path = points.map(([x, y]) => `${toX(x).toFixed(1)},${toY(y).toFixed(1)}`).join(' ');
      image.append(svg('polyline', { points: path, stroke: color, class: 'series' }));
    }
  }
  return image;
}

// Math.min takes no more arguments than fit on the stack.
function leastOf(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((least, value) => Math.min(least, value));
}

function greatestOf(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((greatest, value) => Math.max(greatest, value));
}

function text(content: string, x: number, y: number, anchor = 'start'): SVGElement {
  const element = svg('text', { x, y, 'text-anchor': anchor });
  element.textContent = content;
  return element;
}

function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string | number>>,
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}
