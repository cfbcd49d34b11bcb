/** English: this computer, the techniques, the rings and the nine kinds. */
import type { Advice } from '../../electron/ipc.ts';

export const virtualization = {
  host: {
    title: 'This computer',
    cpu: 'Processor',
    threads: '{sockets} socket · {cores} cores · {threads} threads | {sockets} sockets · {cores} cores · {threads} threads',
    numa: '{n} NUMA node | {n} NUMA nodes',
    memory: 'Memory',
    memoryText: '{total}, {free} free',
    virtualization: 'Virtualization hardware',
    technology: {
      'vt-x': 'Intel VT-x is there',
      'amd-v': 'AMD-V is there',
      none: 'The processor shows neither VT-x nor AMD-V',
      unknown: 'Cannot be told',
    },
    inFirmware: 'In the BIOS',
    firmware: {
      on: 'Not off',
      off: 'Off',
      unknown: 'Cannot be told',
    },
    kvm: {
      usable: 'Can be opened',
      'no-permission': 'Is there, but you may not open it',
      absent: 'Is not there',
      'unsupported-os': 'Is only on Linux',
    },
    nesting: 'Nested',
    nested: 'Yes: this computer is itself a virtual machine',
    notNested: 'No sign of it',
    evidence: 'How this was told',
    advice: {
      own: 'Ringside’s own processor runs every system here: no driver, no administrator and no BIOS setting is needed.',
      kvm: 'The hardware virtualization of this computer may be used (/dev/kvm can be opened): nothing has to be done. Ringside does not use it yet.',
      kvmWithoutFlag:
        '/dev/kvm can be opened, although the processor shows neither VT-x nor AMD-V: what serves it, and how fast it is, cannot be told. Ringside does not use it yet.',
      permission:
        'The hardware virtualization is there, but you may not open /dev/kvm; a member of the group “kvm” may. Ringside does not use it yet.',
      firmware:
        'The processor can virtualize in hardware, but that is off in the BIOS: its setup calls it “Virtualization Technology”, “VT-x” or “SVM”. Ringside does not use it yet.',
      notOffered:
        'The processor has hardware virtualization, but the system does not offer it (/dev/kvm is missing): the kvm module is not loaded, or it is off in the BIOS. Ringside does not use it yet.',
      present: 'The processor has hardware virtualization, and it is on. Ringside does not use it yet.',
      none: 'The processor shows no hardware virtualization: it has none, or it is off in the BIOS. Ringside does not need any.',
      nested:
        'This computer is itself a virtual machine: hardware virtualization within it is nested, and each of its exits costs several times as much.',
      nestedNone:
        'This computer is itself a virtual machine and is given no hardware virtualization; whoever runs it can change that. Ringside does not need any.',
      hyperV: 'Windows runs on its own hypervisor (Hyper-V) and hides what the processor has. Ringside does not need any of it.',
      notX86: 'The processor is not an x86: its hardware virtualization cannot run x86 systems. Ringside does not need any.',
      unknown: 'Whether there is hardware virtualization cannot be told here. Ringside does not need any.',
      numa: 'This computer has several NUMA nodes: a VM is slower where its memory is on another node than the processor that runs it. Ringside does not place VMs by node yet.',
      oneCpu: 'This computer has one CPU: running VMs take turns on it.',
    } satisfies Record<Advice, string>,
    limits: 'Limits of a VM',
    limitsText: 'up to {memory} of memory and {vcpus} vCPU | up to {memory} of memory and {vcpus} vCPUs',
    pool: 'Ringside runs vCPUs on',
    poolText: '{n} pCPU, policy: {policy} | {n} pCPUs, policy: {policy}',
    stateDir: 'VMs are kept in',
    version: 'Ringside {version} · {os} · {arch}',
    failed: 'What this computer can do could not be found out: {reason}',
  },
  technique: {
    automatic: 'Automatic',
    full: 'Full virtualization',
    para: 'Paravirtualization',
    hardware: 'Hardware-assisted',
    automaticHint: 'In this version: bare. The guest’s kernel has ring 0 of Ringside’s own processor, and no VMM stands between them.',
    fullHint:
      'The guest is unmodified. The VMM has ring 0, the guest’s kernel runs in ring 1; what it must not do is caught or translated.',
    paraHint: 'The guest’s kernel knows that it is a guest and asks the VMM by hypercalls.',
    hardwareHint: 'The guest runs in non-root mode and leaves it only for what the VMM intercepts.',
    reason: {
      own: 'Available: it needs nothing of this computer.',
      notYet: 'Not in this version of Ringside.',
      para: 'It will need nothing of this computer, but a kernel made for it.',
      'host-usable': 'This computer could serve it: /dev/kvm can be opened.',
      'host-permission': 'This computer has it, but you may not open /dev/kvm.',
      'host-firmware': 'This computer has it, but it is off in the BIOS.',
      'host-none': 'This computer offers none; Ringside’s own processor would have to model it.',
    },
  },
  rings: {
    title: 'Who is in which ring',
    bare: 'Bare, on Ringside’s processor',
    introFull:
      'The VMM has ring 0 of the processor. The guest’s kernel was moved to ring 1 and believes that it is in ring 0. In real-address mode, where there are no rings, each of its privileged instructions calls the VMM.',
    introBare: 'The guest’s kernel has ring 0 of Ringside’s processor, as on a bare machine. Ringside’s devices are outside of it.',
    ring: 'Ring {n}',
    place: 'Place',
    occupant: 'Who',
    average: 'average {share}',
    who: {
      applications: 'The guest’s applications',
      kernel: 'The guest’s kernel',
      kernelCompressed: 'The guest’s kernel (sees itself in ring 0)',
      vmm: 'The VMM',
      vmmOutside: 'The VMM: devices, interrupts, time',
      nobody: 'Nobody',
      idle: 'Idle',
      waiting: 'Ready or blocked',
    },
  },
  kinds: {
    title: 'Nine kinds of virtualization',
    intro: {
      automatic:
        'This VM runs bare on Ringside’s processor: its kernel has ring 0, and no technique virtualizes its CPU or its memory. Its devices are virtualized in any case.',
      full: 'This VM runs under full virtualization: an unmodified guest, its kernel in ring 1 under the VMM.',
      para: 'This VM is set to paravirtualization, which this version does not have.',
      hardware: 'This VM is set to hardware-assisted virtualization, which this version does not have.',
    },
    part: {
      cpu: 'CPU',
      memory: 'Memory',
      io: 'I/O',
    },
    status: {
      serves: 'Serves this VM',
      could: 'Not at work; it could be',
      not: 'Not in this version',
    },
    what: {
      cpu: {
        full: 'The guest is unmodified. Its privileged instructions trap and are emulated; sensitive ones that do not trap are translated.',
        para: 'The guest’s kernel knows that it is a guest: instead of privileged instructions it calls the VMM, several requests at a time.',
        hardware: 'The processor has a mode for guests: the kernel keeps ring 0 there, and leaves it only for what the VMM intercepts.',
      },
      memory: {
        full: 'The guest has page tables as it wants them. The processor works with a shadow of them that the VMM fills and keeps right.',
        para: 'The guest’s kernel knows where its memory really is. It writes real addresses into its page tables, and the VMM checks each change.',
        hardware: 'The processor walks two levels of tables: the guest’s, then the VMM’s (EPT, nested paging).',
      },
      io: {
        full: 'Devices of real machines are emulated: each access to a port or a register is an exit, and the guest’s ordinary drivers work.',
        para: 'The guest has drivers for devices that were made for VMs: many requests in a shared ring, one exit for all (virtio).',
        hardware: 'A real device is handed to the guest, and the hardware keeps it within the guest’s memory (IOMMU).',
      },
    },
    by: {
      ringsTranslated: 'Here: ring compression. Sensitive instructions are rewritten to call the VMM.',
      ringsTrapOnly:
        'Here: ring compression by trap and emulate alone. The translation of sensitive instructions is off, so the guest may see or do the wrong thing.',
      notAdaptive: 'Adaptive translation is off: every privileged instruction traps.',
      bareCpu: 'Now the processor itself executes the guest’s kernel in ring 0; nothing traps.',
      chooseFull: 'Choose the technique “Full virtualization” in the settings; nothing else is needed.',
      hypercalls: 'It would need a VMM that takes hypercalls, and a kernel made for it, as Linux with Xen’s PV interface is.',
      entries: 'It would need VM entries and exits, by the host’s processor or by Ringside’s own.',
      shadow: 'Here: the TLB is the shadow. Each miss is an exit: the VMM walks the guest’s tables and enters the translation.',
      bareMemory: 'Now the processor’s own MMU walks the guest’s tables.',
      directPaging: 'It would need the hypercalls of paravirtualization.',
      nestedPaging: 'It would need hardware-assisted virtualization with nested paging.',
      devices: 'Here: {serials} × serial port (16550), timers, interrupt controllers, clock, keyboard controller, power management.',
      bios: 'The disk’s boot loader is served by built-in BIOS services.',
      virtioBlock: 'Here: {disks} × virtio disk.',
      virtioEntropy: 'Here: a virtio source of randomness.',
      drivers: 'They serve as far as the guest has the drivers; Linux has.',
      noDrivers: 'The built-in guest has no drivers for them; a guest that has would be served.',
      passthrough: 'It would need a driver and an administrator on this computer, which Ringside does without, and an IOMMU.',
    },
  },
};
