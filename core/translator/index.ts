export { Translator, type TranslatorOptions } from './translator.ts';
export { LARGE } from './finder.ts';
export { listRegion } from './listing.ts';
export { translationStatistics, type TranslationStatistics } from './statistics.ts';
export type { Block, Instruction, Region } from './region.ts';
