/** Level-1 scheduling policies by name. */
import type { Policy } from '../scheduler/policy.ts';
import { roundRobin } from '../scheduler/round-robin.ts';
import { UserError } from './api.ts';
import type { Vcpu } from './pool.ts';

const POLICIES: Readonly<Record<string, () => Policy<Vcpu>>> = { 'round-robin': () => roundRobin<Vcpu>() };

/** A policy by its name. Throws a UserError. */
export function policyOf(name = 'round-robin'): Policy<Vcpu> {
  const make = POLICIES[name];
  if (make === undefined) throw new UserError(`There is no policy "${name}": known are ${Object.keys(POLICIES).join(', ')}.`, 'policy');
  return make();
}
