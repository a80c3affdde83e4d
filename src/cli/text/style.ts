/** Colours, where they are wanted. */
import { styleText } from 'node:util';

type Format = Parameters<typeof styleText>[0];

/** Styles text for one stream: NO_COLOR and FORCE_COLOR count before what the stream is. */
export class Style {
  readonly #on: boolean;

  constructor(stream: { readonly isTTY?: boolean }) {
    const { NO_COLOR: never, FORCE_COLOR: always, TERM: terminal } = process.env;
    if (never !== undefined && never !== '') this.#on = false;
    else if (always !== undefined && always !== '' && always !== '0' && always !== 'false') this.#on = true;
    else this.#on = stream.isTTY === true && terminal !== 'dumb';
  }

  good(text: string): string {
    return this.#paint('green', text);
  }

  bad(text: string): string {
    return this.#paint('red', text);
  }

  doubtful(text: string): string {
    return this.#paint('yellow', text);
  }

  dim(text: string): string {
    return this.#paint('dim', text);
  }

  #paint(format: Format, text: string): string {
    return this.#on ? styleText(format, text, { validateStream: false } as never) : text;
  }
}
