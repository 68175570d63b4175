const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export const UUID_BYTES = 16;

/** The 16 bytes of a UUID in its lower-case text form (RFC 9562 §4). @throws RangeError for anything else */
export function uuidToBytes(uuid: string): Buffer {
  if (!UUID.test(uuid)) throw new RangeError('Not a UUID in lower-case text form');
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}

/** The lower-case text form of 16 bytes. */
export function uuidFromBytes(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
