/** Saving and restoring x87, MMX and SSE state (Intel SDM vol. 1, 5.1.13, 10.5, chapter 13). What CR0 and CR4 allow is the helpers' to check. */
export const rows = `
  NP 0F AE /0 m       | FXSAVE m        | helper=fxsave needs=fxsr
  NP REX.W 0F AE /0 m | FXSAVE64 m      | helper=fxsave64 needs=fxsr o64
  NP 0F AE /1 m       | FXRSTOR m       | helper=fxrstor needs=fxsr
  NP REX.W 0F AE /1 m | FXRSTOR64 m     | helper=fxrstor64 needs=fxsr o64
  NP 0F AE /2 m       | LDMXCSR m32     | helper=ldmxcsr needs=sse simd
  NP 0F AE /3 m       | STMXCSR m32     | helper=stmxcsr needs=sse simd
  NP 0F AE /4 m       | XSAVE m         | helper=xsave needs=xsave
  NP REX.W 0F AE /4 m | XSAVE64 m       | helper=xsave64 needs=xsave o64
  NP 0F AE /5 m       | XRSTOR m        | helper=xrstor needs=xsave
  NP REX.W 0F AE /5 m | XRSTOR64 m      | helper=xrstor64 needs=xsave o64
`;
