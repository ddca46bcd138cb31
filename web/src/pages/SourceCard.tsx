import { Text } from '@mantine/core';
import { formatText } from '../format/units';
import { Spark } from '../panels/Stat';
import { Link } from '../ui/Link';
import { useSize } from '../ui/hooks';
import { figureText, type Reading, type Source } from './sources';

export interface Health { mark: '' | 'good' | 'warn' | 'bad'; words: string }

export interface SourceCardProps { source: Source; health: Health; reading?: Reading; to?: string; dark: boolean; figure?: string; words?: string; good?: boolean; line?: { unit: string; words: string; last?: number } }

// SourceCard shows a source at a glance: is it healthy, its figure, and what it did lately.
export function SourceCard({ source, health, reading, to, dark, ...own }: SourceCardProps) {
  const [box, size] = useSize<HTMLDivElement>();
  const figure = own.figure ?? figureText(source, reading);
  const words = own.words ?? source.figure?.words ?? '';
  const good = own.good ?? (source.figure?.good && reading?.value !== undefined ? source.figure.good(reading.value, reading.of ?? 0) : undefined);
  const last = own.line?.last ?? reading?.line?.values.findLast((v) => v !== null && Number.isFinite(v));
  const line = own.line ?? source.line;
  const color = dark ? '#5794f2' : '#3274d9';
  return (
    <div className="card source" data-source={source.pool} data-health={health.mark}>
      <div className="top"><span className={`dot ${health.mark}`} />{to ? <Link to={to} inherit><b>{source.title}</b></Link> : <b>{source.title}</b>}<Text span size="xs" c="dimmed" ml="auto">{health.words}</Text></div>
      <div className="figure"><span className={good === undefined ? undefined : good ? 'fine' : 'alarm'}>{figure || '–'}</span> <em>{words}</em></div>
      <div className="line" ref={box}>
        {reading?.line && size.width > 0 && <Spark spark={reading.line} color={color} w={size.width} h={28} />}
        {line && last !== undefined && last !== null && <em>{formatText(last, line.unit, 1)} {line.words}</em>}
      </div>
    </div>
  );
}
