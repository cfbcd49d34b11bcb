/** The technique lab's texts. */
export const lab = {
  title: 'Technique lab',
  openTip: 'What operations cost a guest, technique by technique',
  text: 'The built-in guest does each operation many times: bare on the processor model, then with its kernel out of ring 0. What leaves the guest is counted. It takes about half a minute.',
  run: 'Run',
  stop: 'Stop',
  close: 'Close the lab',
  booting: 'The guest is starting…',
  progress: '{done} of {all} measured',
  never: 'Nothing has been measured yet.',
  unitLabel: 'Cost in',
  unit: { cycles: 'Cycles', nanoseconds: 'ns' },
  costIn: { cycles: 'Guest cycles per operation (TSC)', nanoseconds: 'Nanoseconds per operation (clock of this computer)' },
  operation: 'Operation',
  exits: '{n} exits | {n} exit | {n} exits',
  noExits: 'No exits',
  perOperation: 'Exits per operation',
  classes: '{privileged} privileged, {sensitive} sensitive instructions',
  column: { bare: 'Bare', 'trap-and-emulate': 'Trap and emulate', traps: 'Full, not adaptive', full: 'Full' },
  columnHint: {
    bare: 'No technique: the guest’s kernel is at ring 0 of the processor model.',
    'trap-and-emulate': 'The kernel is at ring 1. Privileged instructions trap; sensitive ones that do not trap are left as they are.',
    traps: 'Sensitive instructions are translated; every privileged one traps, every time.',
    full: 'Sensitive instructions are translated, and privileged ones that keep trapping too.',
  },
  benchmark: {
    syscall: 'a system call and back',
    in: 'IN from port 0x80',
    cr8wr: 'a write to CR8, the task priority',
    callret: 'a call and its return',
    pgfault: 'a page fault, mapped by its handler',
    divzero: 'a division by zero, skipped by its handler',
    ptemod: 'a change of a page-table entry',
  },
  failure: {
    'triple-fault':
      'the guest ended in a triple fault before it came to its prompt. It is a MOV to SS, just after its way into 64-bit mode: at ring 1 a stack segment of ring 0 cannot be loaded.',
    crash: 'the VM crashed.',
    silent: 'the guest did not answer.',
  },
  paper: 'Paper, cycles',
  paperColumn: { native: 'Native', software: 'Software VMM', hardware: 'Hardware VMM' },
  scale:
    'Bars are logarithmic. Of ten measurements the quickest counts. The guest’s TSC has 1 GHz, so that its cycles are nanoseconds of its own clock.',
  source:
    'Paper: K. Adams, O. Agesen, “A comparison of software and hardware techniques for x86 virtualization”, ASPLOS 2006, section 6.3, as far as its text states numbers.',
  measured: 'Measured {when} on {cpu}.',
};
