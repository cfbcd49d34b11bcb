export { Translator, type TranslatorOptions, type TranslatorStatistics } from './translator.ts';
export type { Block, Instruction, Region } from './region.ts';
