import { DecryptionError } from './decryption-error.ts';
import type { DataKeyIdentity, MasterKey } from './master-key.ts';

/** The master keys of a process: one wraps, all of them open. */
export class Keyring {
  /** Wraps. */
  readonly current: MasterKey;
  /** Open what they wrapped before; the current one is not among them. */
  readonly accepted: readonly MasterKey[];
  readonly #byId: ReadonlyMap<string, MasterKey>;

  /** Accepted ones that are the current one, or each other, are taken once. */
  constructor(current: MasterKey, accepted: readonly MasterKey[] = []) {
    this.#byId = new Map([current, ...accepted].map((key) => [key.id, key]));
    this.current = current;
    this.accepted = [...this.#byId.values()].filter(({ id }) => id !== current.id);
  }

  knows(masterKeyId: string): boolean {
    return this.#byId.has(masterKeyId);
  }

  /**
   * @throws DecryptionError `wrong_key` when no key here has the id that the data key was stored with
   * @throws MasterKeyUnavailable
   */
  async unwrap(masterKeyId: string, identity: DataKeyIdentity, wrapped: Buffer): Promise<Buffer> {
    const masterKey = this.#byId.get(masterKeyId);
    if (masterKey === undefined) throw new DecryptionError('wrong_key');
    return masterKey.unwrap(identity, wrapped);
  }
}
