import type { Frame } from '../data/frame';
import type { Look } from '../format/display';
import type { Range } from '../format/time';
import type { Panel } from '../model/dashboard';

export interface Mark { time: number; end?: number; text: string; color: string }

// PanelProps is what every kind of panel is drawn of. The fields of the frames have their configuration.
export interface PanelProps {
  panel: Panel;
  frames: Frame[];
  range: Range;
  stepMs: number;
  look: Look;
  width: number;
  height: number;
  marks: Mark[];
  sync: string; // charts with the same one share a crosshair
  onZoom: (range: Range) => void;
  link: (url: string, more?: Record<string, string>) => string; // with the variables filled in
  text: (t: string) => string; // likewise
}
