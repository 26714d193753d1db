/** Two hosts, a client and a server between which one policy decides. */
import type { LabPlan } from './lab.js';

export const FLIP_PLAN: LabPlan = {
  hosts: ['h1', 'h2'],
  workloads: [
    {
      name: 'client',
      host: 'h1',
      namespace: 'default',
      address: '10.65.1.1',
      labels: { app: 'client' },
      profiles: ['open'],
    },
    {
      name: 'server',
      host: 'h2',
      namespace: 'default',
      address: '10.65.2.1',
      labels: { app: 'server' },
      profiles: ['open'],
    },
  ],
};

export const OPEN_PROFILE = JSON.stringify({
  apiVersion: 'projectcalico.org/v3',
  kind: 'Profile',
  metadata: { name: 'open' },
  spec: { ingress: [{ action: 'Allow' }], egress: [{ action: 'Allow' }] },
});

export const flipPolicy = (action: 'Allow' | 'Deny'): string =>
  JSON.stringify({
    apiVersion: 'projectcalico.org/v3',
    kind: 'NetworkPolicy',
    metadata: { name: 'flip', namespace: 'default' },
    spec: {
      selector: "app == 'server'",
      ingress: [
        {
          action,
          protocol: 'TCP',
          source: { selector: "app == 'client'" },
          destination: { ports: [80] },
        },
      ],
    },
  });
