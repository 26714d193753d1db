/** Hardware addresses, in the forms Go's net.ParseMAC takes (spec/resources.md 6). */

const PAIRS = /^[0-9a-f]{2}(?:(?::[0-9a-f]{2})+|(?:-[0-9a-f]{2})+)$/i;
const QUADS = /^[0-9a-f]{4}(?:\.[0-9a-f]{4})+$/i;

/** 6 (EUI-48) or 8 (EUI-64) bytes; null for anything else. */
export function parseMac(text: string): Uint8Array | null {
  if (text.length > 23 || !(PAIRS.test(text) || QUADS.test(text))) return null;
  const hex = text.replace(/[:.-]/g, '');
  if (hex.length !== 12 && hex.length !== 16) return null;
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) =>
    Number.parseInt(hex.slice(i * 2, i * 2 + 2), 16),
  );
}

/** Lower case, with colons. */
export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** Canonical text of a MAC in any accepted form; null if it is none. */
export function canonicalMac(text: string): string | null {
  const bytes = parseMac(text);
  return bytes === null ? null : formatMac(bytes);
}
