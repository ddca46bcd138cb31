// Colors: Grafana's names, palettes, thresholds.

export const palette = [
  '#73BF69', '#F2CC0C', '#5794F2', '#FF9830', '#F2495C', '#B877D9', '#8AB8FF', '#96D98D', '#FFCB7D', '#FF7383', '#CA95E5', '#37872D',
  '#E0B400', '#1F60C4', '#FA6400', '#C4162A', '#8F3BB8', '#C0D8FF', '#C8F2C2', '#FFEE52', '#FFA6B0', '#DEB6F2', '#3274D9', '#56A64B',
];
// On white the light ones would be lost.
const paletteOnWhite = [
  '#3f9142', '#c99700', '#2f6fd6', '#e8710a', '#d92f46', '#9145b6', '#4d8fe0', '#5aa95f', '#d9911f', '#e5536a', '#a765cc', '#2b6b22',
  '#a88600', '#1a52a8', '#c95000', '#a3121f', '#76309a', '#6f93c9', '#6f9f68', '#b39a00', '#d66a7c', '#ad79cc', '#2a62ba', '#468a3d',
];

const named: Record<string, [dark: string, light: string]> = {
  green: ['#73BF69', '#3f9142'], 'dark-green': ['#37872D', '#2b6b22'], 'semi-dark-green': ['#56A64B', '#3a7d33'], 'light-green': ['#96D98D', '#5aa95f'], 'super-light-green': ['#C8F2C2', '#7fbf7a'],
  yellow: ['#FADE2A', '#c99700'], 'dark-yellow': ['#E0B400', '#a88600'], 'semi-dark-yellow': ['#F2CC0C', '#b59000'], 'light-yellow': ['#FFEE52', '#d6ab00'], 'super-light-yellow': ['#FFF899', '#e0bd2a'],
  red: ['#F2495C', '#d92f46'], 'dark-red': ['#C4162A', '#a3121f'], 'semi-dark-red': ['#E02F44', '#c22539'], 'light-red': ['#FF7383', '#e5536a'], 'super-light-red': ['#FFA6B0', '#ee8290'],
  blue: ['#5794F2', '#2f6fd6'], 'dark-blue': ['#1F60C4', '#1a52a8'], 'semi-dark-blue': ['#3274D9', '#2a62ba'], 'light-blue': ['#8AB8FF', '#4d8fe0'], 'super-light-blue': ['#C0D8FF', '#6f93c9'],
  orange: ['#FF9830', '#e8710a'], 'dark-orange': ['#FA6400', '#c95000'], 'semi-dark-orange': ['#FF780A', '#d96200'], 'light-orange': ['#FFB357', '#e8890a'], 'super-light-orange': ['#FFCB7D', '#d9911f'],
  purple: ['#B877D9', '#9145b6'], 'dark-purple': ['#8F3BB8', '#76309a'], 'semi-dark-purple': ['#A352CC', '#8740a8'], 'light-purple': ['#CA95E5', '#a765cc'], 'super-light-purple': ['#DEB6F2', '#ad79cc'],
  text: ['#ccccdc', '#24292e'], transparent: ['transparent', 'transparent'], gray: ['#8e8e8e', '#6e6e6e'], grey: ['#8e8e8e', '#6e6e6e'], white: ['#ffffff', '#24292e'], black: ['#000000', '#000000'],
};

export const seriesColor = (i: number, dark: boolean): string => (dark ? palette : paletteOnWhite)[i % palette.length]!;

// color makes a CSS color of one of Grafana's; what is neither is gray.
export function color(name: string | undefined, dark: boolean): string {
  const known = named[name ?? ''];
  if (known) return known[dark ? 0 : 1];
  return name && /^(#[0-9a-f]{3,8}|(rgb|hsl)a?\([\d\s.,%/]+\))$/i.test(name) ? name : named.gray![dark ? 0 : 1];
}

const ramps: Record<string, string[]> = {
  'continuous-GrYlRd': ['#73BF69', '#EAB839', '#F2495C'], 'continuous-RdYlGr': ['#F2495C', '#EAB839', '#73BF69'],
  'continuous-BlYlRd': ['#5794F2', '#EAB839', '#F2495C'], 'continuous-YlRd': ['#F2CC0C', '#F2495C'], 'continuous-BlPu': ['#5794F2', '#B877D9'],
  'continuous-YlBl': ['#F2CC0C', '#5794F2'], 'continuous-blues': ['#123A73', '#5794F2', '#C0D8FF'], 'continuous-reds': ['#6B0A15', '#F2495C', '#FFA6B0'],
  'continuous-greens': ['#143D10', '#73BF69', '#C8F2C2'], 'continuous-purples': ['#3F1A52', '#B877D9', '#DEB6F2'],
};

const rgb = (hex: string): number[] => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

// ramp is the color at a part between 0 and 1 of a continuous mode.
export function ramp(mode: string, part: number): string {
  const stops = ramps[mode] ?? ramps['continuous-GrYlRd']!;
  const at = Math.min(Math.max(part, 0), 1) * (stops.length - 1);
  const i = Math.min(Math.floor(at), stops.length - 2);
  const [a, b] = [rgb(stops[i]!), rgb(stops[i + 1]!)];
  return `#${a.map((v, k) => Math.round(v + (b[k]! - v) * (at - i)).toString(16).padStart(2, '0')).join('')}`;
}

// alpha adds transparency to #rrggbb and to rgb().
export function alpha(css: string, a: number): string {
  if (/^#[0-9a-f]{6}$/i.test(css)) return `rgba(${rgb(css).join(',')},${a})`;
  if (/^#[0-9a-f]{3}$/i.test(css)) return alpha(`#${css.slice(1).split('').map((c) => c + c).join('')}`, a);
  return css;
}
