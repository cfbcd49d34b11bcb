/** The application menu. Shortcuts of the consoles stay free: Ctrl+C and its like belong to the guest. */
import type { MenuItemConstructorOptions } from 'electron';

const WORDS = {
  en: { edit: 'Edit', view: 'View', window: 'Window', file: 'File' },
  zh: { edit: '编辑', view: '视图', window: '窗口', file: '文件' },
} as const;

export function menuTemplate(platform: NodeJS.Platform, language: 'en' | 'zh'): MenuItemConstructorOptions[] {
  const words = WORDS[language];
  const mac = platform === 'darwin';
  // The renderer handles the keys itself where a guest may want them.
  const free = mac ? {} : { registerAccelerator: false };
  return [
    ...(mac ? [{ role: 'appMenu' } as const] : []),
    { label: words.file, submenu: [{ role: mac ? 'close' : 'quit', ...free }] },
    {
      label: words.edit,
      submenu: [
        { role: 'cut', ...free },
        { role: 'copy', ...free },
        { role: 'paste', ...free },
        { role: 'selectAll', ...free },
      ],
    },
    {
      label: words.view,
      submenu: [{ role: 'resetZoom' }, { role: 'zoomIn' }, { role: 'zoomOut' }, { type: 'separator' }, { role: 'togglefullscreen' }],
    },
    { label: words.window, submenu: [{ role: 'minimize', ...free }, ...(mac ? [{ role: 'front' } as const] : [])] },
  ];
}
