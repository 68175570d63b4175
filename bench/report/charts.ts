import { type EChartsOption, init } from 'echarts';

const FONT = 'system-ui, sans-serif';
const TEXT = '#333';
/** This service stands out; its peers do not. */
export const OURS = '#1a7f5a';
export const PEER = '#8a94a6';
export const YARDSTICK = '#5b6472';
export const PALETTE = [OURS, '#c2410c', '#2563eb', '#7c3aed', '#8a94a6'];

/** A chart as SVG, on white: it is read in dark surroundings as well. */
export function draw(title: string, { width = 860, height = 420 }, options: EChartsOption): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  chart.setOption({
    animation: false,
    backgroundColor: '#fff',
    color: PALETTE,
    textStyle: { fontFamily: FONT, color: TEXT, fontSize: 13 },
    title: { text: title, left: 16, top: 10, textStyle: { fontFamily: FONT, fontSize: 16, color: TEXT } },
    ...options,
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}

/** Above the chart, with room for fonts that are wider than was reckoned with. */
export const LEGEND = { top: 40, left: 60, itemGap: 34 };

/** The name of an axis stands in its middle. */
export function axisName(name: string, gap: number) {
  return { name, nameLocation: 'middle' as const, nameGap: gap };
}
