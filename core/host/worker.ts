/** Entry of a pCPU's thread. */
import { pc } from './guest.ts';
import { serve } from './pcpu.ts';

serve(pc);
