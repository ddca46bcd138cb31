import { Modal, Table } from '@mantine/core';

export interface KeysProps { open: boolean; onClose: () => void; pages: { title: string; key: string }[] }

// Keys lists what the keyboard does.
export function Keys({ open, onClose, pages }: KeysProps) {
  const list = [
    ['/', 'Look something up'], ['?', 'This list'], ...pages.map((p) => [`g ${p.key}`, p.title]),
    ['t z', 'Dashboard: twice the range'], ['t ← / t →', 'Dashboard: earlier, later'], ['r', 'Dashboard: refresh'], ['v', 'Panel with focus: alone, and back'], ['Esc', 'Panel: back'],
    ['Ctrl+Enter', 'Explore: run'],
  ];
  return (
    <Modal opened={open} onClose={onClose} title="Keys" size="sm">
      <Table><Table.Tbody>{list.map(([k, t]) => <Table.Tr key={k}><Table.Td><kbd>{k}</kbd></Table.Td><Table.Td>{t}</Table.Td></Table.Tr>)}</Table.Tbody></Table>
    </Modal>
  );
}
