/**
 * Hypercalls, a row each: number and name (xen.h), argument types, who does it, and whether it may be an entry of a multicall. The dispatcher, the
 * statistics and the table in docs/paravirtualization.md come from these.
 */
import { HYPERCALLS } from '../../state/index.ts';
import { ENOSYS, EOPNOTSUPP, EPERM } from './errno.ts';

export type ArgumentType = 'u32' | 'u64' | 'domid' | 'frame' | 'address' | 'pointer';

export interface HypercallRow {
  readonly number: number;
  /** Without __HYPERVISOR_. */
  readonly name: string;
  readonly args: readonly ArgumentType[];
  /** `processor`: core/processor/assembly. `domain`: a service of core/vmm/para. A number: nobody; the error (positive) that it always returns. */
  readonly by: 'processor' | 'domain' | number;
  /** It may come in a multicall. Those that leave or block the guest's kernel may not. */
  readonly batch: boolean;
}

// number | name | arguments | by | batch. An unprivileged domain may not control the host or other domains: -EPERM. What is no part of this VMM: -ENOSYS.
const TEXT = `
0  | set_trap_table         | pointer                    | processor | batch
1  | mmu_update             | pointer u32 pointer domid  | processor | batch
2  | set_gdt                | pointer u32                | processor | batch
3  | stack_switch           | u64 address                | processor | batch
4  | set_callbacks          | address address address    | processor | batch
5  | fpu_taskswitch         | u32                        | processor | batch
6  | sched_op_compat        | u32 u64                    | domain    |
7  | platform_op            | pointer                    | EPERM     | batch
8  | set_debugreg           | u32 u64                    | processor | batch
9  | get_debugreg           | u32                        | processor | batch
10 | update_descriptor      | u64 u64                    | processor | batch
12 | memory_op              | u32 pointer                | domain    | batch
13 | multicall              | pointer u32                | processor |
14 | update_va_mapping      | address u64 u64            | processor | batch
15 | set_timer_op           | u64                        | domain    | batch
16 | event_channel_op_compat | pointer                   | domain    | batch
17 | xen_version            | u32 pointer                | domain    | batch
18 | console_io             | u32 u32 pointer            | domain    | batch
19 | physdev_op_compat      | pointer                    | domain    | batch
20 | grant_table_op         | u32 pointer u32            | domain    | batch
21 | vm_assist              | u32 u32                    | domain    | batch
22 | update_va_mapping_otherdomain | address u64 u64 domid | processor | batch
23 | iret                   |                            | processor |
24 | vcpu_op                | u32 u32 pointer            | domain    | batch
25 | set_segment_base       | u32 u64                    | processor | batch
26 | mmuext_op              | pointer u32 pointer domid  | processor | batch
27 | xsm_op                 | pointer                    | ENOSYS    | batch
28 | nmi_op                 | u32 pointer                | domain    | batch
29 | sched_op               | u32 pointer                | domain    |
30 | callback_op            | u32 pointer                | processor | batch
31 | xenoprof_op            | u32 pointer                | ENOSYS    | batch
32 | event_channel_op       | u32 pointer                | domain    | batch
33 | physdev_op             | u32 pointer                | domain    | batch
34 | hvm_op                 | u32 pointer                | domain    | batch
35 | sysctl                 | pointer                    | EPERM     | batch
36 | domctl                 | pointer                    | EPERM     | batch
37 | kexec_op               | u32 pointer                | EPERM     | batch
38 | tmem_op                | pointer                    | ENOSYS    | batch
39 | argo_op                | u32 pointer pointer u32 u32 | EOPNOTSUPP | batch
40 | xenpmu_op              | u32 pointer                | EOPNOTSUPP | batch
41 | dm_op                  | domid u32 pointer          | EPERM     | batch
42 | hypfs_op               | u32 pointer u32 pointer u32 | EPERM    | batch
48 | mca                    | pointer                    | EPERM     | batch
`;

const ERRORS: Readonly<Record<string, number>> = { EPERM, ENOSYS, EOPNOTSUPP };

export const HYPERCALL_ROWS: readonly HypercallRow[] = TEXT.trim()
  .split('\n')
  .map((line) => {
    const [number, name, args, by, batch] = line.split('|').map((cell) => cell.trim()) as [string, string, string, string, string];
    return {
      number: Number(number),
      name,
      args: args.split(/\s+/).filter((word) => word !== '') as ArgumentType[],
      by: by === 'processor' || by === 'domain' ? by : ERRORS[by]!,
      batch: batch === 'batch',
    };
  });

const byNumber = new Map(HYPERCALL_ROWS.map((row) => [row.number, row]));

/** The row of a hypercall, if there is one with this number. */
export const hypercallRow = (number: number): HypercallRow | undefined => byNumber.get(number);

/** Its name; of numbers that are not defined, the number. */
export const hypercallName = (number: number): string => byNumber.get(number)?.name ?? `${number}`;

/** What is counted together where no row says otherwise. */
export const LAST_HYPERCALL = HYPERCALLS - 1;
