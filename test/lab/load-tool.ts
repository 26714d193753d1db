import { join } from 'node:path';
import { REPOSITORY } from '../support/repository.js';

/** Built from bench/load by the native build. */
export const LOAD_TOOL = join(REPOSITORY, 'build', 'Release', 'margay-load');
