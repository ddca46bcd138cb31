// Widths of texts as they will be drawn: fonts differ from machine to machine.

let pen: CanvasRenderingContext2D | null | undefined;
let family = '';
const known = new Map<string, number>();

// emWidth is the width of a text in the page's font, in parts of the font's size.
export function emWidth(text: string, weight = 400): number {
  const key = `${weight} ${text}`;
  let w = known.get(key);
  if (w !== undefined) return w;
  pen ??= document.createElement('canvas').getContext('2d');
  family ||= getComputedStyle(document.body).fontFamily;
  if (!pen) return text.length * 0.62;
  pen.font = `${weight} 100px ${family}`;
  w = pen.measureText(text).width / 100;
  if (known.size > 5000) known.clear();
  known.set(key, w);
  return w;
}

// fit is the largest font with which a text fits a box.
export const fit = (text: string, w: number, h: number, most = 56, weight = 600): number => Math.max(8, Math.min(most, h, w / Math.max(emWidth(text, weight), 0.5)));
