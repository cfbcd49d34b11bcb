/** Entry of a pCPU's thread. */
import { guests } from './guest.ts';
import { serve } from './pcpu.ts';

serve(guests);
