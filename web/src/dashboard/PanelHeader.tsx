import { ActionIcon, Menu, Tooltip } from '@mantine/core';
import { memo, useState, type ReactNode } from 'react';
import { inline } from '../panels/Text';
import { Link } from '../ui/Link';

export interface HeaderProps {
  title: string; description: string; notes: string; problems: string; links?: { url: string; title: string; targetBlank?: boolean }[]; link: (url: string) => string; alone: boolean; loading: boolean;
  onAlone: () => void; onExplore?: () => void; onCSV?: () => void;
}

// Header is the title of a panel and what can be done with it. Hints are made
// when somebody comes near, and menus when they are opened: twenty of them cost more than twenty charts.
export const Header = memo(function Header(p: HeaderProps) {
  const [near, setNear] = useState(false);
  const [menu, setMenu] = useState(false);
  const come = () => setNear(true);
  return (
    <header onPointerEnter={come} onFocus={come} onTouchStart={come}>
      <h2 title={p.title}>{p.title}</h2>
      {p.description && <Hint near={near} text={inline(p.description)} label={p.description} className="info">i</Hint>}
      {p.notes && <Hint near={near} text={p.notes} label={p.notes} className="info warn">!</Hint>}
      {p.problems && <Hint near={near} text={p.problems} label={p.problems} className="info bad" role="alert">!</Hint>}
      <span className="grow" />
      {(p.links ?? []).map((l, i) => <Link key={i} to={p.link(l.url)} blank={l.targetBlank} title={l.title}>↗</Link>)}
      {p.loading && <span className="spinner" role="status" aria-label="Loading" />}
      {menu ? (
        <Menu defaultOpened position="bottom-end" withinPortal shadow="md">
          <Menu.Target><ActionIcon size="xs" variant="subtle" color="gray" className="more" aria-label={`Menu of ${p.title}`}>⋮</ActionIcon></Menu.Target>
          <Menu.Dropdown>
            <Menu.Item onClick={p.onAlone}>{p.alone ? 'Back' : 'Alone'}</Menu.Item>
            {p.onExplore && <Menu.Item onClick={p.onExplore}>Explore</Menu.Item>}
            {p.onCSV && <Menu.Item onClick={p.onCSV}>CSV</Menu.Item>}
          </Menu.Dropdown>
        </Menu>
      ) : <button type="button" className="more plain" aria-label={`Menu of ${p.title}`} onClick={() => setMenu(true)}>⋮</button>}
    </header>
  );
});

interface HintProps { near: boolean; text: ReactNode; label: string; className: string; role?: string; children: ReactNode }

function Hint({ near, text, label, className, role = 'note', children }: HintProps) {
  const mark = <span className={className} tabIndex={0} role={role} aria-label={label}>{children}</span>;
  if (!near) return mark;
  return <Tooltip label={<span className="tooltip">{text}</span>} multiline maw={380} withArrow events={{ hover: true, focus: true, touch: true }}>{mark}</Tooltip>;
}
