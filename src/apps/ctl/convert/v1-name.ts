/** Names of Calico's v1 objects as v3 allows them (spec/cli.md 7). Pure. */
import { createHash } from 'node:crypto';

const HASH_DIGITS = 8;

function plain(name: string): string {
  return name
    .toLowerCase()
    .replaceAll('/', '.')
    .replace(/[^-.a-z0-9]+/g, '-')
    .replace(/[-.]*\.[-.]*/g, '.')
    .replace(/^[-.]+|[-.]+$/g, '');
}

const hashed = (name: string, original: string): string =>
  name === original
    ? name
    : `${name}-${createHash('sha1').update(original).digest('hex').slice(0, HASH_DIGITS)}`;

/** A changed name carries a hash of the original, so that two names stay two. */
export const convertName = (original: string): string => hashed(plain(original), original);

/** Policies have no dots. */
export const convertPolicyName = (original: string): string =>
  hashed(plain(original).replaceAll('.', '-'), original);

/** Hosts are known by it elsewhere, so there is no hash. */
export const convertNodeName = (original: string): string => plain(original);

/** `k8s_ns.X` is the profile of a Kubernetes namespace. */
export function convertProfileName(original: string): string {
  const [, namespace] = /^k8s_ns\.(.+)$/.exec(original) ?? [];
  return namespace === undefined ? convertName(original) : `kns.${namespace}`;
}

/** 1-2-3-4, or all eight groups of an IPv6 address with four digits each. */
export function dashedAddress(address: string): string {
  if (!address.includes(':')) return address.replaceAll('.', '-');
  const [head = '', tail] = address.split('::');
  const groups = (text: string): readonly string[] => (text === '' ? [] : text.split(':'));
  const [left, right] = [groups(head), groups(tail ?? '')];
  const zeros =
    tail === undefined ? [] : Array.from({ length: 8 - left.length - right.length }, () => '0');
  return [...left, ...zeros, ...right].map((group) => group.padStart(4, '0')).join('-');
}
