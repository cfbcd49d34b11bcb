import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ACTIVITIES, CLASSES, LOAD_STATES } from '../stores/load-history.ts';
import { en } from './en.ts';
import { i18n, setLanguage } from './index.ts';
import { zh } from './zh.ts';

function flatten(messages: object, prefix = ''): Map<string, string> {
  const out = new Map<string, string>();
  for (const [key, value] of Object.entries(messages)) {
    if (typeof value === 'string') out.set(prefix + key, value);
    else for (const [k, v] of flatten(value as object, `${prefix}${key}.`)) out.set(k, v);
  }
  return out;
}

const english = flatten(en);
const chinese = flatten(zh);
const placeholders = (text: string) => [...new Set(text.match(/\{\w+\}/g))].sort();

const root = path.resolve(import.meta.dirname, '..');
const sources = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((file) => /\.(vue|ts)$/.test(file) && !file.endsWith('.test.ts') && !/^(locales|mock)[/\\]/.test(file))
  .map((file) => readFileSync(path.join(root, file), 'utf8'))
  .join('\n');

describe('locales', () => {
  it('say the same things with the same values in every language', () => {
    expect([...chinese.keys()]).toEqual([...english.keys()]);
    for (const [key, text] of english) expect(placeholders(chinese.get(key)!), key).toEqual(placeholders(text));
  });

  it('have every text that the sources ask for by name', () => {
    const asked = [...sources.matchAll(/\bt\('([\w.]+)'/g)].map((match) => match[1]!);
    expect(asked.length).toBeGreaterThan(100);
    for (const key of asked) expect(english.has(key), key).toBe(true);
  });

  it('have no text that nobody asks for', () => {
    // Keys that are put together: t(`state.${...}`) and the like.
    const families = [...sources.matchAll(/\bt\(`([\w.]*)\$\{/g)].map((match) => match[1]!);
    const unused = [...english.keys()].filter((key) => !sources.includes(`'${key}'`) && !families.some((family) => key.startsWith(family)));
    expect(unused).toEqual([]);
  });

  it('name every state of the load', () => {
    for (const state of LOAD_STATES) {
      expect(english.has(`cpu.${state}`)).toBe(true);
      expect(english.has(`cpu.hints.${state}`)).toBe(true);
    }
  });

  it('name every activity and every class of instructions', () => {
    for (const name of ACTIVITIES)
      for (const key of [`cpu.activity.${name}`, `cpu.activityHints.${name}`]) expect(english.has(key)).toBe(true);
    for (const name of CLASSES) for (const key of [`cpu.class.${name}`, `cpu.classHints.${name}`]) expect(english.has(key)).toBe(true);
  });

  it('are compiled without a mistake and switched live', () => {
    const { t } = i18n.global;
    globalThis.document ??= { documentElement: { lang: '' } } as Document;
    for (const language of ['en', 'zh'] as const) {
      setLanguage(language);
      expect(document.documentElement.lang).toBe(language === 'en' ? 'en' : 'zh-CN');
      for (const [key, text] of language === 'en' ? english : chinese) {
        const values = Object.fromEntries(placeholders(text).map((p) => [p.slice(1, -1), 'VALUE']));
        expect(t(key, values, 2), key).not.toMatch(/[{}|]|^$/);
      }
    }
    setLanguage('en');
    expect(t('state.running')).toBe('Running');
  });
});
