/** Steps through the layers by itself, until it is stopped. */

const playMs = 1100;

export class Player {
  readonly #advance: () => void;
  readonly #onStop: () => void;
  #timer = 0;

  constructor(advance: () => void, onStop: () => void) {
    this.#advance = advance;
    this.#onStop = onStop;
  }

  get isPlaying(): boolean {
    return this.#timer !== 0;
  }

  /** Plays, with the first step at once, or pauses. */
  toggle(): void {
    if (this.isPlaying) {
      this.stop();
      return;
    }
    this.#timer = window.setInterval(this.#advance, playMs);
    this.#advance();
  }

  stop(): void {
    if (!this.isPlaying) return;
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#onStop();
  }
}
