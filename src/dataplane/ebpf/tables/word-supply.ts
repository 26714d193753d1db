const CHUNK_WORDS_MIN = 64;
const CHUNK_WORDS_MAX = 4096;

/**
 * Zeroed arrays of words out of larger ones: each array of its own costs the allocator and the garbage collector more
 * than what is in it. A chunk lives as long as any array out of it.
 */
export class WordSupply {
  #chunk = new Uint32Array(0);
  #used = 0;
  #chunkWords = CHUNK_WORDS_MIN;

  take(words: number): Uint32Array {
    if (words > CHUNK_WORDS_MAX / 4) return new Uint32Array(words);
    if (this.#used + words > this.#chunk.length) {
      // Small ones first: many suppliers are asked for little.
      this.#chunkWords = Math.min(CHUNK_WORDS_MAX, this.#chunkWords * 4);
      this.#chunk = new Uint32Array(Math.max(this.#chunkWords, words));
      this.#used = 0;
    }
    const taken = this.#chunk.subarray(this.#used, this.#used + words);
    this.#used += words;
    return taken;
  }
}
