/** What tests of BGP in the lab have in common: objects as one line, BIRD asked, conditions awaited. */
import type { Lab } from './lab.js';

export interface Document {
  readonly kind: string;
  readonly name: string;
  readonly spec: object;
  readonly labels?: Readonly<Record<string, string>>;
}

export const textOf = ({ kind, name, spec, labels = {} }: Document): string =>
  JSON.stringify({ apiVersion: 'projectcalico.org/v3', kind, metadata: { name, labels }, spec });

/** Returns once every agent has them in force. */
export function apply(lab: Lab, ...documents: readonly Document[]): Promise<string> {
  return applyTexts(lab, documents.map(textOf));
}

export function applyTexts(lab: Lab, texts: readonly string[]): Promise<string> {
  return lab.mustMargay(['apply', '-f', '-', '--wait'], texts.join('\n---\n'));
}

export async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited 60 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Asks the BIRD of a host. */
export async function birdc(lab: Lab, host: string, command: string): Promise<string> {
  const socket = `${lab.host(host).runDir}/bird/bird.ctl`;
  return (await lab.inHost(host, ['birdc', '-s', socket, ...command.split(' ')])).stdout;
}

/** Sessions of a host that are up. */
export async function established(lab: Lab, host: string): Promise<number> {
  const lines = (await birdc(lab, host, 'show protocols')).split('\n');
  return lines.filter((line) => line.includes('Established')).length;
}
