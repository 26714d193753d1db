/** Every verb, a line each: adding one means a module below verbs/ and its line here. */
import type { VerbEntry } from './verb.js';

export const VERBS: readonly VerbEntry[] = [
  {
    name: 'create',
    about: 'Create resources that do not exist yet.',
    group: 'Resources',
    load: () => import('./verbs/create.js'),
  },
  {
    name: 'apply',
    about: 'Create resources, or replace them where they exist.',
    group: 'Resources',
    load: () => import('./verbs/apply.js'),
  },
  {
    name: 'replace',
    about: 'Replace resources that exist.',
    group: 'Resources',
    load: () => import('./verbs/replace.js'),
  },
  {
    name: 'delete',
    about: 'Delete resources by name or as named in files.',
    group: 'Resources',
    load: () => import('./verbs/delete.js'),
  },
  {
    name: 'get',
    about: 'Show resources: a kind, some of it by name, or what files name.',
    group: 'Resources',
    load: () => import('./verbs/get.js'),
  },
  {
    name: 'patch',
    about: 'Change parts of one resource.',
    group: 'Resources',
    load: () => import('./verbs/patch.js'),
  },
  {
    name: 'label',
    about: 'Set and remove labels of one resource.',
    group: 'Resources',
    load: () => import('./verbs/label.js'),
  },
  {
    name: 'edit',
    about: 'Change one resource in an editor.',
    group: 'Resources',
    load: () => import('./verbs/edit.js'),
  },
  {
    name: 'diff',
    about: 'Show what apply would change.',
    group: 'Resources',
    load: () => import('./verbs/diff.js'),
  },
  {
    name: 'validate',
    about: 'Check files without a datastore.',
    group: 'Resources',
    load: () => import('./verbs/validate.js'),
  },
  {
    name: 'convert',
    about: 'Turn v1 manifests and Kubernetes network policies into v3 manifests.',
    group: 'Resources',
    load: () => import('./verbs/convert.js'),
  },
  {
    name: 'wait',
    about: 'Wait until resources are as asked.',
    group: 'Resources',
    load: () => import('./verbs/wait.js'),
  },
  {
    name: 'explain',
    about: 'Tell what a field of a resource means.',
    group: 'Resources',
    load: () => import('./verbs/explain.js'),
  },
  {
    name: 'api-resources',
    about: 'List the kinds of resources and the words that name them.',
    group: 'Resources',
    load: () => import('./verbs/api-resources.js'),
  },
  {
    name: 'ipam',
    about: 'Addresses: how full pools are, who has which, what is leaked.',
    group: 'Cluster',
    load: () => import('./verbs/ipam.js'),
  },
  {
    name: 'status',
    about: 'Show each host: live or not, dataplane, revisions seen and programmed, errors.',
    group: 'Cluster',
    load: () => import('./verbs/status.js'),
  },
  {
    name: 'flows',
    about: 'Show what passed and what was dropped on this host, and which rule decided.',
    group: 'Host',
    load: () => import('./verbs/flows.js'),
  },
  {
    name: 'node',
    about: "Run this host's agent, show its sessions, check the system, collect diagnostics.",
    group: 'Host',
    load: () => import('./verbs/node.js'),
  },
  {
    name: 'why',
    about: 'Tell which rule decides about a connection, at both ends, and what would change it.',
    group: 'Cluster',
    load: () => import('./verbs/why.js'),
  },
  {
    name: 'doctor',
    about: 'Check this host and its datastore, and say how to mend what is wrong.',
    group: 'Host',
    load: () => import('./verbs/doctor.js'),
  },
  {
    name: 'datastore',
    about: 'Copy a datastore into another, and lock it meanwhile.',
    group: 'Cluster',
    load: () => import('./verbs/datastore.js'),
  },
  {
    name: 'version',
    about: 'Show the version of this program and of the cluster.',
    group: 'Cluster',
    load: () => import('./verbs/version.js'),
  },
  {
    name: 'completion',
    about: 'Print a completion script for a shell.',
    group: 'Help',
    load: () => import('./verbs/completion.js'),
  },
];
